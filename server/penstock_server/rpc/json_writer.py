"""Messages as the text of proto JSON.

It is the text that protobuf's own printer gives, but for whole numbers, which are written as such, and made in a third
of the time: what a field of a type needs is worked out once, not for each value, and a JSON object that is written time
and again, as the spec of a pipeline is, is written out once.
"""

import base64
import json
import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, TypeAlias, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import FloatValue

from penstock_server.model.recent import Recent

Writer: TypeAlias = Callable[[Any], str]

WHOLE_MAX = 2**53
"""Larger numbers stay in the notation of floats, since not every whole number is one of them."""
KEPT_BYTES_MAX = 8 * 1024 * 1024
"""Of messages that were written out, and of their texts."""
KEPT_BYTES_MIN = 256
"""A smaller message is written as fast as it is found."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the text names the zone
_NULL = "google.protobuf.NullValue"

_quoted: Writer = encode_basestring


class JsonWriter:
    """Writes messages of all types, names in camelCase, or as the schema has them; defaults are left out."""

    def __init__(self, *, schema_names: bool = False, kept: Collection[str] = ()) -> None:
        """`kept`: full names of further types whose messages are written time and again."""
        self._schema_names = schema_names
        self._kept_types = frozenset(kept)
        self._texts: Recent[tuple[str, bytes], str] = Recent(KEPT_BYTES_MAX)
        self._writers: dict[str, Writer] = {
            "google.protobuf.Any": self._any,
            "google.protobuf.Duration": _as_text,
            "google.protobuf.FieldMask": _as_text,
            "google.protobuf.Timestamp": _timestamp,
            "google.protobuf.Struct": self._keeping("google.protobuf.Struct", _struct),
            "google.protobuf.ListValue": _list_value,
            "google.protobuf.Value": _value,
        }

    def write(self, message: Message) -> bytes:
        """The message as JSON. Raises ValueError for a value that JSON has no words for."""
        return self._of_type(cast(Descriptor, message.DESCRIPTOR))(message).encode()

    def _of_type(self, descriptor: Descriptor) -> Writer:
        found = self._writers.get(descriptor.full_name)
        if found is not None:
            return found
        if descriptor.file.name == "google/protobuf/wrappers.proto":
            write = _scalar(descriptor.fields_by_name["value"])
            writer: Writer = lambda message: write(message.value)  # noqa: E731
        else:
            writer = self._of_fields(descriptor)
        return self._writers.setdefault(descriptor.full_name, writer)

    def _of_fields(self, descriptor: Descriptor) -> Writer:
        members: dict[FieldDescriptor, tuple[str, Writer]] = {}

        def write(message: Message) -> str:
            parts = []
            for field, value in message.ListFields():
                head, write_value = members[field]
                parts.append(head + write_value(value))
            return "{" + ",".join(parts) + "}"

        name = descriptor.full_name
        writer = self._keeping(name, write) if name in self._kept_types else write
        # A type may hold itself, so that its writer has to be known before those of its fields.
        self._writers[name] = writer
        members.update({field: (self._head(field), self._of_field(field)) for field in descriptor.fields})
        return writer

    def _head(self, field: FieldDescriptor) -> str:
        return _quoted(field.name if self._schema_names else field.json_name) + ":"

    def _of_field(self, field: FieldDescriptor) -> Writer:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            return self._map(kind)
        write = self._of_type(kind) if kind is not None else _scalar(field)
        if field.is_repeated:
            return lambda values: "[" + ",".join(map(write, values)) + "]"
        return write

    def _map(self, entry: Descriptor) -> Writer:
        write_key = _key(entry.fields_by_name["key"])
        write = self._of_field(entry.fields_by_name["value"])

        def write_all(values: Mapping[Any, Any]) -> str:
            return "{" + ",".join([write_key(key) + ":" + write(value) for key, value in values.items()]) + "}"

        return write_all

    def _any(self, message: Any) -> str:
        document = _whole_numbers(MessageToDict(message, preserving_proto_field_name=self._schema_names))
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

    def _keeping(self, name: str, write: Writer) -> Writer:
        """Writes messages of a type. Those of some size are kept as they were written, by what they are on the wire."""

        def write_once(message: Message) -> str:
            content = message.SerializeToString(deterministic=True)
            if len(content) < KEPT_BYTES_MIN:
                return write(message)
            text = self._texts.get((name, content))
            if text is None:
                text = write(message)
                self._texts.keep((name, content), text, len(content) + len(text))
            return text

        return write_once


def _struct(struct: Struct) -> str:
    return "{" + ",".join([_quoted(key) + ":" + _value(value) for key, value in struct.fields.items()]) + "}"


def _list_value(values: ListValue) -> str:
    return "[" + ",".join(map(_value, values.values)) + "]"


def _value(value: Value) -> str:
    match value.WhichOneof("kind"):
        case "string_value":
            return _quoted(value.string_value)
        case "struct_value":
            return _struct(value.struct_value)
        case "list_value":
            return _list_value(value.list_value)
        case "bool_value":
            return _boolean(value.bool_value)
        case "number_value":
            if not math.isfinite(value.number_value):
                raise ValueError(f"{value.number_value} is no number of JSON")
            return _number(value.number_value)
        case _:
            return "null"


def _scalar(field: FieldDescriptor) -> Writer:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return _base64 if field.type == FieldDescriptor.TYPE_BYTES else _quoted
        case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_UINT32:
            return str
        case FieldDescriptor.CPPTYPE_INT64 | FieldDescriptor.CPPTYPE_UINT64:
            return _quoted_whole
        case FieldDescriptor.CPPTYPE_BOOL:
            return _boolean
        case FieldDescriptor.CPPTYPE_ENUM:
            return _enumerated(field)
        case FieldDescriptor.CPPTYPE_FLOAT:
            return lambda value: _double(_shortest(value))
        case _:
            return _double


def _key(field: FieldDescriptor) -> Writer:
    """Of a map: always a text."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _quoted
    write = _scalar(field)
    return lambda key: _quoted(write(key).strip('"'))


def _enumerated(field: FieldDescriptor) -> Writer:
    assert field.enum_type is not None
    if field.enum_type.full_name == _NULL:
        return lambda _value: "null"
    words = {number: _quoted(value.name) for number, value in field.enum_type.values_by_number.items()}
    return lambda number: words.get(number) or str(number)


def _base64(value: bytes) -> str:
    return '"' + base64.b64encode(value).decode("ascii") + '"'


def _quoted_whole(value: int) -> str:
    return f'"{value}"'


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _double(value: float) -> str:
    if math.isfinite(value):
        return _number(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def _shortest(value: float) -> float:
    """The number of fewest digits that is `value` in four bytes: 0.1 for what is 0.10000000149 in eight."""
    digits = (float(format(value, f".{count}g")) for count in range(6, 9))
    return next((short for short in digits if FloatValue(value=short).value == value), value)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < WHOLE_MAX else repr(value)


def _as_text(message: Any) -> str:
    return _quoted(message.ToJsonString())


def _timestamp(message: Timestamp) -> str:
    nanos = message.nanos
    try:
        whole = _second(message.seconds)
    except OverflowError:
        return _as_text(message)  # which says what is wrong
    if not 0 <= nanos < 1_000_000_000:
        return _as_text(message)
    if nanos % 1000:
        return f'"{whole}.{nanos:09d}Z"'
    if nanos % 1_000_000:
        return f'"{whole}.{nanos // 1000:06d}Z"'
    return f'"{whole}.{nanos // 1_000_000:03d}Z"' if nanos else f'"{whole}Z"'


@lru_cache(maxsize=4096)
def _second(number: int) -> str:
    """The text of a time, in whole seconds since 1970. What is told together happened within a few of them. Raises
    OverflowError before the year 1 and after 9999."""
    minute, second = divmod(number, 60)
    return f"{_minute(minute)}:{second:02d}"


@lru_cache(maxsize=1024)
def _minute(number: int) -> str:
    return (_EPOCH + timedelta(minutes=number)).isoformat(timespec="minutes")


def _whole_numbers(value: Any) -> Any:
    match value:
        case float() if value.is_integer() and abs(value) < WHOLE_MAX:
            return int(value)
        case dict():
            return {key: _whole_numbers(item) for key, item in value.items()}
        case list():
            return [_whole_numbers(item) for item in value]
        case _:
            return value
