"""KFP's filters: a message as JSON text, read into the store's questions.

Names come in either spelling, operations by name or by number. All predicates have to hold. Values stand for
themselves: `*`, `%` and `_` are characters like any other. Times are compared by whole seconds.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from penstock.kfp.v2beta1.filter_pb2 import Predicate
from penstock_server.compat.fields import Field, Kind
from penstock_server.compat.filter_json import OPERATIONS, predicates_in
from penstock_server.compat.refusals import wrong
from penstock_server.model.errors import InvalidArgument
from penstock_server.model.query import And, Comparison, Filter, Not, Operator, Or

CHARS_MAX = 8_192
PREDICATES_MAX = 64
VALUES_MAX = 500
"""Of one IN."""
_SECOND = timedelta(seconds=1)
_SECONDS = re.compile(r"-?[0-9]{1,12}\Z")
_TAG = "tags."

Op: TypeAlias = "Predicate.Operation.ValueType"
_COMPARISONS: Mapping[Op, Operator] = {
    Predicate.EQUALS: Operator.EQUAL,
    Predicate.NOT_EQUALS: Operator.NOT_EQUAL,
    Predicate.GREATER_THAN: Operator.GREATER,
    Predicate.GREATER_THAN_EQUALS: Operator.GREATER_EQUAL,
    Predicate.LESS_THAN: Operator.LESS,
    Predicate.LESS_THAN_EQUALS: Operator.LESS_EQUAL,
    Predicate.IS_SUBSTRING: Operator.HAS,
}
_ON_WORDS: Mapping[Op, Callable[[str, str], bool]] = {
    Predicate.EQUALS: operator.eq,
    Predicate.NOT_EQUALS: operator.ne,
    Predicate.GREATER_THAN: operator.gt,
    Predicate.GREATER_THAN_EQUALS: operator.ge,
    Predicate.LESS_THAN: operator.lt,
    Predicate.LESS_THAN_EQUALS: operator.le,
    Predicate.IS_SUBSTRING: lambda word, part: part.lower() in word.lower(),
}


def parse_filter(text: str, fields: Mapping[str, Field]) -> Filter | None:
    """The question that `text` asks of a list with these fields; None when it is empty.

    Raises InvalidArgument INVALID_FILTER.
    """
    if not text:
        return None
    predicates = _predicates(text)
    if len(predicates) > PREDICATES_MAX:
        raise _wrong(f"has more than {PREDICATES_MAX} predicates")
    terms = [_located(index, predicate, fields) for index, predicate in enumerate(predicates)]
    return And(tuple(terms)) if terms else None


def _predicates(text: str) -> Sequence[Predicate]:
    if len(text) > CHARS_MAX:
        raise _wrong(f"is longer than {CHARS_MAX} characters")
    try:
        return predicates_in(text)
    except ValueError as error:
        raise _wrong(str(error)) from None


def _located(index: int, predicate: Predicate, fields: Mapping[str, Field]) -> Filter:
    try:
        return _term(predicate, fields)
    except ValueError as error:
        raise _wrong(f"is wrong in predicate {index + 1}: {error}") from None


def _term(predicate: Predicate, fields: Mapping[str, Field]) -> Filter:
    field, column = _field(predicate.key, fields)
    values = _values(predicate)
    if field.kind is Kind.TAGS and predicate.operation != Predicate.EQUALS:
        raise ValueError("a tag is compared with EQUALS")
    if predicate.operation == Predicate.IN:
        terms = tuple(_compared(field, column, Predicate.EQUALS, value) for value in values)
        return Or(terms) if terms else _never(field, column)
    return _compared(field, column, predicate.operation, values[0])


def _field(key: str, fields: Mapping[str, Field]) -> tuple[Field, str]:
    """The field of a key and its column; of a tag with its own key."""
    if "\0" in key:
        raise ValueError("a NUL character is in no key")
    if key.startswith(_TAG) and len(key) > len(_TAG) and "tags" in fields:
        return fields["tags"], f"{fields['tags'].column}.{key.removeprefix(_TAG)}"
    field = fields.get(key.lower())
    if field is None or field.kind in (Kind.TAGS, Kind.METRICS):
        known = {name: each.kind for name, each in fields.items() if each.kind is not Kind.METRICS}
        named = sorted(f"{name}.KEY" if kind is Kind.TAGS else name for name, kind in known.items())
        raise ValueError(f"there is no key {key[:100]!r} here; there are {', '.join(named)}")
    return field, field.column


def _values(predicate: Predicate) -> list[Any]:
    """What is compared with: of IN any number of values, otherwise one."""
    kind = predicate.WhichOneof("value")
    if kind is None:
        raise ValueError("it has no value; give string_value or another one")
    operation = predicate.operation
    if operation != Predicate.IN and operation not in _COMPARISONS:
        raise ValueError(f"operation has to be {OPERATIONS}")
    several = kind.endswith("_values")
    if several != (operation == Predicate.IN):
        raise ValueError("IN takes string_values, int_values or long_values, and all else a single value")
    if operation == Predicate.IS_SUBSTRING and kind != "string_value":
        raise ValueError("IS_SUBSTRING takes string_value")
    value = getattr(predicate, kind)
    if not several:
        return [value]
    if len(value.values) > VALUES_MAX:
        raise ValueError(f"IN takes at most {VALUES_MAX} values")
    return list(value.values)


def _compared(field: Field, column: str, operation: Op, value: Any) -> Filter:
    match field.kind:
        case Kind.TIME:
            return _by_time(column, operation, _moment(value))
        case Kind.CHOICE:
            return _by_choice(field, operation, _text(value))
        case _:
            return Comparison(column, _COMPARISONS[operation], _text(value), literal=True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("this key is text; use string_value or string_values")
    if "\0" in value:
        raise ValueError("a NUL character matches nothing")
    return value


def _by_time(column: str, operation: Op, moment: datetime) -> Filter:
    """Compares whole seconds with a time that has a fraction."""
    since, until = Comparison(column, Operator.GREATER_EQUAL, moment), moment + _SECOND
    match operation:
        case Predicate.EQUALS:
            return And((since, Comparison(column, Operator.LESS, until)))
        case Predicate.NOT_EQUALS:
            return Not(And((since, Comparison(column, Operator.LESS, until))))
        case Predicate.GREATER_THAN:
            return Comparison(column, Operator.GREATER_EQUAL, until)
        case Predicate.GREATER_THAN_EQUALS:
            return since
        case Predicate.LESS_THAN:
            return Comparison(column, Operator.LESS, moment)
        case Predicate.LESS_THAN_EQUALS:
            return Comparison(column, Operator.LESS, until)
        case _:
            raise ValueError("IS_SUBSTRING does not apply to a time")


def _moment(value: Any) -> datetime:
    """A Timestamp, or seconds since 1970 as a number or as text, or text as in RFC 3339; whole seconds."""
    try:
        if isinstance(value, str) and not _SECONDS.match(value):
            given = datetime.fromisoformat(value)
            given = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
            return given.replace(microsecond=0)
        seconds = int(value) if isinstance(value, str | int) else value.seconds
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise ValueError("this key is a time: give timestamp_value, or seconds since 1970") from None


def _by_choice(field: Field, operation: Op, value: str) -> Filter:
    """The words are few, so the comparison is made here and the rows asked for by words."""
    matched = [rows for word, rows in field.choices.items() if _ON_WORDS[operation](word, value)]
    if not matched:
        return _never(field, field.column)
    return Or(tuple(matched))


def _never(field: Field, column: str) -> Filter:
    """What no row is."""
    some = next(iter(field.choices.values()), None) or Comparison(column, Operator.HAS, "*")
    return And((some, Not(some)))


def _wrong(description: str) -> InvalidArgument:
    return wrong("filter", description, "INVALID_FILTER")
