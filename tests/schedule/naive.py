"""When an expression is due, found the slow and obvious way: by looking at every day, and at every minute of a zone.

Nothing here is shared with the code under test.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FROM, TO = datetime(2025, 12, 1, tzinfo=UTC), datetime(2028, 2, 1, tzinfo=UTC)
"""What a `Clock` is observed for: two years and a month on either side."""
WALL_FROM = FROM.date()
STEP_MINUTES = 15
"""Clocks are looked at this often; they are only ever changed at a quarter of an hour in UTC."""

WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
NAMES = {"JAN": 1, "FEB": 2, "MAR": 3, "APR": 4, "MAY": 5, "JUN": 6, "JUL": 7, "AUG": 8, "SEP": 9, "OCT": 10}
NAMES |= {"NOV": 11, "DEC": 12, "SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}


class Expression:
    """What an expression says, each field asked value by value."""

    def __init__(self, text: str) -> None:
        parts = WORDS.get(text, text).upper().split()
        second, minute, hour, day, month, weekday = parts if len(parts) == 6 else ["0", *parts]
        self.hours = [value for value in range(24) if says(hour, value, 0, 23)]
        self.minutes = [value for value in range(60) if says(minute, value, 0, 59)]
        self.seconds = [value for value in range(60) if says(second, value, 0, 59)]
        self.days = {value for value in range(1, 32) if says(day, value, 1, 31)}
        self.months = {value for value in range(1, 13) if says(month, value, 1, 12)}
        self.weekdays = {value for value in range(7) if says_weekday(weekday, value)}
        self.either = not any(item[0] in "*?" for field in (day, weekday) for item in field.split(","))

    def on(self, day: date) -> bool:
        """Whether it is due on that day at all."""
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (by_day or by_weekday if self.either else by_day and by_weekday)

    def comes(self) -> bool:
        """Whether there is such a day at all: after 28 years the days of the week fall on the same dates again."""
        return any(self.on(date(2024, 1, 1) + offset * DAY) for offset in range(28 * 366))

    def times(self) -> list[int]:
        """Seconds of a day at which it is due."""
        return [
            hour * 3600 + minute * 60 + second
            for hour in self.hours
            for minute in self.minutes
            for second in self.seconds
        ]


def says(field: str, value: int, low: int, high: int) -> bool:
    return any(says_item(item, value, low, high) for item in field.split(","))


def says_weekday(field: str, value: int) -> bool:
    return says(field, value, 0, 6) or (value == 0 and says(field, 7, 0, 6))


def says_item(item: str, value: int, low: int, high: int) -> bool:
    base, _, step = item.partition("/")
    first, _, last = base.partition("-")
    if first in "*?":
        begin, end = low, high
    elif last:
        begin, end = number(first), number(last)
        end = 7 if end < begin else end  # FRI-SUN
    else:
        begin = number(first)
        end = high if step else begin
    return begin <= value <= end and (value - begin) % int(step or 1) == 0


def number(text: str) -> int:
    return NAMES[text] if text in NAMES else int(text)


def following(text: str, after: datetime, count: int) -> list[datetime]:
    """The next instants in UTC, looked for day by day over fifty years."""
    return list(islice((found for found in _days(Expression(text), after.date()) if found > after), count))


def _days(expression: Expression, first: date) -> Iterator[datetime]:
    times = expression.times()
    for offset in range(50 * 366):
        day = first + offset * DAY
        if expression.on(day):
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            yield from (midnight + timedelta(seconds=second) for second in times)


class Clock:
    """A clock of a zone, watched for two years: at which instant it first shows, or has passed, each minute."""

    def __init__(self, zone: str) -> None:
        place = ZoneInfo(zone)
        self.changes: list[datetime] = []
        """Instants at which it is changed."""
        self.first: list[int] = []
        """By minutes from `WALL_FROM`: the minute of time, from `FROM`, when it has come or was left out."""
        self.left_out: set[int] = set()
        offset_before: timedelta | None = None
        for quarter in range((TO - FROM) // MINUTE // STEP_MINUTES):
            instant = FROM + quarter * STEP_MINUTES * MINUTE
            offset = instant.astimezone(place).utcoffset()
            assert offset is not None
            if offset_before not in (None, offset):
                self.changes.append(instant)
            offset_before = offset
            self._show(quarter * STEP_MINUTES, offset // MINUTE)

    def _show(self, minute: int, offset: int) -> None:
        """For a quarter of an hour it goes on; what it should have shown before and did not was left out."""
        shown = minute + offset
        if len(self.first) < shown:
            gap = shown - len(self.first)
            self.left_out |= set(range(len(self.first), shown)) if self.first else set()
            self.first += [minute] * gap
        new = shown + STEP_MINUTES - len(self.first)
        self.first += range(minute + STEP_MINUTES - max(new, 0), minute + STEP_MINUTES)

    def instant(self, day: date, second: int) -> datetime:
        """When it is that time of that day for the first time, or would have been."""
        minute = (day - WALL_FROM).days * 1440 + second // 60
        kept = 0 if minute in self.left_out else second % 60
        return FROM + self.first[minute] * MINUTE + timedelta(seconds=kept)

    def around(self, text: str, instant: datetime, days: int = 3) -> list[datetime]:
        """All slots on the nearest days before and after that have any."""
        expression = Expression(text)
        due = due_days(text)
        middle = bisect_left(due, instant.date())
        near = due[max(middle - days, 0) : middle + days]
        times = expression.times()
        return sorted({self.instant(day, second) for day in near for second in times})


@lru_cache(maxsize=64)
def due_days(text: str) -> list[date]:
    """Every day of 2026 and 2027 on which it is due."""
    expression, first = Expression(text), date(2025, 12, 15)
    return [day for day in (first + offset * DAY for offset in range(762)) if expression.on(day)]


def newest(slots: list[datetime], instant: datetime) -> int:
    """Position after the last slot that is not after `instant`."""
    return bisect_right(slots, instant)
