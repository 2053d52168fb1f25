"""Third-party protos: gathered from the packages that ship them into build/protos, never committed.

`google/api` and `google/rpc` are copied from `googleapis-common-protos`. `protovalidate` ships `buf/validate`
only as a descriptor, so its source is written back from that descriptor; the rules' own CEL text is left out,
since the validator carries it and a schema only needs the declarations.
"""

import shutil
from pathlib import Path

import google.api
import google.rpc
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from protovalidate._gen.buf.validate import validate_pb  # the only place where the package keeps its schema

ROOT = Path(__file__).resolve().parent.parent
THIRD_PARTY = ROOT / "build" / "protos"
GOOGLE_API = ("annotations", "client", "field_behavior", "http", "launch_stage", "resource")
GOOGLE_RPC = ("code", "error_details", "status")
FIELD_NUMBER_LIMIT = 1 << 29  # one more than the highest field number


def gather() -> Path:
    """Write the third-party protos into `build/protos` and return that folder."""
    shutil.rmtree(THIRD_PARTY, ignore_errors=True)
    for package, names in ((google.api, GOOGLE_API), (google.rpc, GOOGLE_RPC)):
        source = Path(next(iter(package.__path__)))
        target = THIRD_PARTY / "google" / source.name
        target.mkdir(parents=True)
        for name in names:
            shutil.copy(source / f"{name}.proto", target)
    target = THIRD_PARTY / "buf" / "validate"
    target.mkdir(parents=True)
    (target / "validate.proto").write_text(source_of(validate_descriptor()))
    return THIRD_PARTY


def validate_descriptor() -> FileDescriptorProto:
    """The descriptor of buf/validate/validate.proto as `protovalidate` ships it."""
    return FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())


def source_of(file: FileDescriptorProto) -> str:
    """Proto2 source that declares what `file` declares; options are left out."""
    lines = ['syntax = "proto2";', f"package {file.package};"]
    lines += [f'import "{name}";' for name in file.dependency]
    for extension in file.extension:
        lines += [f"extend {extension.extendee} {{", f"  {_field(extension)}", "}"]
    for enum in file.enum_type:
        lines += _enum(enum)
    for message in file.message_type:
        lines += _message(message)
    return "\n".join(lines) + "\n"


def _message(message: DescriptorProto) -> list[str]:
    lines = [f"message {message.name} {{"]
    for nested in message.nested_type:
        if not nested.options.map_entry:
            lines += _message(nested)
    for enum in message.enum_type:
        lines += _enum(enum)
    for index, oneof in enumerate(message.oneof_decl):
        members = [f for f in message.field if f.HasField("oneof_index") and f.oneof_index == index]
        lines += [f"oneof {oneof.name} {{", *(_field(f, label=False) for f in members), "}"]
    lines += [_field(f) for f in message.field if not f.HasField("oneof_index")]
    lines += [f"extensions {r.start} to {r.end - 1 if r.end < 1 << 29 else 'max'};" for r in message.extension_range]
    return [*lines, "}"]


def _enum(enum: EnumDescriptorProto) -> list[str]:
    return [f"enum {enum.name} {{", *(f"{v.name} = {v.number};" for v in enum.value), "}"]


def _field(field: FieldDescriptorProto, *, label: bool = True) -> str:
    kind = field.type_name or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    prefix = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower() + " " if label else ""
    return f"{prefix}{kind} {field.name} = {field.number};"
