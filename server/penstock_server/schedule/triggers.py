"""What makes a job fire, and the slots that follow from it.

A slot is an instant at which a job is due. Slots are found from any instant in either direction, at a cost that does
not depend on how far away they are or how many lie between.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeAlias

from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.schedule import cron, zones
from penstock_server.schedule.series import Periods, Series, WallClock

EVERY_MIN, EVERY_MAX = cron.EVERY_MIN, cron.EVERY_MAX

_MICROSECOND = timedelta(microseconds=1)
_EARLIEST, _LATEST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
"""Looking for slots ends here, so that no zone leads out of the calendar."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Fires again and again after the same time."""

    every: timedelta
    """From `EVERY_MIN` to `EVERY_MAX`."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Fires when the clocks of a zone show what the expression says."""

    expression: str
    """As the user wrote it; see `cron`."""
    time_zone: str = "UTC"
    """A name of the IANA database."""


Trigger: TypeAlias = Interval | Cron


def checked_interval(every: timedelta, *, field: str = "trigger.interval") -> Interval:
    """The trigger. Raises InvalidArgument(INVALID_INTERVAL) that names `field`."""
    if EVERY_MIN <= every <= EVERY_MAX:
        return Interval(every)
    description = f"has to be from {EVERY_MIN.seconds} second to {EVERY_MAX.days} days and is {_told(every)}"
    violation = FieldViolation(field, description, "INVALID_INTERVAL")
    raise InvalidArgument("INVALID_INTERVAL", f"{field} {description}", violations=[violation])


def _told(every: timedelta) -> str:
    """Days where they are whole, else seconds: `timedelta` itself writes -5 seconds as `-1 day, 23:59:55`."""
    days, rest = divmod(every, timedelta(days=1))
    return f"{days} days" if days and not rest else f"{every.total_seconds():.15g} s"


def checked_cron(expression: str, time_zone: str = "UTC", *, field: str = "trigger.cron") -> Cron:
    """The trigger; an empty time zone is UTC.

    Raises InvalidArgument with the reason INVALID_CRON or INVALID_TIME_ZONE, and names each wrong field:
    `{field}.expression`, `{field}.time_zone`.
    """
    trigger = Cron(expression, time_zone or "UTC")
    violations = []
    try:
        cron.parse(trigger.expression)
    except ValueError as error:
        violations.append(FieldViolation(f"{field}.expression", str(error), "INVALID_CRON"))
    try:
        zones.zone(trigger.time_zone)
    except ValueError as error:
        violations.append(FieldViolation(f"{field}.time_zone", str(error), "INVALID_TIME_ZONE"))
    if violations:
        message = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
        raise InvalidArgument(violations[0].reason, message, violations=violations)
    return trigger


@dataclass(frozen=True, slots=True)
class Timetable:
    """The slots of a trigger from `start_time` to `end_time`, in UTC.

    An interval is anchored at the start and fires for the first time one interval after it, as in KFP: the slots are
    `start_time + k * every` for k = 1, 2, 3 ..., so they never drift. `@every` is an interval. A cron slot exactly at
    the start counts, and so does any slot exactly at the end.

    Its trigger is one that was checked; with another one the methods raise ValueError. Instants are aware.
    """

    trigger: Trigger
    start_time: datetime
    end_time: datetime | None = None
    """None for no end."""

    def next_after(self, instant: datetime) -> datetime | None:
        """The first slot after `instant`; None when there is none any more."""
        opening = self._opening()
        if opening is None:
            return None
        slot = self._series().after(max(_utc(instant), opening - _MICROSECOND))
        return slot if slot is not None and slot > instant and self._is_open(slot) else None

    def last_until(self, instant: datetime) -> datetime | None:
        """The newest slot that is not after `instant`; None when there has been none yet."""
        opening = self._opening()
        newest = instant if self.end_time is None else min(instant, _utc(self.end_time))
        slot = self._series().until(_utc(newest))
        return slot if slot is not None and opening is not None and opening <= slot <= newest else None

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The oldest `limit` slots after `after` and not after `until`, ascending."""
        return list(islice(self._forward(after, until), limit))

    def newest_between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """The newest `limit` slots after `after` and not after `until`, ascending. Older ones cost nothing."""
        return list(islice(self._backward(after, until), limit))[::-1]

    def count_between(self, after: datetime, until: datetime, limit: int) -> int:
        """How many slots lie after `after` and not after `until`; counted up to `limit`, each at the cost of a step."""
        return sum(1 for _ in islice(self._forward(after, until), limit))

    def previous(self, instant: datetime) -> datetime | None:
        """The slot before `instant` in the series as if it had no start and no end: where a slot's data begins.

        Of the first slot of an interval it is the start.
        """
        slot = self._series().until(_utc(instant) - _MICROSECOND)
        return slot if slot is not None and slot < instant else None

    def _forward(self, after: datetime, until: datetime) -> Iterator[datetime]:
        slot = self.next_after(after)
        while slot is not None and slot <= until:
            yield slot
            slot = self.next_after(slot)

    def _backward(self, after: datetime, until: datetime) -> Iterator[datetime]:
        slot = self.last_until(until)
        while slot is not None and slot > after:
            yield slot
            slot = self.last_until(slot - _MICROSECOND)

    def _series(self) -> Series:
        if isinstance(self.trigger, Interval):
            return Periods(_utc(self.start_time), self.trigger.every)
        said = cron.parse(self.trigger.expression)
        if isinstance(said, timedelta):
            return Periods(_utc(self.start_time), said)
        return WallClock(said, zones.zone(self.trigger.time_zone))

    def _opening(self) -> datetime | None:
        """The earliest instant that can be a slot; None when that is beyond the calendar."""
        start, series = _utc(self.start_time), self._series()
        return series.after(start) if isinstance(series, Periods) else start

    def _is_open(self, slot: datetime) -> bool:
        return self.end_time is None or slot <= self.end_time


def _utc(instant: datetime) -> datetime:
    return min(max(instant, _EARLIEST), _LATEST).astimezone(UTC)
