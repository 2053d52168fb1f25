"""The types of parameters: what fits them, and how values are written as text and read from it."""

import json
import math
import re
import sys
from collections.abc import Mapping

from penstock_server.model.json import Json, with_integers
from penstock_server.spec.graph import ParameterInput, ParameterType

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_NUMBERS = frozenset({ParameterType.NUMBER_DOUBLE, ParameterType.NUMBER_INTEGER})
_DIGITS = re.compile(r"[+-]?\d+", re.ASCII)
_DOUBLE_MAX = int(sys.float_info.max)
_STRUCTS = frozenset({ParameterType.STRUCT, ParameterType.TASK_FINAL_STATUS, ParameterType.TASK_CONFIG})
SHOWN_MAX = 80
DEPTH_MAX = 100
"""Levels of lists and objects in a value; the same as in documents."""


def fits(kind: ParameterType, value: Json) -> bool:
    """True when the value is of the JSON kind of the type. Nothing is converted; null fits nothing."""
    if kind in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is ParameterType.STRING:
        return isinstance(value, str)
    if kind is ParameterType.BOOLEAN:
        return isinstance(value, bool)
    if kind is ParameterType.LIST:
        return isinstance(value, list)
    return isinstance(value, Mapping)


def as_text(value: Json) -> str:
    """As it stands in commands: a string as it is, all else as compact JSON, integral numbers without a fraction."""
    if isinstance(value, str):
        return value
    return json.dumps(with_integers(value), separators=(",", ":"), ensure_ascii=False)


def from_text(kind: ParameterType, text: str) -> Json:
    """The value that a step has written to a parameter's file. Raises ValueError with what is expected."""
    if kind is ParameterType.STRING:
        return text
    stripped = text.strip()
    if kind in _NUMBERS:
        return _number(stripped)
    if kind is ParameterType.BOOLEAN:
        if stripped in _TRUE or stripped in _FALSE:
            return stripped in _TRUE
        raise ValueError("true or false is expected")
    read: Json = json.loads(stripped)
    check_holdable(read)
    value = with_integers(read)
    if not fits(kind, value):
        raise ValueError(f"a JSON {'list' if kind is ParameterType.LIST else 'object'} is expected")
    return value


def read_back(kind: ParameterType, text: str) -> Json:
    """What `as_text` made the text of, if that was of the type; else the text."""
    if kind is ParameterType.STRING:
        return text
    try:
        read: Json = json.loads(text)
        check_holdable(read)
    except (ValueError, RecursionError):
        return text
    return with_integers(read) if fits(kind, read) else text


def check_holdable(value: Json) -> None:
    """Raise ValueError for a value that is too deep, or has a number beyond those of doubles. Without recursion."""
    level, depth = [value], 0
    while level:
        if depth > DEPTH_MAX:
            raise ValueError(f"it is nested deeper than {DEPTH_MAX}")
        below: list[Json] = []
        for item in level:
            if isinstance(item, Mapping):
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, int) and abs(item) > _DOUBLE_MAX:
                raise ValueError("a number in it is too large")
        level, depth = below, depth + 1


def problem(parameter: ParameterInput, value: Json) -> str:
    """Why the value cannot be given for the parameter; empty when it can."""
    if not fits(parameter.type, value):
        return f"has to be {describe(parameter.type)} and is {shown(value)}"
    if parameter.literals and not any(same(value, literal) for literal in parameter.literals):
        allowed = ", ".join(shown(literal) for literal in parameter.literals)
        return f"has to be one of {allowed} and is {shown(value)}"
    return ""


def same(one: Json, other: Json) -> bool:
    """Equal as JSON: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def describe(kind: ParameterType) -> str:
    """The type, for people."""
    if kind in _NUMBERS:
        return "a number"
    if kind in _STRUCTS:
        return "an object"
    names = {ParameterType.STRING: "a string", ParameterType.BOOLEAN: "true or false"}
    return names.get(kind, "a list")


def shown(value: Json) -> str:
    """The value for a message, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


def _number(text: str) -> Json:
    """Digits are written as every language writes them: neither `1_000` nor those of other scripts."""
    if "_" in text or not text.isascii():
        raise ValueError("a number is expected")
    try:
        number = float(text)
    except ValueError:
        raise ValueError("a number is expected") from None
    if _DIGITS.fullmatch(text) and math.isfinite(number):
        return int(text)
    if math.isinf(number) and "inf" not in text.lower():
        raise ValueError("the number is too large")
    return with_integers(number)
