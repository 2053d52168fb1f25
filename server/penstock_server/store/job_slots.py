"""The slots of jobs, for readers. Turns and backfills write them."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from psycopg.rows import dict_row

from penstock_server.model.jobs import JobSlot, SlotKind, SlotState
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.store.database import Connection
from penstock_server.store.query import Column, Listing, Row
from penstock_server.store.statements import statements

_SQL = statements("job_slots")


def _read(row: Row) -> JobSlot:
    values = cast(dict[str, Any], row)
    values |= {"kind": SlotKind(values["kind"]), "state": SlotState(values["state"])}
    return JobSlot(**values)


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "slot_time": Column(FieldType.TIME, "job_slot.slot_time", orderable=True),
        "kind": Column(FieldType.ENUM, "job_slot.kind"),
        "state": Column(FieldType.ENUM, "job_slot.state"),
        "reason": Column(FieldType.TEXT, "job_slot.reason"),
        "run": Column(
            FieldType.TEXT,
            "coalesce((SELECT 'namespaces/' || job.namespace || '/runs/' || job_slot.run_id FROM job"
            " WHERE job.uid = job_slot.job_uid), '')",
        ),
        "backfill": Column(
            FieldType.TEXT,
            "coalesce((SELECT 'namespaces/' || job.namespace || '/jobs/' || job.id || '/backfills/' || backfill.id"
            " FROM job WHERE job.uid = job_slot.job_uid), '')",
        ),
        "fire_time": Column(FieldType.TIME, "job_slot.fire_time"),
    },
    key="job_slot.covers_many",
    default_order=(Order("slot_time", descending=True),),
    read=_read,
    position=lambda slot, field: slot.last_slot_time is not None if field == "covers_many" else getattr(slot, field),
)


async def list_page(connection: Connection, job_uid: uuid.UUID, page: Page) -> Rows[JobSlot]:
    """A page of the slots of a job."""
    return await LISTING.page(connection, page, {"job_uid": job_uid})


async def changed_after(connection: Connection, job_uid: uuid.UUID, sequence: int, limit: int) -> list[JobSlot]:
    """The slots of a job whose newest change has a higher number, in the order of their changes."""
    parameters = {"job_uid": job_uid, "sequence": sequence, "limit": limit}
    return await _found(connection, "changed_after", parameters)


async def find(connection: Connection, job_uid: uuid.UUID, slot_time: datetime) -> JobSlot | None:
    """One slot by its time."""
    return next(iter(await _found(connection, "at", {"job_uid": job_uid, "slot_time": slot_time})), None)


async def find_repeat(connection: Connection, job_uid: uuid.UUID, request_id: uuid.UUID) -> JobSlot | None:
    """The slot that a request has made before."""
    return next(iter(await _found(connection, "by_request", {"job_uid": job_uid, "request_id": request_id})), None)


async def _found(connection: Connection, statement: str, parameters: Mapping[str, object]) -> list[JobSlot]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL[statement], parameters)
        return [_read(row) for row in await cursor.fetchall()]
