"""The parts of a log as they lie in the object store, side by side since objects do not grow; pure.

A part's name says where in the log it begins, under which fence it was stored, and where the kubelet's log goes on
after it. So all that a server has to know of a log is in the list of its parts:

    log.parts/000000000000000-7-1764136552162434623-1-all
    log.parts/000000001048631-7-1764136559169669984-1-11
    log.parts/000000001441792-9-end

A server that slept while another one took the attempt over may store parts of its own. They do no harm: where one was
stored under a newer fence, older ones do not continue it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from penstock_server.launch.kubernetes.logs.stamped import Position

_NAME = re.compile(r"([0-9]{15})-([0-9]{1,18})-(?:(end)|([0-9]{1,19})-([0-9]{1,9})-(all|[0-9]{1,15}))")


@dataclass(frozen=True, slots=True)
class LogPart:
    """An object with a piece of a log."""

    offset: int
    """Of its first byte in the log."""
    fence: int
    size_bytes: int
    position: Position | None
    """Where the log goes on; None where it does not."""

    @property
    def name(self) -> str:
        """Its name among the parts of the log."""
        where = "end"
        if self.position is not None:
            taken = "all" if self.position.taken is None else str(self.position.taken)
            where = f"{self.position.stamp_ns}-{self.position.nth}-{taken}"
        return f"{self.offset:015d}-{self.fence}-{where}"

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.size_bytes


@dataclass(frozen=True, slots=True)
class StoredLog:
    """What is stored of a log: parts that continue one another from its beginning on."""

    parts: tuple[LogPart, ...] = ()

    @property
    def size_bytes(self) -> int:
        """How much of the log that is."""
        return self.parts[-1].end if self.parts else 0

    @property
    def position(self) -> Position | None:
        """Where the log goes on: at its beginning where nothing is stored."""
        return self.parts[-1].position if self.parts else None

    @property
    def is_complete(self) -> bool:
        """True when nothing more follows."""
        return bool(self.parts) and self.parts[-1].position is None

    @property
    def fence(self) -> int:
        """Under which the last part was stored."""
        return self.parts[-1].fence if self.parts else 0

    def plus(self, part: LogPart) -> "StoredLog":
        """With one part more."""
        return StoredLog((*self.parts, part))

    def since(self, offset: int) -> tuple[LogPart, ...]:
        """The parts that have something behind the offset."""
        return tuple(part for part in self.parts if part.end > offset)


def part_of(name: str, size_bytes: int) -> LogPart | None:
    """The part of that name; None where it is none of a part."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    offset, fence, is_last, stamp_ns, nth, taken = match.groups()
    if is_last:
        return LogPart(int(offset), int(fence), size_bytes, None)
    position = Position(int(stamp_ns), int(nth), None if taken == "all" else int(taken))
    return LogPart(int(offset), int(fence), size_bytes, position)


def chain(parts: Iterable[LogPart]) -> StoredLog:
    """The log that parts make: each continues the one before, under its fence or a newer one."""
    candidates: defaultdict[int, list[LogPart]] = defaultdict(list)
    for part in parts:
        if part.size_bytes or part.position is None:
            candidates[part.offset].append(part)
    found: list[LogPart] = []
    at, fence = 0, 0
    while following := [part for part in candidates[at] if part.fence >= fence]:
        best = max(following, key=_rank)
        found.append(best)
        at, fence = best.end, best.fence
        if best.position is None:
            break
    return StoredLog(tuple(found))


def _rank(part: LogPart) -> tuple[int, bool, int]:
    return part.fence, part.position is None, part.size_bytes
