"""What the schema of KFP's contract declares, as plain tables."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)

from penstock.kfp import v1beta1, v2beta1

SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
}


def files_of(package: ModuleType) -> tuple[FileDescriptor, ...]:
    """The schema files that a generated package was made from."""
    modules = (f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__))
    return tuple(importlib.import_module(name).DESCRIPTOR for name in modules if name.endswith("_pb2"))


V2BETA1 = files_of(v2beta1)
V1BETA1 = files_of(v1beta1)


def messages(files: tuple[FileDescriptor, ...]) -> dict[str, Descriptor]:
    """All messages by their names within the package; the entries of maps are left out."""
    outermost = (message for file in files for message in file.message_types_by_name.values())
    return {local_name(message): message for top in outermost for message in _with_nested(top)}


def _with_nested(message: Descriptor) -> Iterator[Descriptor]:
    if not message.GetOptions().map_entry:
        yield message
        for nested in message.nested_types:
            yield from _with_nested(nested)


def enums(files: tuple[FileDescriptor, ...]) -> dict[str, EnumDescriptor]:
    """All enums by their names within the package."""
    outermost = [enum for file in files for enum in file.enum_types_by_name.values()]
    nested = [enum for message in messages(files).values() for enum in message.enum_types]
    return {local_name(enum): enum for enum in (*outermost, *nested)}


def services(files: tuple[FileDescriptor, ...]) -> tuple[ServiceDescriptor, ...]:
    """All services."""
    return tuple(service for file in files for service in file.services_by_name.values())


def methods(files: tuple[FileDescriptor, ...]) -> tuple[MethodDescriptor, ...]:
    """All methods of all services."""
    return tuple(method for service in services(files) for method in service.methods)


def local_name(descriptor: Descriptor | EnumDescriptor) -> str:
    """The name within its package, such as `Run.StorageState`."""
    return str(descriptor.full_name).removeprefix(f"{descriptor.file.package}.")


def map_entry(field: FieldDescriptor) -> Descriptor | None:
    """The message of a map's entries, of which fields are said to be repeated; None of other fields."""
    kind = field.message_type
    return kind if kind is not None and kind.GetOptions().map_entry else None


def type_name(field: FieldDescriptor) -> str:
    """The type as the schema has it: `string`, `repeated Run.StorageState`, `map<string, google.protobuf.Value>`."""
    entry = map_entry(field)
    if entry is not None:
        return f"map<{', '.join(type_name(part) for part in entry.fields)}>"
    prefix = "repeated " if field.is_repeated else ""
    kind = field.message_type or field.enum_type
    return prefix + (SCALARS[field.type] if kind is None else short_name(kind))


def short_name(kind: Descriptor | EnumDescriptor) -> str:
    """The name as the contract's files write it: without the package where it is theirs."""
    return local_name(kind) if kind.file in (*V2BETA1, *V1BETA1) else str(kind.full_name)


def rule(method: MethodDescriptor) -> HttpRule:
    """How REST reaches `method`."""
    options = method.GetOptions()
    found: HttpRule = options.Extensions[annotations_pb2.http]
    return found


def verb_and_path(binding: HttpRule) -> tuple[str, str]:
    """Such as `GET` and `/apis/v2beta1/runs/{run_id}`."""
    kind = binding.WhichOneof("pattern")
    assert kind is not None
    return kind.upper(), getattr(binding, kind)
