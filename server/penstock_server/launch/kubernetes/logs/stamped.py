"""A log as the kubelet tells it with times, and how to go on from a place in it.

    2026-11-26T05:55:52.162391369Z one line
    2026-11-26T05:55:52.162434623Z another one, which the runtime may have written down in pieces

The endpoint knows no offsets: it begins with the newest file, or with what was written in a given second or later.
Before each line it puts when the line's first piece was written. So a place in a log is a line - its time, and the how
many-th of that very time it is - and how much of that line was taken; whatever comes before it is passed over. Lines of
one time, to the nanosecond, are taken to stand together.

Times go back a little where a step writes to both of its streams at once, so it is read from an earlier second on than
that of the place. A line that began before that second, and went on in it, comes first and without a time.
"""

import re
import sys
from dataclasses import dataclass
from datetime import datetime

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})(Z|[+-]\d\d:\d\d) ")
_STAMP_BYTES_MAX = 36
_UNTOLD_BYTES = len(b"stdout F ")
"""Stands in the kubelet's file with each line, and is not told."""
_SECOND_NS = 1_000_000_000
TOLERANCE_NS = _SECOND_NS
"""So much earlier a line may say that it was written than one that stands before it."""
_ALL = sys.maxsize


class PositionLostError(Exception):
    """What is told begins after the place: the file with it was rotated away."""


class NoLogError(Exception):
    """What is told is not the log, but why there is none, or no more of it."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a log, behind what was taken of a line."""

    stamp_ns: int
    """When the line's first piece was written, since 1970."""
    nth: int
    """The how many-th line of that time it is, from 1."""
    taken: int | None = None
    """How many of its bytes were taken; None: all, and the line is whole."""

    @property
    def since_s(self) -> int:
        """From this second on the log has to be read in order to go on here."""
        return (self.stamp_ns - TOLERANCE_NS) // _SECOND_NS


class StampedLog:
    """Takes the times out of what is told, passes over what comes before a place, and says where it is."""

    def __init__(self, after: Position | None = None) -> None:
        self._after = after
        self._is_found = after is None
        self._found_before = 0
        """Lines of the time that is looked for."""
        self._head = b""
        """The beginning of a line that is too short to have its time."""
        self._is_open = False
        """In the middle of a line."""
        self._skip = 0
        """Bytes of this line that are to be passed over."""
        self._stamp, self._nth, self._taken = b"", 0, 0
        """Of this line."""
        self._has_moved = False
        self.first_ns: int | None = None
        """The time of the first line that was told."""
        self.new_ns: int | None = None
        """The time of the first line that is new."""
        self.passed_bytes = 0
        """What the kubelet's file has of the lines that were passed over."""
        self.new_bytes = 0
        """What it has of those after them."""

    @property
    def position(self) -> Position | None:
        """Behind what was given out last; None at the beginning of a log."""
        if not self._has_moved:
            return self._after
        return Position(stamp_ns(self._stamp), self._nth, self._taken if self._is_open else None)

    def feed(self, told: bytes) -> bytes:
        """What the step has written of that, after the place. Raises PositionLostError, NoLogError."""
        *lines, rest = (self._head + told).split(b"\n")
        self._head = b""
        return b"".join([self._take(line + b"\n") for line in lines]) + self._take(rest)

    def end(self) -> None:
        """There is no more. Raises PositionLostError, NoLogError."""
        if self._is_found:
            return
        if self.first_ns is None and self.passed_bytes:
            raise NoLogError("the kubelet tells something else than the log")
        raise PositionLostError

    def _take(self, piece: bytes) -> bytes:
        """A line from its beginning, the rest of one, or a part of either."""
        has_end = piece.endswith(b"\n")
        if not self._is_open:
            stamp = _STAMP.match(piece)
            if stamp is None and not has_end and len(piece) < _STAMP_BYTES_MAX:
                self._head = piece
                return b""
            if stamp is None:
                self._begin_unstamped(piece)
            else:
                self._begin(stamp.group())
                piece = piece[stamp.end() :]
        self._is_open = not has_end
        self._count(len(piece))
        return self._pass(piece)

    def _pass(self, piece: bytes) -> bytes:
        """What is new of a piece of this line."""
        new = piece[self._skip :]
        self._taken += len(piece)
        if not self._is_open:
            self._skip = 0
        elif self._skip != _ALL:
            self._skip = max(0, self._skip - len(piece))
        self._has_moved = self._has_moved or bool(new)
        return new

    def _begin(self, stamp: bytes) -> None:
        if self._is_found:
            self._nth = self._nth + 1 if stamp == self._stamp else 1
        else:
            self._look_for_place(stamp)
        if self.first_ns is None:
            self.first_ns = stamp_ns(stamp)
        if self.new_ns is None and not self._skip:
            self.new_ns = stamp_ns(stamp)
        self._stamp, self._taken = stamp, 0
        self._count(len(stamp) + _UNTOLD_BYTES)

    def _look_for_place(self, stamp: bytes) -> None:
        assert self._after is not None
        self._skip = _ALL
        began_ns = stamp_ns(stamp)
        if began_ns == self._after.stamp_ns:
            self._found_before += 1
            if self._found_before == self._after.nth:
                self._is_found, self._nth = True, self._after.nth
                self._skip = _ALL if self._after.taken is None else self._after.taken
        elif began_ns > self._after.stamp_ns + TOLERANCE_NS:
            raise PositionLostError

    def _begin_unstamped(self, piece: bytes) -> None:
        """The rest of a line that began earlier has no time, which is so only before the place that is looked for."""
        if self._is_found:
            raise NoLogError(piece.decode("utf-8", "replace").strip())
        self._skip = _ALL

    def _count(self, size_bytes: int) -> None:
        if self._skip:
            self.passed_bytes += size_bytes
        else:
            self.new_bytes += size_bytes


def stamp_ns(stamp: bytes) -> int:
    """A time as the kubelet writes it, with a space behind it, in nanoseconds since 1970."""
    seconds, fraction, zone = stamp[:19].decode(), stamp[20:29], stamp[29:-1].decode()
    return int(datetime.fromisoformat(seconds + zone).timestamp()) * _SECOND_NS + int(fraction)
