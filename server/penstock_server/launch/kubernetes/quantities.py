"""Quantities as Kubernetes writes them, such as `500m`, `2Gi` and `1e3`, compared."""

import re
from fractions import Fraction

_FORM = re.compile(r"\+?(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3})?\Z", re.ASCII)
_BINARY = "KMGTPE"
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def quantity(text: str) -> Fraction:
    """The number that the text means. Raises ValueError."""
    found = _FORM.match(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no quantity, such as 500m or 2Gi")
    number, suffix = Fraction(found["number"]), found["suffix"] or ""
    if suffix.endswith("i"):
        return number * Fraction(1024) ** (_BINARY.index(suffix[0]) + 1)
    if suffix in _DECIMAL:
        return number * Fraction(10) ** _DECIMAL[suffix]
    return number * Fraction(10) ** int(suffix[1:] or 0)
