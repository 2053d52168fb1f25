"""Times written by a layout of Go: an example that shows the reference time `Mon Jan 2 15:04:05 MST 2006`.

KFP's macros take such layouts. What stands in a layout and is no part of the reference time is written as it is.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

_ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2(?!006)|002|0[1-6]|15|PM|pm"
    r"|[Z-]07(?::00:00|0000|:00|00)?|[.,](?:0+|9+)(?![0-9])|[1-5]"
)
_DIGITS_MAX = 9
"""Of a fraction; Go counts in nanoseconds."""


def laid_out(time: datetime, layout: str) -> str:
    """`layout` with the elements of the reference time replaced by those of `time`."""
    return _ELEMENT.sub(lambda found: _element(time, found[0]), layout)


def _element(time: datetime, element: str) -> str:
    writer = _WRITERS.get(element)
    if writer is not None:
        return writer(time)
    return _fraction(time, element) if element[0] in ".," else _offset(time, element)


_WRITERS: Mapping[str, Callable[[datetime], str]] = {
    "2006": lambda time: f"{time.year:04}",
    "06": lambda time: f"{time.year % 100:02}",
    "January": lambda time: f"{time:%B}",
    "Jan": lambda time: f"{time:%b}",
    "01": lambda time: f"{time.month:02}",
    "1": lambda time: f"{time.month}",
    "Monday": lambda time: f"{time:%A}",
    "Mon": lambda time: f"{time:%a}",
    "02": lambda time: f"{time.day:02}",
    "_2": lambda time: f"{time.day:2}",
    "2": lambda time: f"{time.day}",
    "002": lambda time: f"{time:%j}",
    "__2": lambda time: f"{time.timetuple().tm_yday:3}",
    "15": lambda time: f"{time.hour:02}",
    "03": lambda time: f"{_twelve(time):02}",
    "3": lambda time: f"{_twelve(time)}",
    "04": lambda time: f"{time.minute:02}",
    "4": lambda time: f"{time.minute}",
    "05": lambda time: f"{time.second:02}",
    "5": lambda time: f"{time.second}",
    "PM": lambda time: "PM" if time.hour >= 12 else "AM",
    "pm": lambda time: "pm" if time.hour >= 12 else "am",
    "MST": lambda time: f"{time:%Z}",
}


def _twelve(time: datetime) -> int:
    return time.hour % 12 or 12


def _fraction(time: datetime, element: str) -> str:
    """`.000` has as many digits as there are zeros; `.999` leaves out the zeros at the end, and the point with them."""
    count = min(len(element) - 1, _DIGITS_MAX)
    digits = f"{time.microsecond * 1000:09}"[:count]
    if element[1] == "9":
        digits = digits.rstrip("0")
    return element[0] + digits if digits else ""


def _offset(time: datetime, element: str) -> str:
    """`-07`, `-0700`, `-07:00`, with seconds too; `Z07:00` is `Z` in UTC."""
    offset = time.utcoffset() or timedelta()
    if element[0] == "Z" and not offset:
        return "Z"
    seconds = abs(offset) // timedelta(seconds=1)
    parts = [seconds // 3600, seconds // 60 % 60, seconds % 60][: (len(element.replace(":", "")) - 1) // 2]
    sign = "-" if offset < timedelta() else "+"
    return sign + (":" if ":" in element else "").join(f"{part:02}" for part in parts)
