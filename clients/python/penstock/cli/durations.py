"""Durations as people write and read them: `90s`, `1h30m`, `2d`."""

import re

from penstock.cli.failures import UsageError

_UNITS_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART = r"(?:([0-9]+(?:\.[0-9]+)?)%s)?"
_DURATION = re.compile("".join(_PART % unit for unit in _UNITS_S))
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DAY_S = 86_400


def read_duration(option: str, text: str, *, days_max: int = 365) -> float | None:
    """Seconds of `90`, `90s`, `1h30m` or `2d`; None of nothing. Raises UsageError, naming `option`."""
    if not text:
        return None
    seconds = _seconds(text)
    if seconds is None or not 0 < seconds <= days_max * _DAY_S:
        raise UsageError(f"{option} {text}: expected a duration such as 90s, 30m or 1h30m, at most {days_max}d")
    return seconds


def span_text(seconds: float) -> str:
    """A duration as it would be written: `90s` as `1m30s`, exact."""
    parts = []
    for unit, unit_s in _UNITS_S.items():
        number = seconds // unit_s if unit != "s" else seconds
        if number:
            parts.append(f"{number:.6f}".rstrip("0").rstrip(".") + unit)
        seconds -= number * unit_s
    return "".join(parts) or "0s"


def _seconds(text: str) -> float | None:
    if _SECONDS.fullmatch(text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    return sum(float(number or 0) * unit_s for number, unit_s in zip(match.groups(), _UNITS_S.values(), strict=True))
