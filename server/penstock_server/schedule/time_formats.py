"""Times as text: the directives of `strftime` that mean the same on every platform, and RFC 3339."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)


def _by_python(directive: str) -> Callable[[datetime], str]:
    return lambda time: time.strftime(f"%{directive}")


_WRITERS: Mapping[str, Callable[[datetime], str]] = {
    **{directive: _by_python(directive) for directive in "aAbBdfGHIjmMpSuUVwWyzZ"},
    "Y": lambda time: f"{time.year:04}",
    "e": lambda time: f"{time.day:2}",
    "F": lambda time: time.date().isoformat(),
    "T": lambda time: f"{time:%H:%M:%S}",
    "R": lambda time: f"{time:%H:%M}",
    "s": lambda time: str(int(time.timestamp())),
    "%": lambda time: "%",
}
DIRECTIVES = " ".join(f"%{directive}" for directive in _WRITERS)


def check_format(text: str) -> None:
    """Raise ValueError that names the first directive which is not known."""
    for found in _DIRECTIVE.finditer(text):
        if found[1] not in _WRITERS:
            raise ValueError(f"{found[0]!r} is no directive; there are {DIRECTIVES}")


def formatted(time: datetime, text: str) -> str:
    """`text` with its directives filled in. Raises ValueError like `check_format`."""
    check_format(text)
    return _DIRECTIVE.sub(lambda found: _WRITERS[found[1]](time), text)


def rfc3339(time: datetime) -> str:
    """Such as `2026-01-31T09:00:00Z`, in whole seconds."""
    return time.replace(microsecond=0).isoformat().replace("+00:00", "Z")
