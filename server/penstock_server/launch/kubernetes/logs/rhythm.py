"""When the log of a running pod is read: as seldom as it grows, and without a break where the node is about to rotate.

The log endpoint tells the newest file alone. What was written between the last read and a rotation can be had only by a
reader that was there: one that follows is told the old file to its end, and then the new one. As long as a file cannot
be full before the next time, it is enough to look in.

    first look ──► look ──► look ──► follow ──► look ──► ...
                                     nearly full  a new file
"""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogRhythm:
    """How logs are read while they grow. Sizes are those of the kubelet's files, with the times in them."""

    rotated_at_bytes: int = 10 * MIB
    """The kubelet begins a new file with one that is as large (its `containerLogMaxSize`)."""
    first_s: float = 5
    """The first look comes so long after a step was seen to run: one that is shorter is read at its end alone."""
    least_s: float = 5
    """Between two looks."""
    most_s: float = 600
    retry_max_s: float = 60
    """A look that failed is repeated after so long at the latest."""
    growth: float = 3
    """The next wait is at most so many times the last one: who was silent may begin to talk."""
    caution: float = 4
    """A log may grow so many times faster than it did, and is read in time all the same."""
    margin: float = 0.05
    """Of a file that is full but for this share nothing is foretold any more."""
    tick_s: float = 1
    """So often who follows thinks about it, whether something is told or not."""
    flush_s: float = 5
    """What was read while following is stored after so long, however little it is."""

    @property
    def part_bytes(self) -> int:
        """A part is stored once it is as large, so that memory holds no more of a log."""
        return min(MIB, self.rotated_at_bytes // 10)

    @property
    def look_bytes(self) -> int:
        """What a look finds is stored only if it is as much: a small log is stored once, at its end."""
        return self.part_bytes // 4

    def wait_s(self, size_bytes: int, rate_per_s: float, waited_s: float) -> float | None:
        """How long to wait until the next look; None where that would come too late."""
        room = self.rotated_at_bytes * (1 - self.margin) - size_bytes
        if room <= 0:
            return None
        wait_s = min(self.most_s, max(waited_s, self.least_s) * self.growth)
        if rate_per_s > 0:
            wait_s = min(wait_s, room / (rate_per_s * self.caution))
        return wait_s if wait_s >= self.least_s else None

    def retry_s(self, waited_s: float) -> float:
        """How long to wait after a look that failed."""
        return min(self.retry_max_s, max(waited_s, self.least_s) * self.growth)

    def may_look(self, rate_per_s: float) -> bool:
        """Whether it is enough to look in on a log that grows so fast, while its file is new."""
        wait_s = self.wait_s(0, rate_per_s, self.least_s)
        return wait_s is not None and wait_s >= 2 * self.least_s


class Pace:
    """How fast a log grows: as fast as it did since the last look, or half as fast as was thought then; or as fast as
    much of it was written at once."""

    def __init__(self, began_s: float) -> None:
        self._at_s, self._size = began_s, 0
        self.rate_per_s = 0.0

    def note(self, now_s: float, size_bytes: int, written_per_s: float = 0.0) -> None:
        """It is as large at this time."""
        elapsed_s = now_s - self._at_s
        if elapsed_s > 0:
            grown = max(0, size_bytes - self._size) / elapsed_s
            self.rate_per_s = max(grown, self.rate_per_s / 2, written_per_s)
            self._at_s, self._size = now_s, size_bytes
