"""What the fields of a list may be compared with, and how values are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from penstock_server.model.query import Comparison, FieldType, Operator, Order, Scalar

_EQUALITY = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})
_ORDERED = frozenset(Operator) - {Operator.HAS}
_OPERATORS: Mapping[FieldType, frozenset[Operator]] = {
    FieldType.TEXT: frozenset(Operator),
    FieldType.ENUM: _EQUALITY,
    FieldType.TIME: _ORDERED,
    FieldType.NUMBER: _ORDERED,
    FieldType.BOOLEAN: _EQUALITY,
    FieldType.MAP: frozenset({Operator.HAS}),
}
_BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}
_INTEGER_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ListFields:
    """The documented fields of one list."""

    types: Mapping[str, FieldType]
    enums: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Field of type ENUM to its values, as in the filter: `RUNNING`."""
    orders: frozenset[str] = frozenset()
    """Those that the list can be ordered by."""
    default_order: tuple[Order, ...] = ()
    """Without `order_by`; empty: the store's own."""

    def type_of(self, name: str) -> FieldType | None:
        """Type of the field, `labels.team` being text; None when there is no such field."""
        head, dot, _key = name.partition(".")
        if dot and self.types.get(head) is FieldType.MAP:
            return FieldType.TEXT
        return self.types.get(name)


def check_field(fields: ListFields, name: str) -> None:
    """Raise ValueError unless the list has the field."""
    if fields.type_of(name) is None:
        raise ValueError(f"there is no field '{name}' here; there are {', '.join(sorted(fields.types))}")


def comparison(fields: ListFields, name: str, operator: Operator, text: str, *, quoted: bool) -> Comparison:
    """`name operator text` with the text read as the field's type. Raises ValueError."""
    if "\0" in text or "\0" in name:
        raise ValueError("a NUL character matches nothing")
    kind = fields.type_of(name)
    assert kind is not None, name
    if operator is Operator.HAS and text == "*" and not quoted:
        return Comparison(name, operator, "*")
    if operator is Operator.HAS and kind in (FieldType.ENUM, FieldType.NUMBER, FieldType.BOOLEAN):
        operator = Operator.EQUAL  # AIP-160: on a single value, `:` asks for that value
    if operator not in _OPERATORS[kind]:
        raise ValueError(_refused(name, kind, operator))
    return Comparison(name, operator, _read(fields, name, kind, text))


def _refused(name: str, kind: FieldType, operator: Operator) -> str:
    allowed = " ".join(sorted(_OPERATORS[kind]))
    hint = f"; compare one of its keys as {name}.key = value" if kind is FieldType.MAP else ""
    return f"'{operator}' does not apply to '{name}', which is {kind.lower()} and takes {allowed}{hint}"


def _read(fields: ListFields, name: str, kind: FieldType, text: str) -> Scalar:
    match kind:
        case FieldType.TIME:
            return _time(text)
        case FieldType.NUMBER:
            return _number(text)
        case FieldType.BOOLEAN:
            return _boolean(text)
        case FieldType.ENUM:
            return _enum(fields.enums.get(name, frozenset()), name, text)
        case FieldType.TEXT | FieldType.MAP:
            return text


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a time as in 2026-01-31T09:30:00Z") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time is too far away") from None


def _number(text: str) -> int | float:
    try:
        number = int(text) if text.removeprefix("-").isdecimal() else float(text)
    except ValueError:
        raise ValueError("expected a number") from None
    if not -_INTEGER_MAX <= number <= _INTEGER_MAX:  # also refuses NaN
        raise ValueError("this number is out of range")
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError("expected true or false")
    return _BOOLEANS[text.lower()]


def _enum(values: frozenset[str], name: str, text: str) -> str:
    value = text.removeprefix(f"{name.upper()}_")
    if value not in values:
        raise ValueError(f"'{name}' is one of {', '.join(sorted(values))}")
    return value
