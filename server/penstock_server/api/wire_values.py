"""What conversions of records have in common: times, durations, JSON values, the fields that every resource has."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, overload

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from penstock_server.api.etags import etag
from penstock_server.model.json import Json
from penstock_server.rpc.json_values import to_value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Resource(Protocol):
    """A record of a resource."""

    @property
    def uid(self) -> uuid.UUID: ...
    @property
    def display_name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def revision(self) -> int: ...
    @property
    def create_time(self) -> datetime: ...
    @property
    def update_time(self) -> datetime: ...


def common_fields(record: Resource) -> dict[str, Any]:
    """The fields that every resource has."""
    return {
        "uid": str(record.uid),
        "etag": etag(record.uid, record.revision),
        "display_name": record.display_name,
        "description": record.description,
        "labels": record.labels,
        "create_time": timestamp(record.create_time),
        "update_time": timestamp(record.update_time),
    }


def json_values(values: Mapping[str, Json]) -> dict[str, Any]:
    """Parameters or outputs."""
    return {name: to_value(value) for name, value in values.items()}


@overload
def timestamp(time: datetime) -> Timestamp: ...
@overload
def timestamp(time: datetime | None) -> Timestamp | None: ...
def timestamp(time: datetime | None) -> Timestamp | None:
    """The time; None stays absent."""
    if time is None:
        return None
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


@overload
def duration(seconds: float) -> Duration: ...
@overload
def duration(seconds: float | None) -> Duration | None: ...
def duration(seconds: float | None) -> Duration | None:
    """The time span; None stays absent."""
    if seconds is None:
        return None
    message = Duration()
    message.FromMicroseconds(round(seconds * 1_000_000))
    return message
