"""Parameter values: Python's own on this side, `google.protobuf.Value` on the wire.

Numbers travel as doubles, as in KFP. Integers are exact up to 2^53 and come back as integers; larger ones
are refused rather than changed.
"""

import math
from collections.abc import Mapping
from typing import TypeAlias, cast

from google.protobuf import struct_pb2
from google.protobuf.message import Message

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
INTEGER_MAX = 2**53
"""Up to here every integer is a double."""


def to_value(value: object, path: str = "value") -> struct_pb2.Value:
    """A Python value as it is sent. Raises ValueError, naming `path`, for what JSON cannot carry."""
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=_number(value, path))
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        fields = {str(key): to_value(item, f"{path}.{key}") for key, item in value.items()}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
    if isinstance(value, list | tuple):
        items = [to_value(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    raise ValueError(f"{path}: a {type(value).__name__} cannot be sent; use numbers, texts, lists and dicts")


def from_value(value: struct_pb2.Value) -> Json:
    """A value of a message as Python's own; numbers without a fraction become integers."""
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return integral(value.number_value)
        case "string_value":
            return value.string_value
        case "struct_value":
            return from_values(value.struct_value.fields)
        case "list_value":
            return [from_value(item) for item in value.list_value.values]
        case _:
            return None


def from_values(values: Mapping[str, struct_pb2.Value]) -> dict[str, Json]:
    """The values of `run.parameters`, `run.outputs` and their like as a dict."""
    return {name: from_value(value) for name, value in values.items()}


def integral(number: float) -> int | float:
    """`number` as an integer where it is one and exact."""
    return int(number) if number.is_integer() and abs(number) <= INTEGER_MAX else number


def message_to_json(message: Message) -> dict[str, Json]:
    """A message as proto JSON, except that numbers without a fraction are written without one."""
    from google.protobuf.json_format import MessageToDict

    return cast(dict[str, Json], _without_fractions(MessageToDict(message)))


def _without_fractions(value: Json) -> Json:
    if isinstance(value, float):
        return integral(value)
    if isinstance(value, dict):
        return {key: _without_fractions(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_fractions(item) for item in value]
    return value


def _number(value: float, path: str) -> float:
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        raise ValueError(f"{path}: {value} is beyond 2^53 and would be changed on its way; send it as a text")
    if not math.isfinite(value):
        raise ValueError(f"{path}: {value} is not a JSON number; send it as a text")
    return float(value)
