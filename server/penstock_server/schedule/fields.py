"""One field of a cron expression: lists, ranges, steps and names become the set of its values.

What is wrong is told as a ValueError that names the field and its text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_ITEM = re.compile(r"(?P<low>[*?]|[0-9A-Za-z]+)(?:-(?P<high>[0-9A-Za-z]+))?(?:/(?P<step>[0-9A-Za-z]+))?\Z")
_STARS = frozenset("*?")
_FOREIGN = re.compile(r".*[#~]|[0-9]*(L|W|LW|H|R)[0-9]*([-(/].*)?\Z", re.IGNORECASE)
"""Marks of extensions that other crons have: last day, nearest weekday, n-th weekday, hashed and random values."""


def _names(text: str, first: int) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(text.split(), first)}


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """What may stand in one place of an expression."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    """Words that may stand for numbers, in capitals."""

    @property
    def is_weekday(self) -> bool:
        """Sunday is 0 and 7 here."""
        return self.high == 7

    @property
    def span(self) -> int:
        """How many values there are."""
        return self.high - self.low + (0 if self.is_weekday else 1)


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day-of-month", 1, 31)
MONTH = Field("month", 1, 12, _names("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC", 1))
DAY_OF_WEEK = Field("day-of-week", 0, 7, _names("SUN MON TUE WED THU FRI SAT", 0))


@dataclass(frozen=True, slots=True)
class Values:
    """What a field says."""

    numbers: frozenset[int]
    starred: bool
    """One of its items is `*` or `?`, with or without a step: of two day fields this one does not restrict."""
    full: bool
    """Every value of the field is among the numbers."""


def read(place: Field, text: str) -> Values:
    """What `text` says in that place. Raises ValueError."""
    items = text.split(",")
    try:
        numbers = frozenset(number for item in items for number in _item(place, item))
    except ValueError as error:
        raise ValueError(f"the {place.name} field {text!r} is wrong: {error}") from None
    return Values(numbers, any(item[0] in _STARS for item in items), len(numbers) == place.span)


def _item(place: Field, text: str) -> set[int]:
    found = _ITEM.match(text)
    if found is None:
        raise ValueError(_unreadable(place, text))
    low, high, step = found["low"], found["high"], found["step"]
    numbers = _range(place, low, high, open_ended=step is not None)[:: _step(place, step)]
    return {number % 7 for number in numbers} if place.is_weekday else set(numbers)


def _range(place: Field, low: str, high: str | None, *, open_ended: bool) -> range:
    """`N` is one value, but `N/step` runs from N to the field's end, as in KFP."""
    last = place.high - 1 if place.is_weekday else place.high
    if low in _STARS:
        if high is not None:
            raise ValueError(f"{low} cannot begin a range; write {low} or numbers")
        return range(place.low, last + 1)
    first = _number(place, low)
    if high is None:
        return range(first, (max(first, last) if open_ended else first) + 1)
    end = _number(place, high)
    if place.is_weekday and end == 0 < first:
        end = 7
    if end < first:
        raise ValueError(f"the range {low}-{high} runs backwards; write it as {low}-{last},{place.low}-{high}")
    return range(first, end + 1)


def _step(place: Field, text: str | None) -> int:
    if text is None:
        return 1
    if not text.isdigit():
        raise ValueError(f"the step {text!r} is not a number")
    step = int(text)
    if not 1 <= step <= place.span:
        raise ValueError(f"the step {text} is not within 1 to {place.span}; for longer ones use an interval or @every")
    return step


def _number(place: Field, text: str) -> int:
    named = place.names.get(text.upper())
    if named is not None:
        return named
    if not text.isdigit():
        raise ValueError(_unreadable(place, text))
    number = int(text)
    if not place.low <= number <= place.high:
        raise ValueError(f"{text} is not within {place.low} to {place.high}")
    return number


def _unreadable(place: Field, text: str) -> str:
    if not text:
        return "an item of its list is empty"
    if _FOREIGN.match(text):
        return f"{text!r} is an extension of other crons (L, W, #, H, R) that is not supported"
    names = f", names such as {next(iter(place.names))}" if place.names else ""
    return f"{text!r} is none of *, ?, numbers{names}, ranges such as 1-5 and steps such as */5"
