"""Jobs: made, read, listed and changed. What a turn of a job does is in `job_turns`."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, LiteralString, cast

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from penstock_server.model.errors import AlreadyExists, NotFound
from penstock_server.model.jobs import CatchUp, Job, JobRun, JobSchedule, JobState, Overlap
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.model.resources import CachePolicy
from penstock_server.store import experiments
from penstock_server.store.database import Connection
from penstock_server.store.query import NEVER, Column, Listing, Row
from penstock_server.store.requested import RequestKey, check_repeat, columns
from penstock_server.store.statements import statements
from penstock_server.store.values import dumps

_SQL = statements("jobs")
_OF_RUN = {"display_name": "run_display_name", "description": "run_description", "labels": "run_labels"}
"""Columns that bear another name than the field of the run, since the job has one of that name."""
_OF_SCHEDULE = frozenset(field.name for field in fields(JobSchedule))
_NOT_EDITED = frozenset({"run", "schedule", "labels"})
_PIPELINE: LiteralString = (
    "'namespaces/' || coalesce(job.pipeline_namespace, job.namespace) || '/pipelines/' || job.pipeline_id"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: what follows from its trigger and its state."""

    cursor_time: datetime
    next_slot_time: datetime | None
    attention_time: datetime | None
    """When a server has to look at it; None: not before something happens to it."""


def resource_name(namespace: str, id: str) -> str:
    """`namespaces/{namespace}/jobs/{id}`."""
    return f"namespaces/{namespace}/jobs/{id}"


def _read(row: Row) -> Job:
    values = cast(dict[str, Any], row)
    policy = values["cache_policy"]
    values["cache_policy"] = None if policy is None else CachePolicy(policy)
    run = {field.name: values.pop(_OF_RUN.get(field.name, field.name)) for field in fields(JobRun)}
    schedule = {name: values.pop(name) for name in _OF_SCHEDULE}
    schedule |= {"catch_up": CatchUp(schedule["catch_up"]), "overlap": Overlap(schedule["overlap"])}
    values["state"] = JobState(values["state"])
    return Job(**values, run=JobRun(**run), schedule=JobSchedule(**schedule))


def _position(job: Job, field: str) -> object:
    if field == "name":
        return job.id
    value = getattr(job, field)
    return NEVER if value is None else value


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "name": Column(
            FieldType.TEXT,
            "'namespaces/' || job.namespace || '/jobs/' || job.id",
            orderable=True,
            order_by="job.id",
            equal_to="job.id = split_part({0}, '/', 4) AND 'namespaces/' || job.namespace || '/jobs/' || job.id = {0}",
        ),
        "display_name": Column(FieldType.TEXT, "job.display_name", orderable=True),
        "labels": Column(FieldType.MAP, "job.labels"),
        "experiment": Column(FieldType.TEXT, "'namespaces/' || job.namespace || '/experiments/' || experiment.id"),
        "pipeline": Column(FieldType.TEXT, f"coalesce({_PIPELINE}, '')"),
        "state": Column(FieldType.ENUM, "job.state"),
        "reason": Column(FieldType.TEXT, "job.reason"),
        "create_time": Column(FieldType.TIME, "job.create_time", orderable=True),
        "update_time": Column(FieldType.TIME, "job.update_time", orderable=True),
        "next_slot_time": Column(
            FieldType.TIME,
            "job.next_slot_time",
            orderable=True,
            order_by="coalesce(job.next_slot_time, '9999-12-31 00:00:00+00'::timestamptz)",
        ),
        "last_slot_time": Column(FieldType.TIME, "job.last_slot_time"),
        "archive_time": Column(FieldType.TIME, "job.archive_time"),
    },
    key="job.uid",
    default_order=(Order("create_time", descending=True),),
    read=_read,
    position=_position,
)


async def present(connection: Connection) -> datetime:
    """The time by the database; within a transaction that of its beginning."""
    row = await (await connection.execute(_SQL["present"])).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


async def insert(
    connection: Connection, job: Job, progress: Progress, request: RequestKey | None = None
) -> tuple[Job, bool]:
    """A new job, or the one that the same request made before; whether it is new.

    Raises AlreadyExists(JOB_EXISTS | REQUEST_ID_REUSED), NotFound(NAMESPACE_NOT_FOUND | EXPERIMENT_NOT_FOUND),
    FailedPrecondition(EXPERIMENT_ARCHIVED).
    """
    values = _values(job, progress) | {"id": job.id} | columns(request)
    if await (await connection.execute(_SQL["insert"], values)).fetchone() is not None:
        return await get(connection, job.namespace, job.id), True
    repeated = await find_repeat(connection, job.namespace, request) if request is not None else None
    if repeated is not None:
        return repeated, False
    await experiments.get_open(connection, job.namespace, job.run.experiment_id)
    name = resource_name(job.namespace, job.id)
    raise AlreadyExists("JOB_EXISTS", f"there is {name}; use it or choose another id", metadata={"name": name})


async def find_repeat(connection: Connection, namespace: str, request: RequestKey) -> Job | None:
    """The job that the same request made before. Raises AlreadyExists(REQUEST_ID_REUSED)."""
    wanted = {"namespace": namespace, "request_id": request.id}
    made = await (await connection.execute(_SQL["by_request"], wanted)).fetchone()
    if made is None:
        return None
    check_repeat(request, made[1])
    return await get(connection, namespace, made[0])


async def get(connection: Connection, namespace: str, id: str) -> Job:
    """Raises NotFound(JOB_NOT_FOUND)."""
    job = await _one(connection, "get", {"namespace": namespace, "id": id})
    if job is None:
        raise not_found(namespace, id)
    return job


async def find_by_uid(connection: Connection, uid: uuid.UUID) -> Job | None:
    """The job of that uid, if it is there."""
    return await _one(connection, "get_by_uid", {"uid": uid})


async def list_page(connection: Connection, namespace: str, page: Page) -> Rows[Job]:
    """A page of the jobs of a namespace."""
    return await LISTING.page(connection, page, {"namespace": namespace})


async def lock(connection: Connection, namespace: str, id: str) -> tuple[Job, datetime]:
    """The job, kept from turns and other changes until the transaction ends; the present of the database.

    Raises NotFound(JOB_NOT_FOUND).
    """
    row = await (await connection.execute(_SQL["lock"], {"namespace": namespace, "id": id})).fetchone()
    if row is None:
        raise not_found(namespace, id)
    # Read in a statement of its own: one that waits for a lock sees other tables as they were before it waited.
    return await get(connection, namespace, id), row[1]


async def update(connection: Connection, job: Job, progress: Progress) -> Job:
    """Write all that a user can change of it; its lock is held. Servers and watchers are told.

    Raises NotFound(EXPERIMENT_NOT_FOUND), FailedPrecondition(EXPERIMENT_ARCHIVED).
    """
    await experiments.get_open(connection, job.namespace, job.run.experiment_id)
    await connection.execute(_SQL["update"], _values(job, progress))
    return await get(connection, job.namespace, job.id)


async def disable_without_version(
    connection: Connection, namespace: str, pipeline_id: str, *, reason: str, deleted: str
) -> None:
    """Disable those that have nothing to run any more since `deleted` of this pipeline is deleted, in the transaction
    of the deletion. Servers and watchers are told."""
    message = f"what it runs was deleted: {deleted}"
    values = {"namespace": namespace, "pipeline_id": pipeline_id, "reason": reason, "message": message}
    await connection.execute(_SQL["disable_without_version"], values)


async def delete(connection: Connection, uids: Sequence[uuid.UUID]) -> None:
    """Delete them with their slots and backfills. Servers and watchers are told."""
    await connection.execute(_SQL["delete"], {"uids": list(uids)})


def not_found(namespace: str, id: str) -> NotFound:
    """No such job."""
    name = resource_name(namespace, id)
    return NotFound("JOB_NOT_FOUND", f"there is no {name}", metadata={"name": name})


async def _one(connection: Connection, statement: str, parameters: dict[str, object]) -> Job | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL[statement], parameters)
        row = await cursor.fetchone()
    return None if row is None else _read(row)


def _values(job: Job, progress: Progress) -> dict[str, object]:
    """The job as the parameters of a statement that writes it."""
    values: dict[str, object] = {f.name: getattr(job, f.name) for f in fields(Job) if f.name not in _NOT_EDITED}
    values |= {_OF_RUN.get(f.name, f.name): getattr(job.run, f.name) for f in fields(JobRun)}
    values |= {name: getattr(job.schedule, name) for name in _OF_SCHEDULE}
    values |= {field.name: getattr(progress, field.name) for field in fields(Progress)}
    values["labels"] = Jsonb(dict(job.labels))
    values["run_labels"] = Jsonb(dict(job.run.labels))
    values["parameters"] = Jsonb(dict(job.run.parameters), dumps=dumps)
    return values
