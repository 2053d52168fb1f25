"""Messages as JSON, beside what protobuf's own printer says of them."""

import json
import random
from typing import Any

import pytest
from google.protobuf import wrappers_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.kfp.v2beta1 import experiment_pb2, pipeline_pb2, recurring_run_pb2
from penstock.kfp.v2beta1 import run_pb2 as kfp_run_pb2
from penstock.v1 import job_service_pb2, namespace_service_pb2, pipeline_service_pb2, run_service_pb2
from penstock_server.rpc.json_values import to_struct
from penstock_server.rpc.json_writer import KEPT_BYTES_MIN, WHOLE_MAX, JsonWriter

FIELD = FieldDescriptorProto
KEYS = {FIELD.TYPE_STRING, FIELD.TYPE_BOOL, FIELD.TYPE_INT32, FIELD.TYPE_INT64, FIELD.TYPE_UINT32, FIELD.TYPE_UINT64}
SCALARS = [number for number in FIELD.Type.values() if number not in (FIELD.TYPE_GROUP, FIELD.TYPE_MESSAGE, 14)]
NUMBERS = [0.0, -0.0, 2.0, 0.1, -1.5, 1e300, float(WHOLE_MAX), float(WHOLE_MAX - 1), 3.25e-7]
TEXTS = ["", "plain", 'a "quoted" \\ one', "line\nbreak\t\x01", "ärger 🜁", "</script>"]
CHANCE = 0.7
DEPTH = 3


def _every_kind() -> type[Message]:
    """A message with a field, a list and a map of every kind of value, and itself."""
    kind = DescriptorProto(name="EveryKind")
    for number in SCALARS:
        kind.field.add(name=f"one_{number}", number=number, type=number, label=FIELD.LABEL_OPTIONAL)
        kind.field.add(name=f"some_{number}", number=100 + number, type=number, label=FIELD.LABEL_REPEATED)
        if number in KEYS:
            entry = kind.nested_type.add(name=f"By{number}Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=number, label=FIELD.LABEL_OPTIONAL)
            entry.field.add(name="value", number=2, type=11, label=FIELD.LABEL_OPTIONAL, type_name=".every.EveryKind")
            kind.field.add(
                name=f"by_{number}",
                number=200 + number,
                type=11,
                label=FIELD.LABEL_REPEATED,
                type_name=f".every.EveryKind.By{number}Entry",
            )
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="every.proto", package="every", syntax="proto3", message_type=[kind]))
    return GetMessageClass(pool.FindMessageTypeByName("every.EveryKind"))


TYPES: list[type[Message]] = [
    *(run_service_pb2.ListRunsResponse, run_service_pb2.GetRunResponse, run_service_pb2.WatchRunResponse),
    *(job_service_pb2.ListJobsResponse, pipeline_service_pb2.ListPipelinesResponse),
    *(kfp_run_pb2.ListRunsResponse, kfp_run_pb2.Run, experiment_pb2.ListExperimentsResponse),
    *(pipeline_pb2.ListPipelineVersionsResponse, recurring_run_pb2.RecurringRun),
    *(wrappers_pb2.FloatValue, wrappers_pb2.Int64Value, wrappers_pb2.BytesValue),
    *(Struct, Value, _every_kind()),
]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.DESCRIPTOR.full_name)
@pytest.mark.parametrize("schema_names", [False, True])
def test_text_is_that_of_protobuf_but_for_whole_numbers(kind: type[Message], schema_names: bool) -> None:
    writer = JsonWriter(schema_names=schema_names)
    for seed in range(5):
        message = kind()
        _fill(message, random.Random(seed), DEPTH)
        expected = _whole(MessageToDict(message, preserving_proto_field_name=schema_names))
        text = writer.write(message)
        assert text.decode() == json.dumps(expected, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    "time",
    [
        *(Timestamp(), Timestamp(seconds=1_700_000_000, nanos=1), Timestamp(seconds=1_700_000_000, nanos=5_000)),
        *(Timestamp(seconds=-1, nanos=120_000_000), Timestamp(seconds=-62_135_596_800)),
        Timestamp(seconds=253_402_300_799, nanos=999_999_999),
    ],
)
def test_times_are_written_with_as_many_digits_as_they_need(time: Timestamp) -> None:
    assert json.loads(JsonWriter().write(time)) == time.ToJsonString()


@pytest.mark.parametrize("time", [Timestamp(seconds=253_402_300_800), Timestamp(nanos=-1)])
def test_a_time_that_is_none_is_refused(time: Timestamp) -> None:
    with pytest.raises(ValueError, match=r"Timestamp|[Nn]anos"):
        JsonWriter().write(time)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_has_not_is_refused_in_a_value_and_named_in_a_field(number: float) -> None:
    with pytest.raises(ValueError, match="no number of JSON"):
        JsonWriter().write(Value(number_value=number))
    wrapped = wrappers_pb2.DoubleValue(value=number)
    assert json.loads(JsonWriter().write(wrapped)) == MessageToDict(wrapped)


def test_what_is_in_an_any_is_written_as_its_type_says() -> None:
    packed = AnyMessage()
    packed.Pack(Duration(seconds=90))
    assert json.loads(JsonWriter().write(packed)) == MessageToDict(packed)


def test_an_object_that_has_changed_is_not_written_as_it_was() -> None:
    kept = JsonWriter()
    struct = to_struct({"text": "x" * KEPT_BYTES_MIN, "count": 1})
    before = kept.write(struct)
    assert kept.write(struct) == before
    struct["count"] = 2
    assert json.loads(kept.write(struct)) == {"text": "x" * KEPT_BYTES_MIN, "count": 2}


def test_messages_of_two_types_that_are_the_same_on_the_wire_are_told_apart() -> None:
    writer = JsonWriter(schema_names=True, kept=["penstock.v1.GetRunRequest", "penstock.v1.GetNamespaceResponse"])
    request = run_service_pb2.GetRunRequest(name="x" * KEPT_BYTES_MIN)
    response = namespace_service_pb2.GetNamespaceResponse.FromString(request.SerializeToString())
    for message in (request, response, request):
        assert json.loads(writer.write(message)) == MessageToDict(message, preserving_proto_field_name=True)


def _fill(message: Any, chance: random.Random, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if chance.random() < CHANCE:
            _set(message, field, chance, depth)


def _set(message: Any, field: FieldDescriptor, chance: random.Random, depth: int) -> None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        _add_entries(getattr(message, field.name), kind.fields_by_name, chance, depth)
    elif kind is None:
        values = [_scalar(field, chance) for _ in range(3)]
        _give(message, field, values)
    elif depth and field.is_repeated:
        for _ in range(2):
            _fill_known(getattr(message, field.name).add(), chance, depth - 1)
    elif depth:
        getattr(message, field.name).SetInParent()
        _fill_known(getattr(message, field.name), chance, depth - 1)


def _give(message: Any, field: FieldDescriptor, values: list[Any]) -> None:
    """Set a scalar, or add to a list of them."""
    if field.is_repeated:
        getattr(message, field.name).extend(values)
    else:
        setattr(message, field.name, values[0])


def _add_entries(entries: Any, fields: Any, chance: random.Random, depth: int) -> None:
    for _ in range(2):
        key = _scalar(fields["key"], chance)
        if fields["value"].message_type is None:
            entries[key] = _scalar(fields["value"], chance)
        elif depth:
            _fill_known(entries[key], chance, depth - 1)


def _fill_known(message: Any, chance: random.Random, depth: int) -> None:
    """Fill, within what the well-known types allow."""
    match message.DESCRIPTOR.full_name:
        case "google.protobuf.Timestamp":
            message.seconds = chance.randrange(-(10**10), 10**11)
            message.nanos = chance.choice([0, 120_000_000, 123_456_000, 123_456_789])
        case "google.protobuf.Duration":
            message.seconds = chance.randrange(10**6)
        case "google.protobuf.FieldMask":
            message.paths.extend(["display_name", "labels"])
        case "google.protobuf.Any":
            message.Pack(Duration(seconds=chance.randrange(100)))
        case _:
            _fill(message, chance, depth)


def _scalar(field: FieldDescriptor, chance: random.Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = chance.choice(TEXTS)
            return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
        case FieldDescriptor.CPPTYPE_BOOL:
            return chance.choice([True, False])
        case FieldDescriptor.CPPTYPE_ENUM:
            assert field.enum_type is not None
            return chance.choice([*field.enum_type.values_by_number, 0])
        case FieldDescriptor.CPPTYPE_FLOAT:
            return chance.choice([0.1, 2.0, -1.5, 3.4e38, 1.17549435e-38])
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return chance.choice(NUMBERS)
        case _:
            return chance.choice([0, 1, 2**31 - 1])


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer() and abs(value) < WHOLE_MAX:
            return int(value)
        case dict():
            return {key: _whole(item) for key, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case _:
            return value
