"""Cron expressions: read, checked, and walked over wall time.

Five fields are minute, hour, day of month, month, day of week; six have the second first, as KFP writes them. Which
wall times an expression means is all that is decided here; what instants they are is the business of `zones`.
"""

import calendar
import copy
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from croniter import croniter

from penstock_server.schedule import fields
from penstock_server.schedule.fields import Field, Values

LENGTH_MAX = 256
"""Characters of an expression."""
EVERY_MIN, EVERY_MAX = timedelta(seconds=1), timedelta(days=36_525)
"""The shortest and the longest interval."""

_SECOND = timedelta(seconds=1)
_FIVE = (fields.MINUTE, fields.HOUR, fields.DAY_OF_MONTH, fields.MONTH, fields.DAY_OF_WEEK)
_SIX = (fields.SECOND, *_FIVE)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_MICROSECONDS = {
    "ns": Decimal("0.001"),
    **dict.fromkeys(("us", "µs", "μs"), Decimal(1)),
    "ms": Decimal(10**3),
    "s": Decimal(10**6),
    "m": Decimal(60 * 10**6),
    "h": Decimal(3600 * 10**6),
}
_LEAP_YEAR = 2024


@dataclass(frozen=True, slots=True)
class WallTimes:
    """The wall times that an expression means: naive, whole seconds, in order."""

    _walk: croniter

    def after(self, wall: datetime) -> datetime | None:
        """The first one after `wall`, a whole second; None where the calendar ends."""
        return self._step(wall, is_prev=False)

    def until(self, wall: datetime) -> datetime | None:
        """The last one not after `wall`, a whole second; None where the calendar begins."""
        try:
            return self._step(wall + _SECOND, is_prev=True)
        except OverflowError:
            return None

    def _step(self, wall: datetime, *, is_prev: bool) -> datetime | None:
        walk = copy.copy(self._walk)  # it keeps a position, and callers may be several
        try:
            found: datetime = (walk.get_prev if is_prev else walk.get_next)(datetime, start_time=wall)
        except (ValueError, OverflowError):
            return None
        return found


@lru_cache(maxsize=1024)
def parse(expression: str) -> WallTimes | timedelta:
    """What the expression means; an interval for `@every`. Raises ValueError that names the part which is wrong."""
    if len(expression) > LENGTH_MAX:
        raise ValueError(f"the expression has {len(expression)} characters; at most {LENGTH_MAX} are read")
    text = expression.strip(" \t")
    if text.startswith("@"):
        return _descriptor(text)
    if "TZ=" in text:
        raise ValueError("TZ= is not read in an expression; give the time zone in its own field")
    return _wall_times(text)


def _descriptor(text: str) -> WallTimes | timedelta:
    word, _, rest = text.partition(" ")
    if word == "@every":
        return _every(rest.strip(" \t"))
    known = _DESCRIPTORS.get(text)
    if known is None:
        raise ValueError(f"{text!r} is none of {', '.join(_DESCRIPTORS)} and @every 1h30m")
    return _wall_times(known)


def _every(text: str) -> timedelta:
    """A Go duration such as `1h30m`, `90s` or `1.5h`."""
    if not text or _PART.sub("", text):
        raise ValueError(f"@every needs a duration such as 90s, 15m or 1h30m, not {text!r}")
    microseconds = sum(Decimal(number) * _MICROSECONDS[unit] for number, unit in _PART.findall(text))
    if not _in_microseconds(EVERY_MIN) <= microseconds <= _in_microseconds(EVERY_MAX):
        raise ValueError(f"@every {text} is not within one second and {EVERY_MAX.days} days")
    return timedelta(microseconds=int(microseconds))


def _in_microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def _wall_times(text: str) -> WallTimes:
    texts = re.split(r"[ \t]+", text)
    if len(texts) not in (len(_FIVE), len(_SIX)):
        form = "minute hour day-of-month month day-of-week, with the second before them where it matters"
        raise ValueError(f"five or six fields are needed, not {len(texts) if text else 0}: {form}")
    places = _FIVE if len(texts) == len(_FIVE) else _SIX
    said = {place: fields.read(place, one) for place, one in zip(places, texts, strict=True)}
    _check_dates(said)
    return WallTimes(_walk(said))


def _check_dates(said: dict[Field, Values]) -> None:
    """A day of the week comes in every month; a day of the month does not."""
    days, months, weekdays = (said[place] for place in (fields.DAY_OF_MONTH, fields.MONTH, fields.DAY_OF_WEEK))
    longest = max(calendar.monthrange(_LEAP_YEAR, month)[1] for month in months.numbers)
    if min(days.numbers) > longest and (days.starred or weekdays.starred):
        raise ValueError(f"the day-of-month and month fields never meet: no such month has {min(days.numbers)} days")


def _walk(said: dict[Field, Values]) -> croniter:
    """Written out in numbers, so that what croniter would read differently or in addition does not reach it.

    Both day fields restricted: a day needs to match only one, as in every cron.
    """
    days, weekdays = said[fields.DAY_OF_MONTH], said[fields.DAY_OF_WEEK]
    either = not (days.starred or weekdays.starred)
    every_day = either and (days.full or weekdays.full)
    texts = [_written(said[place]) for place in _FIVE]
    if every_day:
        texts[2] = texts[4] = "*"
    seconds = _written(said[fields.SECOND]) if fields.SECOND in said else "0"
    return croniter(" ".join([*texts, seconds]), datetime(_LEAP_YEAR, 1, 1), day_or=either)  # noqa: DTZ001


def _written(values: Values) -> str:
    return "*" if values.full else ",".join(map(str, sorted(values.numbers)))
