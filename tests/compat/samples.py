"""Messages made up at random after their descriptors."""

import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.compat.contract import map_entry

FILLED = 0.7
"""How likely a field is set."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_MAX = 4_000_000_000 * 10**6
TEXTS = ("", "a", "Größe 大小 🙂", 'quote " and \\ and \n', "null", "2026-01-01", "1e3", string.printable)
WHOLE = {32: (0, 1, -1, 2**31 - 1, -(2**31)), 64: (0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63))}


def message(descriptor: Descriptor, random: Random) -> Message:
    """A message of a kind; `details` of a google.rpc.Status stay empty, since they may hold anything."""
    made = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if field.name != "details" and random.random() < FILLED:
            _fill(made, field, random)
    return made


def _fill(made: Message, field: FieldDescriptor, random: Random) -> None:
    """Set one field; one of a oneof takes the place of the one before."""
    count = random.randrange(3)
    entry = map_entry(field)
    if entry is not None:
        for key in random.sample(TEXTS, count):
            _put(getattr(made, field.name), key, entry.fields_by_name["value"], random)
    elif field.message_type is not None:
        target = getattr(made, field.name)
        for part in [target.add() for _ in range(count)] if field.is_repeated else [target]:
            part.SetInParent()
            part.CopyFrom(_part(field.message_type, random))
    elif field.is_repeated:
        getattr(made, field.name).extend(scalar(field, random) for _ in range(count))
    else:
        setattr(made, field.name, scalar(field, random))


def _put(entries: Any, key: str, value: FieldDescriptor, random: Random) -> None:
    if value.message_type is None:
        entries[key] = scalar(value, random)
    else:
        entries[key].CopyFrom(_part(value.message_type, random))


def _part(descriptor: Descriptor, random: Random) -> Message:
    if descriptor.full_name in WELL_KNOWN:
        return ParseDict(WELL_KNOWN[descriptor.full_name](random), GetMessageClass(descriptor)())
    return message(descriptor, random)


def scalar(field: FieldDescriptor, random: Random) -> Any:
    """A value for a field that holds no message."""
    if field.enum_type is not None:
        return random.choice(field.enum_type.values).number
    return SCALARS[field.type](random)


def time(random: Random) -> str:
    """A point in time as JSON has it, to the microsecond, which is what a Python client reads."""
    return (EPOCH + timedelta(microseconds=random.randrange(MICROSECONDS_MAX))).isoformat()


def json_value(random: Random, depth: int = 3) -> Any:
    """Any JSON value."""
    kinds: list[Callable[[], Any]] = [
        lambda: random.choice(TEXTS),
        lambda: random.choice((0.0, 2.0, -0.5, 1e300, 123456789.0)),
        lambda: random.random() < 0.5,
        lambda: None,
    ]
    if depth:
        kinds.append(lambda: [json_value(random, depth - 1) for _ in range(random.randrange(3))])
        kinds.append(lambda: json_object(random, depth - 1))
    return random.choice(kinds)()


def json_object(random: Random, depth: int = 3) -> dict[str, Any]:
    """Any JSON object."""
    return {key: json_value(random, depth) for key in random.sample(TEXTS, random.randrange(3))}


SCALARS: Mapping[int, Callable[[Random], Any]] = {
    FieldDescriptor.TYPE_STRING: lambda random: random.choice(TEXTS),
    FieldDescriptor.TYPE_BOOL: lambda random: random.random() < 0.5,
    FieldDescriptor.TYPE_INT32: lambda random: random.choice(WHOLE[32]),
    FieldDescriptor.TYPE_INT64: lambda random: random.choice(WHOLE[64]),
    FieldDescriptor.TYPE_BYTES: lambda random: random.randbytes(random.randrange(5)),
}

WELL_KNOWN: Mapping[str, Callable[[Random], Any]] = {
    "google.protobuf.Timestamp": time,
    "google.protobuf.Struct": json_object,
    # Null by itself is left out: the published client does not write it.
    "google.protobuf.Value": lambda random: {} if (value := json_value(random)) is None else value,
}
