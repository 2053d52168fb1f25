"""Backfills of jobs. The job's lock is held by whoever writes here."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from psycopg.rows import dict_row

from penstock_server.model.errors import AlreadyExists, NotFound
from penstock_server.model.jobs import Backfill, BackfillState, Job
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.store import jobs
from penstock_server.store.database import Connection
from penstock_server.store.query import Column, Listing, Row
from penstock_server.store.requested import RequestKey, check_repeat, columns
from penstock_server.store.statements import statements

_SQL = statements("backfills")


@dataclass(frozen=True, slots=True)
class NewBackfill:
    """A backfill to be made."""

    id: str
    start_time: datetime
    end_time: datetime
    max_concurrency: int = 1
    request: RequestKey | None = None


def resource_name(job: Job, id: str) -> str:
    """`namespaces/{namespace}/jobs/{job}/backfills/{id}`."""
    return f"{jobs.resource_name(job.namespace, job.id)}/backfills/{id}"


def _read(row: Row) -> Backfill:
    values = cast(dict[str, Any], row)
    values["state"] = BackfillState(values["state"])
    return Backfill(**values)


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "name": Column(
            FieldType.TEXT,
            "(SELECT 'namespaces/' || job.namespace || '/jobs/' || job.id || '/backfills/' || backfill.id FROM job"
            " WHERE job.uid = backfill.job_uid)",
        ),
        "state": Column(FieldType.ENUM, "backfill.state"),
        "create_time": Column(FieldType.TIME, "backfill.create_time", orderable=True),
        "finish_time": Column(FieldType.TIME, "backfill.finish_time"),
    },
    key="backfill.uid",
    default_order=(Order("create_time", descending=True),),
    read=_read,
    position=getattr,
)


async def insert(connection: Connection, job: Job, new: NewBackfill) -> uuid.UUID:
    """A new backfill without slots. Raises AlreadyExists(BACKFILL_EXISTS)."""
    values = {"uid": uuid.uuid4(), "job_uid": job.uid, "id": new.id, "max_concurrency": new.max_concurrency}
    values |= {"start_time": new.start_time, "end_time": new.end_time, **columns(new.request)}
    made = await (await connection.execute(_SQL["insert"], values)).fetchone()
    if made is None:
        name = resource_name(job, new.id)
        raise AlreadyExists("BACKFILL_EXISTS", f"there is {name}; choose another id", metadata={"name": name})
    uid: uuid.UUID = made[0]
    return uid


async def find_repeat(connection: Connection, job: Job, request: RequestKey) -> Backfill | None:
    """The backfill that the same request made before. Raises AlreadyExists(REQUEST_ID_REUSED)."""
    wanted = {"job_uid": job.uid, "request_id": request.id}
    row = await (await connection.execute(_SQL["by_request"], wanted)).fetchone()
    if row is None:
        return None
    check_repeat(request, row[1])
    return await get(connection, job, row[0])


async def get(connection: Connection, job: Job, id: str) -> Backfill:
    """Raises NotFound(BACKFILL_NOT_FOUND)."""
    found = await _found(connection, "get", {"job_uid": job.uid, "id": id})
    if not found:
        name = resource_name(job, id)
        raise NotFound("BACKFILL_NOT_FOUND", f"there is no {name}", metadata={"name": name})
    return found[0]


async def list_page(connection: Connection, job: Job, page: Page) -> Rows[Backfill]:
    """A page of the backfills of a job."""
    return await LISTING.page(connection, page, {"job_uid": job.uid})


async def count_taken(connection: Connection, job_uid: uuid.UUID, slot_times: Sequence[datetime]) -> int:
    """How many of these slots have fired, or wait already."""
    values = {"job_uid": job_uid, "slot_times": list(slot_times)}
    row = await (await connection.execute(_SQL["fired_before"], values)).fetchone()
    assert row is not None
    return int(row[0])


async def add_slots(
    connection: Connection,
    job: Job,
    uid: uuid.UUID,
    slot_times: Sequence[datetime],
    *,
    reason: str,
    message: str,
) -> int:
    """Let these slots wait for the backfill unless they have fired or wait already; how many that are."""
    values = {"job_uid": job.uid, "backfill_uid": uid, "slot_times": list(slot_times), "sequence": job.sequence}
    cursor = await connection.execute(_SQL["add_slots"], values | {"reason": reason, "message": message})
    added = cursor.rowcount
    counts = {"uid": uid, "slot_count": added, "fired_before_count": len(slot_times) - added}
    await connection.execute(_SQL["set_counts"], counts)
    return added


async def set_state(connection: Connection, uid: uuid.UUID, state: BackfillState) -> None:
    """Where an open one stands from here on."""
    await connection.execute(_SQL["set_state"], {"uid": uid, "state": state})


async def skip_waiting(connection: Connection, job: Job, uid: uuid.UUID, *, reason: str, message: str) -> int:
    """Skip the slots of it that wait; how many that were."""
    values = {"job_uid": job.uid, "uid": uid, "sequence": job.sequence, "reason": reason, "message": message}
    return (await connection.execute(_SQL["skip_waiting"], values)).rowcount


async def cancel_runs(connection: Connection, uid: uuid.UUID, message: str) -> None:
    """Ask for its runs to be cancelled; engines are told."""
    await connection.execute(_SQL["cancel_runs"], {"uid": uid, "message": message})


async def _found(connection: Connection, statement: str, parameters: Mapping[str, object]) -> list[Backfill]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL[statement], parameters)
        return [_read(row) for row in await cursor.fetchall()]
