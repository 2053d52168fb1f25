"""JSON between `google.protobuf.Value` and Python."""

import math
from collections.abc import Mapping

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.json import Json, JsonObject


def to_value(value: Json) -> Value:
    """`value` as a message; every number is a double."""
    match value:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case list():
            message = Value()
            message.list_value.values.extend(map(to_value, value))
            return message
        case _:
            return Value(struct_value=to_struct(value))


def to_struct(value: Mapping[str, Json]) -> Struct:
    """The object `value` as a message."""
    struct = Struct()
    for key, item in value.items():
        struct.fields[key].CopyFrom(to_value(item))
    return struct


def from_struct(struct: Struct, field: str) -> JsonObject:
    """The object in `struct`, integral numbers as int.

    Raises InvalidArgument INVALID_REQUEST naming the path below `field` of what is not JSON or holds a NUL.
    """
    return {_text(key, field): from_value(item, f"{field}.{key}") for key, item in struct.fields.items()}


def from_value(value: Value, field: str) -> Json:
    """The value in `value`, integral numbers as int. Raises as `from_struct` does."""
    match value.WhichOneof("kind"):
        case "null_value":
            return None
        case "bool_value":
            return value.bool_value
        case "number_value":
            return _number(value.number_value, field)
        case "string_value":
            return _text(value.string_value, field)
        case "list_value":
            return [from_value(item, f"{field}[{index}]") for index, item in enumerate(value.list_value.values)]
        case "struct_value":
            return from_struct(value.struct_value, field)
        case _:
            raise _wrong(field, "has no value; null is a value of its own")


def _number(number: float, field: str) -> int | float:
    if not math.isfinite(number):
        raise _wrong(field, f"{number} is not a JSON number")
    return int(number) if number.is_integer() else number


def _text(text: str, field: str) -> str:
    if "\0" in text:
        raise _wrong(field, "must not hold a NUL character")
    return text


def _wrong(field: str, description: str) -> InvalidArgument:
    field = field.replace("\0", "\\0")
    return InvalidArgument(
        "INVALID_REQUEST", f"{field}: {description}", violations=[FieldViolation(field, description)]
    )
