"""What KFP's lists have to find and in which order, told plainly over the JSON of the items."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from penstock.kfp.v2beta1.filter_pb2 import Predicate

Item = Mapping[str, Any]
Read = Callable[[Item], Any]

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
SCALARS = ("string_value", "int_value", "long_value", "timestamp_value")
LISTS = ("string_values", "int_values", "long_values")
OPERATIONS = [name for name, number in Predicate.Operation.items() if number]


@dataclass(frozen=True)
class Key:
    """A key of filters, and a field of orders."""

    kind: str
    """`text`, `uid`, `time`, `word` or `tag`."""
    read: Read
    """Its value: a text, or a time or None."""
    sortable: bool = True

    def order(self, item: Item) -> Any:
        """What the item is ordered by."""
        value = self.read(item)
        return NEVER if self.kind == "time" and value is None else value


@dataclass(frozen=True)
class Kind:
    """A kind of resource."""

    path: str
    items: str
    """Where the answer has them."""
    keys: Mapping[str, Key]


@dataclass(frozen=True)
class Asked:
    """A predicate."""

    operation: str
    key: str
    value_kind: str
    value: Any
    """As the schema's JSON has it; of lists the values."""

    def told(self, *, numbers: bool, camel: bool) -> str:
        """The filter, with operations by number or by name, fields in camelCase or as in the schema."""
        operation = Predicate.Operation.Value(self.operation) if numbers else self.operation
        first, second = self.value_kind.split("_")
        field = first + second.title() if camel else self.value_kind
        value = {"values": self.value} if self.value_kind in LISTS else self.value
        return json.dumps({"predicates": [{"operation": operation, "key": self.key, field: value}]})


def text(field: str) -> Key:
    return Key("text", lambda item: item.get(field, ""))


def uid(field: str) -> Key:
    return Key("uid", lambda item: item.get(field, ""))


def constant(kind: str, value: str) -> Key:
    return Key(kind, lambda _: value)


def word(field: str) -> Key:
    return Key("word", lambda item: item[field])


def time(field: str) -> Key:
    return Key("time", lambda item: datetime.fromisoformat(item[field]) if field in item else None)


def tag(name: str) -> Key:
    return Key("tag", lambda item: item.get("tags", {}).get(name), sortable=False)


def asked_of(key: str, known: Key, values: Sequence[Any]) -> Iterator[Asked]:
    """Each operation with each kind of value, right or wrong; `values` are some that items have."""
    for operation in OPERATIONS:
        for value_kind in SCALARS:
            for value in values if value_kind == "string_value" or known.kind == "time" else values[:1]:
                for form in _forms(value_kind, value):
                    yield Asked(operation, key, value_kind, form)
        for value_kind in LISTS:
            forms = [form for value in values[:2] for form in _forms(value_kind[:-1], value)]
            yield Asked(operation, key, value_kind, forms)
            yield Asked(operation, key, value_kind, [])


def _forms(value_kind: str, value: Any) -> list[Any]:
    """The ways in which a value can be written as that kind."""
    if isinstance(value, str):
        return [value, value.upper(), value[1:3]] if value_kind == "string_value" else [_other(value_kind)]
    seconds = int(value.timestamp())
    far = value.astimezone(timezone(timedelta(hours=5, minutes=30)))
    match value_kind:
        case "string_value":
            return [str(seconds), value.isoformat(), far.isoformat()]
        case "timestamp_value":
            return [value.strftime("%Y-%m-%dT%H:%M:%SZ"), far.isoformat(timespec="milliseconds")]
        case "long_value":
            return [str(seconds), seconds]
        case _:
            return [seconds]


def _other(value_kind: str) -> Any:
    return "2026-01-01T00:00:00Z" if value_kind == "timestamp_value" else 1


def found(asked: Asked, known: Key, items: Sequence[Item]) -> list[int] | None:
    """Which of the items it finds; None: it has to be refused."""
    several = asked.value_kind in LISTS
    if several != (asked.operation == "IN"):
        return None
    if known.kind == "tag" and (asked.operation, asked.value_kind) != ("EQUALS", "string_value"):
        return None
    if asked.operation == "IS_SUBSTRING" and (known.kind == "time" or asked.value_kind != "string_value"):
        return None
    values = asked.value if several else [asked.value]
    if known.kind != "time" and not asked.value_kind.startswith("string") and values:
        return None
    readers: Mapping[str, Callable[[Any], Any]] = {"time": _moment, "uid": Uid}
    read = readers.get(known.kind, str)
    return [index for index, item in enumerate(items) if _holds(asked.operation, known.read(item), map(read, values))]


class Uid(str):
    """Equal to what differs in case only."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.lower())


def _holds(operation: str, has: Any, values: Iterator[Any]) -> bool:
    if isinstance(has, datetime):
        has = has.replace(microsecond=0)
    if operation == "IN":
        return has in list(values)
    value = next(values)
    if has is None:
        return operation == "NOT_EQUALS"
    return bool(_COMPARE[operation](has, value))


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQUALS": lambda has, value: has == value,
    "NOT_EQUALS": lambda has, value: has != value,
    "GREATER_THAN": lambda has, value: has > value,
    "GREATER_THAN_EQUALS": lambda has, value: has >= value,
    "LESS_THAN": lambda has, value: has < value,
    "LESS_THAN_EQUALS": lambda has, value: has <= value,
    "IS_SUBSTRING": lambda has, value: value.lower() in has.lower(),
}


def _moment(value: Any) -> datetime:
    if isinstance(value, int) or value.isdigit():
        return datetime.fromtimestamp(int(value), UTC)
    return datetime.fromisoformat(value).astimezone(UTC).replace(microsecond=0)
