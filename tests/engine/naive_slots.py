"""Slots of a few triggers, found by trying: day after day, minute after minute. Shares no code with `schedule`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NaiveTrigger:
    """A trigger in two forms: as the user writes it, and spelled out."""

    cron: str | None = None
    interval: timedelta | None = None
    """Of one without `cron`."""
    times: tuple[time, ...] = ()
    """On the clock of the zone."""
    is_on: Callable[[date], bool] = lambda _: True
    """Which days count."""

    def slots(self, zone: str, start: datetime, end: datetime) -> list[datetime]:
        """All from `start` on and before `end`, in order."""
        if self.interval is not None:
            return _stepped(start, end, self.interval)
        found = {instant_of(wall, ZoneInfo(zone)) for wall in self._walls(start - 2 * _DAY, end + 2 * _DAY)}
        return sorted(slot for slot in found if start <= slot < end)

    def _walls(self, start: datetime, end: datetime) -> Iterator[datetime]:
        day = start
        while day <= end:
            if self.is_on(day.date()):
                yield from (datetime.combine(day.date(), each) for each in self.times)
            day += _DAY


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
    while slot < end:
        found.append(slot)
        slot += every
    return found


def _clock(hours: range, *minutes: int) -> tuple[time, ...]:
    return tuple(time(hour, minute) for hour in hours for minute in minutes)


DAILY = [
    NaiveTrigger("30 2 * * *", times=(time(2, 30),)),
    NaiveTrigger("@daily", times=(time(0),)),
    NaiveTrigger("15 1,13 * * *", times=(time(1, 15), time(13, 15))),
    NaiveTrigger("45 0,1,2 * * SUN", times=_clock(range(3), 45), is_on=lambda day: day.weekday() == 6),
    NaiveTrigger("0 2 1,15 * *", times=(time(2),), is_on=lambda day: day.day in (1, 15)),
    NaiveTrigger("0 3 * * MON-FRI", times=(time(3),), is_on=lambda day: day.weekday() < 5),
    NaiveTrigger(interval=timedelta(hours=20, minutes=7)),
]
"""Few a day, for years."""
DENSE = [
    NaiveTrigger("*/20 * * * *", times=_clock(range(24), 0, 20, 40)),
    NaiveTrigger("0 * * * *", times=_clock(range(24), 0)),
    NaiveTrigger(interval=timedelta(minutes=1)),
]
"""Many a day, for days."""
