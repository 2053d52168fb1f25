"""Slots of a few triggers, found by trying: day after day, and minute after minute where clocks change.

Shares no code with `schedule`, and holds for any year.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.schedule.naive import Expression

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NaiveTrigger:
    """A trigger, of which one of the two is set."""

    cron: str | None = None
    interval: timedelta | None = None

    def slots(self, zone: str, start: datetime, end: datetime) -> list[datetime]:
        """All from `start` to `end`, in order."""
        if self.interval is not None:
            return _stepped(start, end, self.interval)
        found = {instant_of(wall, ZoneInfo(zone)) for wall in self._walls(start - 2 * _DAY, end + 2 * _DAY)}
        return sorted(slot for slot in found if start <= slot <= end)

    def _walls(self, start: datetime, end: datetime) -> Iterator[datetime]:
        assert self.cron is not None
        expression = Expression(self.cron)
        midnight = datetime(start.year, start.month, start.day)  # noqa: DTZ001  # the clock of no zone yet
        while midnight.replace(tzinfo=UTC) <= end:
            if expression.on(midnight.date()):
                yield from (midnight + timedelta(seconds=second) for second in expression.times())
            midnight += _DAY


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which clocks of the zone show `wall`, or when they jump over it the first one after that."""
    around = [(wall + days * _DAY).replace(tzinfo=zone).utcoffset() for days in (-1, 1)]
    tried = sorted(wall.replace(tzinfo=UTC) - offset for offset in around if offset is not None)
    for instant in tried:
        if _shown(instant, zone) == wall:
            return instant
    instant = tried[0]
    while _shown(instant, zone) < wall:
        instant += _MINUTE
    return instant


def _shown(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def _stepped(start: datetime, end: datetime, every: timedelta) -> list[datetime]:
    found, slot = [], start + every
    while slot <= end:
        found.append(slot)
        slot += every
    return found
