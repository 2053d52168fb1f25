"""From instants to the wall time of a zone and back, with one answer where clocks are changed.

A wall time that comes twice is the first of its two instants. One that is left out is the moment at which clocks go
forward. So instants follow the order of wall times, and each wall time has one.
"""

import difflib
import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*\Z")
_NOT_ZONES = re.compile(r"(localtime|Factory|posixrules)\Z|(posix|right)/")
_LENGTH_MAX = 64
_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises ValueError with names that may have been meant."""
    if len(name) <= _LENGTH_MAX and _NAME.match(name) and not _NOT_ZONES.match(name):
        try:
            return ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass  # a folder of zones is an OSError
    raise ValueError(f"{name[:_LENGTH_MAX]!r} is no time zone of the IANA database; {_hint(name[:_LENGTH_MAX])}")


def frontier(instant: datetime, place: ZoneInfo) -> datetime:
    """The newest wall time, in whole seconds, whose instant is not after `instant`.

    It is what clocks show, except in an hour that they show for the second time: all its wall times are over.
    """
    instant = instant.replace(microsecond=0)
    local = instant.astimezone(place)
    wall = local.replace(tzinfo=None, fold=0)
    if not local.fold:
        return wall
    before, after = _offsets(wall, place)
    change = _change(instant - (before - after), instant, place)
    return (change + before).replace(tzinfo=None) - _SECOND


def instant_of(wall: datetime, place: ZoneInfo) -> datetime:
    """The instant, in UTC, of a wall time."""
    before, after = _offsets(wall, place)
    instant = wall.replace(tzinfo=UTC)
    if before < after:  # clocks jump over it
        return _change(instant - after, instant - before, place)
    return instant - before


def _offsets(wall: datetime, place: ZoneInfo) -> tuple[timedelta, timedelta]:
    """From UTC, by the rules before and after a change of clocks; the same but near one."""
    local = wall.replace(tzinfo=place)
    before, after = local.utcoffset(), local.replace(fold=1).utcoffset()
    assert before is not None
    assert after is not None
    return before, after


def _change(low: datetime, high: datetime, place: ZoneInfo) -> datetime:
    """The moment after `low` and not after `high` at which the offset becomes that of `high`; whole seconds."""
    changed = high.astimezone(place).utcoffset()
    seconds_low, seconds_high = 0, (high - low) // _SECOND
    while seconds_high - seconds_low > 1:
        middle = (seconds_low + seconds_high) // 2
        if (low + middle * _SECOND).astimezone(place).utcoffset() == changed:
            seconds_high = middle
        else:
            seconds_low = middle
    return low + seconds_high * _SECOND


def _hint(name: str) -> str:
    known = {zone_name.lower(): zone_name for zone_name in _known() if zone_name != name}
    small = name.lower()
    close = [small] if small in known else difflib.get_close_matches(small, known, n=3, cutoff=0.75)
    if not close:
        return "use a name such as Europe/Berlin, America/New_York or UTC"
    return f"did you mean {' or '.join(known[one] for one in close)}?"


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
