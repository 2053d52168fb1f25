"""Updates: read, check the etag, write at the revision that was read."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from penstock_server.api.etags import check_etag
from penstock_server.api.masks import Edit
from penstock_server.model.errors import Conflict

TRIES = 5
"""Of an update without an etag, which others may overtake."""


class Revised(Protocol):
    """What records that can be edited have in common."""

    @property
    def uid(self) -> uuid.UUID: ...
    @property
    def revision(self) -> int: ...
    @property
    def display_name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class NewValues:
    """What a record is to hold."""

    display_name: str
    description: str
    labels: Mapping[str, str]
    more: Mapping[str, Any] = field(default_factory=dict)
    """Of further fields those that change."""


RecordT = TypeVar("RecordT", bound=Revised)


async def edited(
    read: Callable[[], Awaitable[RecordT]],
    write: Callable[[RecordT, NewValues], Awaitable[RecordT]],
    edit: Edit,
    given_etag: str,
) -> RecordT:
    """The record after `edit`. An edit that changes nothing writes nothing.

    Raises what `read` raises, and Conflict ETAG_MISMATCH when `given_etag` is not that of the record.
    """
    for tries_left in reversed(range(TRIES)):
        record = await read()
        check_etag(given_etag, record.uid, record.revision)
        values = _merged(record, edit)
        if values == _merged(record, Edit(more={name: getattr(record, name) for name in edit.more})):
            return record
        try:
            return await write(record, values)
        except Conflict:
            if given_etag or not tries_left:
                raise
    raise AssertionError("unreachable")


def _merged(record: Revised, edit: Edit) -> NewValues:
    return NewValues(
        record.display_name if edit.display_name is None else edit.display_name,
        record.description if edit.description is None else edit.description,
        record.labels if edit.labels is None else edit.labels,
        edit.more,
    )


def guarded_revision(record: Revised, given_etag: str) -> int | None:
    """The revision that a delete or the like must find; None when the caller gave no etag.

    Raises Conflict ETAG_MISMATCH when the etag is not that of `record`.
    """
    check_etag(given_etag, record.uid, record.revision)
    return record.revision if given_etag else None
