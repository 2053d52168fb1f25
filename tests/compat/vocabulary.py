"""The schema's types in the words of KFP's published client."""

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from tests.compat.contract import local_name, map_entry

SCALARS = {
    FieldDescriptor.TYPE_STRING: "str",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int",
    FieldDescriptor.TYPE_INT64: "str",
}
FOREIGN = {
    "google.protobuf.Any": "ProtobufAny",
    "google.protobuf.Empty": "object",
    "google.protobuf.Struct": "object",
    "google.protobuf.Timestamp": "datetime",
    "google.protobuf.Value": "object",
    "google.rpc.Status": "GoogleRpcStatus",
}


def model_name(kind: Descriptor | EnumDescriptor) -> str:
    """What it calls a message or an enum."""
    return FOREIGN.get(kind.full_name) or local_name(kind).replace(".", "")


def published_type(field: FieldDescriptor) -> str:
    """The type it gives to a field."""
    entry = map_entry(field)
    if entry is not None:
        return f"dict(str, {published_type(entry.fields_by_name['value'])})"
    kind = field.message_type or field.enum_type
    name = SCALARS[field.type] if kind is None else model_name(kind)
    return f"list[{name}]" if field.is_repeated else name
