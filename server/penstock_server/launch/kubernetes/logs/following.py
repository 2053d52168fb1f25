"""How long a log is followed: until looks will do again, or the kubelet has left its follower behind.

A kubelet that tells a log to one who follows watches the folder of its files only from when it has come to the end of
the first. A rotation before that it does not see: it goes on to look into the old file, though nothing is written to it
any more, until the next rotation. So one who is told nothing asks how the newest file begins. If that is after all that
was told, and still nothing is told, then the old file is read to its end, and the new one is read from its beginning.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from penstock_server.launch.kubernetes.logs.intake import LogIntake
from penstock_server.launch.kubernetes.logs.rhythm import Pace

NOTES_MIN = 2
"""What was told up to the first note was there before."""
IDLE_TICKS = 2
"""One who was told nothing for so long is told nothing at present."""
ASK_MAX_S = 60.0
"""How the newest file begins is asked again after a while, twice as long with each time, up to so long."""
BRIDGE_NS = 5 * 1_000_000_000
"""A file that begins so soon after the end of another comes directly after it: no third one was filled in between."""


@dataclass(slots=True)
class Following:
    """One time that a log is followed."""

    intake: LogIntake
    pace: Pace
    clock: Callable[[], float]
    is_to_the_end: bool = False
    """The container is about to end: whatever comes is told."""
    has_new_file: bool = False
    """It was followed until the kubelet had a newer file, which is to be looked at."""
    _noted_s: float = field(init=False)
    _notes: int = 0
    _ask_at_s: float = 0.0
    _ask_s: float = 0.0
    _next_ns: int | None = None
    """How a newer file begins than that which is told."""
    _next_s: float = 0.0
    """Since when that is known."""
    _has_reached_one: bool = False
    """A newer file than at the beginning is told."""

    def __post_init__(self) -> None:
        self._noted_s = self.clock()

    async def is_enough(self) -> bool:
        """Whether to stop. To be asked with every tick."""
        now_s, rhythm = self.clock(), self.intake.rhythm
        is_due = now_s - self._noted_s >= rhythm.least_s
        if is_due:
            self._noted_s, self._notes = now_s, self._notes + 1
            self.pace.note(now_s, self.intake.file_bytes)
        if self.is_to_the_end:
            return False
        if self.intake.file_bytes < rhythm.rotated_at_bytes:
            return is_due and self._notes >= NOTES_MIN and self._is_calm()
        return await self._is_new_file_due(now_s)

    def _is_calm(self) -> bool:
        rhythm = self.intake.rhythm
        wait_s = rhythm.wait_s(self.intake.file_bytes, self.pace.rate_per_s, rhythm.least_s)
        return wait_s is not None and wait_s >= 2 * rhythm.least_s

    async def _is_new_file_due(self, now_s: float) -> bool:
        """Whether there is one, and it was reached by one who may as well look, or is not reached by following."""
        rhythm = self.intake.rhythm
        may_look, idle_s = rhythm.may_look(self.pace.rate_per_s), IDLE_TICKS * rhythm.tick_s
        is_idle = now_s - self.intake.told_s >= idle_s
        if self._next_ns is None and (is_idle or may_look) and now_s >= self._ask_at_s:
            await self._ask(now_s)
        if self._next_ns is not None:
            at = self.intake.position
            if at is not None and at.stamp_ns >= self._next_ns:
                self.intake.first_ns, self._next_ns, self._has_reached_one = self._next_ns, None, True
            elif now_s - max(self._next_s, self.intake.told_s) >= idle_s:
                is_next = self.intake.has_told and at is not None and self._next_ns - at.stamp_ns < BRIDGE_NS
                self.intake.begin_new_file(is_next=is_next)
                self.has_new_file = True
        if self._has_reached_one and may_look:
            self.intake.begin_new_file(is_next=False)
            self.has_new_file = True
        return self.has_new_file

    async def _ask(self, now_s: float) -> None:
        """Whether there is a newer file than that which is told."""
        self._ask_s = min(max(2 * self._ask_s, self.intake.rhythm.least_s), ASK_MAX_S)
        self._ask_at_s = now_s + self._ask_s
        first_ns = await self.intake.source.first_ns()
        if first_ns is not None and first_ns != self.intake.first_ns:
            self._next_ns, self._next_s = first_ns, self.clock()
