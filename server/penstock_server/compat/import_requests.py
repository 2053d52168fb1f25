"""What requests of KfpImportService bring: KFP's JSON as KFP's messages, our names as ids."""

import uuid
from datetime import datetime
from typing import TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from penstock_server.compat.refusals import wrong
from penstock_server.compat.sources import uuid_of
from penstock_server.compat.times import read_time
from penstock_server.model.imports import Kept
from penstock_server.model.json import Json, JsonObject
from penstock_server.rpc.json_values import from_struct

M = TypeVar("M", bound=Message)


def kfp_message(given: Struct, message: M, field: str) -> M:
    """`message`, filled with KFP's JSON; what is not known here is passed over. Raises InvalidArgument."""
    try:
        ParseDict(_readable(from_struct(given, field)), message, ignore_unknown_fields=True)
    except ParseError as error:
        raise wrong(field, f"is no {message.DESCRIPTOR.name} of KFP: {error}") from None
    return message


def kfp_id(given: Struct, name: str, field: str) -> uuid.UUID:
    """The id that KFP knows it by. Raises InvalidArgument."""
    uid = uuid_of(given.fields[name].string_value) if name in given.fields else None
    if uid is None:
        raise wrong(f"{field}.{name}", "has to be a UUID")
    return uid


def kept(uid: uuid.UUID, created_at: Timestamp, now: datetime, field: str) -> Kept:
    """What it keeps of its own: its id, and the time that it was made at, as far as that lies in the past."""
    if not created_at.ByteSize():
        return Kept(uid, now)
    return Kept(uid, min(read_time(created_at, f"{field}.created_at"), now))


def ids_in(name: str) -> tuple[str, ...]:
    """The ids in a name of ours, whose form the schema has checked: `namespaces/{0}/runs/{1}`."""
    return tuple(name.split("/")[1::2])


def own_id(name: str, namespace: str, field: str, default: str) -> str:
    """The id in a name of that namespace; `default` for none. Raises InvalidArgument."""
    if not name:
        return default
    ids = ids_in(name)
    if ids[0] != namespace:
        raise wrong(field, f"has to be of namespace {namespace}")
    return ids[1]


def _readable(value: JsonObject) -> JsonObject:
    """A resource without the details of its errors, whose types nobody here has to know."""
    return {name: _known(name, item) for name, item in value.items()}


def _known(name: str, value: Json) -> Json:
    match name, value:
        case ("error", dict()):
            return {part: value[part] for part in ("code", "message") if part in value}
        case ("run_details", dict()):
            return _readable(value)
        case (("state_history" | "task_details"), list()):
            return [_readable(item) if isinstance(item, dict) else item for item in value]
        case _:
            return value
