"""Runs: made, read, listed and edited. What moves them from state to state is in `transitions`."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, cast

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from penstock_server.model.changes import RunLimits
from penstock_server.model.errors import AlreadyExists, NotFound
from penstock_server.model.ids import RunUid, ServerId
from penstock_server.model.json import Json
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.model.resources import CachePolicy, Run
from penstock_server.model.states import RunState, TaskState
from penstock_server.store import experiments
from penstock_server.store.database import Connection
from penstock_server.store.query import NEVER, Column, Listing, Row
from penstock_server.store.requested import RequestKey, check_repeat, columns
from penstock_server.store.revisions import changed_meanwhile
from penstock_server.store.statements import statements
from penstock_server.store.values import dumps

_SQL = statements("runs")
_EXPERIMENT: LiteralString = (
    "(SELECT e.uid FROM experiment AS e"
    " WHERE e.namespace = split_part({0}, '/', 2) AND e.id = split_part({0}, '/', 4)"
    " AND 'namespaces/' || e.namespace || '/experiments/' || e.id = {0})"
)
_PIPELINE: LiteralString = (
    "'namespaces/' || coalesce(run.pipeline_namespace, run.namespace) || '/pipelines/' || run.pipeline_id"
)
_OF_PIPELINE: LiteralString = "run.pipeline_id = split_part({0}, '/', 4) AND "


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be made, PENDING, with its root task."""

    uid: RunUid
    namespace: str
    id: str
    experiment_id: str
    pipeline_id: str | None
    pipeline_version: int | None
    spec_digest: str
    document: bytes | None
    """The canonical spec; None when it is known to be stored."""
    display_name: str
    description: str
    labels: Mapping[str, str]
    parameters: Mapping[str, Json]
    cache_policy: CachePolicy
    deadline_s: float | None
    artifact_root: str
    reason: str
    """Of the first state, PENDING."""
    message: str
    traceparent: str | None
    root_display_name: str
    priority: int = 0
    max_parallel_tasks: int | None = None
    task_timeout_s: float | None = None
    queue_timeout_s: float | None = None
    cache_max_age_s: float | None = None
    rerun_of: RunUid | None = None
    job_uid: uuid.UUID | None = None
    """Of the job whose slot makes it; the next three go with it."""
    job_id: str | None = None
    slot_time: datetime | None = None
    backfill_uid: uuid.UUID | None = None
    pipeline_namespace: str | None = None
    """None: the run's own."""


@dataclass(frozen=True, slots=True)
class Inserted:
    """What came of a run to be made."""

    run: Run
    is_new: bool
    """False: the same request made it before."""
    owner: ServerId | None = None
    """Whose it is from the beginning; None: any engine's, once it is announced."""


def resource_name(namespace: str, id: str) -> str:
    """`namespaces/{namespace}/runs/{id}`."""
    return f"namespaces/{namespace}/runs/{id}"


def _read(row: Row) -> Run:
    values = cast(dict[str, Any], row)
    values["cache_policy"] = CachePolicy(values["cache_policy"])
    values["state"] = RunState(values["state"])
    return Run(**values)


def _position(run: Run, field: str) -> object:
    if field == "name":
        return run.id
    value = getattr(run, field)
    return NEVER if value is None else value


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "name": Column(
            FieldType.TEXT,
            "'namespaces/' || run.namespace || '/runs/' || run.id",
            orderable=True,
            order_by="run.id",
            equal_to="(run.namespace, run.id) = (split_part({0}, '/', 2), split_part({0}, '/', 4))"
            " AND 'namespaces/' || run.namespace || '/runs/' || run.id = {0}",
        ),
        "display_name": Column(FieldType.TEXT, "run.display_name", orderable=True),
        "labels": Column(FieldType.MAP, "run.labels"),
        "experiment": Column(
            FieldType.TEXT,
            "'namespaces/' || run.namespace || '/experiments/' || experiment.id",
            # How many runs the experiment has is not known when the statement is planned. The bounds, which change
            # nothing, make the planner take it for few, so that it uses the index on the experiment's runs.
            equal_to=f"run.experiment_uid = {_EXPERIMENT} AND run.experiment_uid >= {_EXPERIMENT}"
            f" AND run.experiment_uid <= {_EXPERIMENT}",
        ),
        "pipeline": Column(
            FieldType.TEXT,
            f"coalesce({_PIPELINE}, '')",
            equal_to=f"{_OF_PIPELINE}{_PIPELINE} = {{0}}",
        ),
        "pipeline_version": Column(
            FieldType.TEXT,
            f"coalesce({_PIPELINE} || '/versions/' || run.pipeline_version, '')",
            equal_to=f"{_OF_PIPELINE}{_PIPELINE} || '/versions/' || run.pipeline_version = {{0}}",
        ),
        "job": Column(
            FieldType.TEXT,
            "coalesce('namespaces/' || run.namespace || '/jobs/' || run.job_id, '')",
            equal_to="run.job_id = split_part({0}, '/', 4)"
            " AND 'namespaces/' || run.namespace || '/jobs/' || run.job_id = {0}",
        ),
        "slot_time": Column(FieldType.TIME, "run.slot_time"),
        "spec_digest": Column(FieldType.TEXT, "run.spec_digest"),
        "state": Column(FieldType.ENUM, "run.state"),
        "reason": Column(FieldType.TEXT, "run.reason"),
        "origin": Column(FieldType.TEXT, "run.origin"),
        "create_time": Column(FieldType.TIME, "run.create_time", orderable=True),
        "update_time": Column(FieldType.TIME, "run.update_time", orderable=True),
        "start_time": Column(
            FieldType.TIME,
            "run.start_time",
            orderable=True,
            order_by="coalesce(run.start_time, '9999-12-31 00:00:00+00'::timestamptz)",
        ),
        "end_time": Column(
            FieldType.TIME,
            "run.end_time",
            orderable=True,
            order_by="coalesce(run.end_time, '9999-12-31 00:00:00+00'::timestamptz)",
        ),
        "archive_time": Column(FieldType.TIME, "run.archive_time"),
    },
    key="run.uid",
    default_order=(Order("create_time", descending=True),),
    read=_read,
    position=_position,
)


async def insert(
    connection: Connection, new: NewRun, request: RequestKey | None = None, *, owner: ServerId | None = None
) -> Inserted:
    """A new run with its root task and first events; or the one that the same request made before.

    One statement writes it, so that no transaction is needed. It belongs to `owner` from the beginning, under
    fence 1, if that is alive; without one it is to be announced. Raises AlreadyExists(RUN_EXISTS |
    REQUEST_ID_REUSED), NotFound(NAMESPACE_NOT_FOUND | EXPERIMENT_NOT_FOUND) and
    FailedPrecondition(EXPERIMENT_ARCHIVED).
    """
    values = {field: getattr(new, field) for field in NewRun.__dataclass_fields__}
    values |= {"labels": Jsonb(dict(new.labels)), "parameters": Jsonb(dict(new.parameters), dumps=dumps)}
    values["owner"] = owner
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["insert"], values | columns(request))
        row = await cursor.fetchone()
    if row is not None:
        taken_by = row.pop("owner")
        return Inserted(_read(row), is_new=True, owner=taken_by)
    repeated = await find_repeat(connection, new.namespace, request) if request is not None else None
    if repeated is not None:
        return Inserted(repeated, is_new=False)
    await experiments.get_open(connection, new.namespace, new.experiment_id)
    name = resource_name(new.namespace, new.id)
    raise AlreadyExists("RUN_EXISTS", f"there is {name}; use it or choose another id", metadata={"name": name})


async def announce(connection: Connection, uids: Sequence[uuid.UUID]) -> None:
    """Wake the engines and the watchers for new runs that nobody owns."""
    await connection.execute(_SQL["announce"], {"uids": list(uids)})


async def find_repeat(connection: Connection, namespace: str, request: RequestKey) -> Run | None:
    """The run that the same request made before. Raises AlreadyExists(REQUEST_ID_REUSED)."""
    wanted = {"namespace": namespace, "request_id": request.id}
    made = await (await connection.execute(_SQL["by_request"], wanted)).fetchone()
    if made is None:
        return None
    check_repeat(request, made[1])
    return await get(connection, namespace, made[0])


async def get(connection: Connection, namespace: str, id: str) -> Run:
    """Raises NotFound(RUN_NOT_FOUND)."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["get"], {"namespace": namespace, "id": id})
        row = await cursor.fetchone()
    if row is None:
        raise not_found(namespace, id)
    return _read(row)


async def find_by_uid(connection: Connection, uid: RunUid) -> Run | None:
    """The run of that uid, if it is there."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["get_by_uid"], {"uid": uid})
        row = await cursor.fetchone()
    return None if row is None else _read(row)


async def list_page(connection: Connection, namespace: str, page: Page) -> Rows[Run]:
    """A page of the runs of a namespace. Specs are not read."""
    return await LISTING.page(connection, page, {"namespace": namespace})


async def task_counts(connection: Connection, uid: RunUid) -> Mapping[TaskState, int]:
    """How many tasks are in which state; states without any are left out."""
    cursor = await connection.execute(_SQL["task_counts"], {"uid": uid})
    return {TaskState(state): count for state, count in await cursor.fetchall()}


async def update(
    connection: Connection,
    run: Run,
    *,
    display_name: str,
    description: str,
    labels: Mapping[str, str],
    limits: RunLimits,
) -> Run:
    """Change it if nobody edited it since it was read; engines are told of new limits.

    Raises Conflict(ETAG_MISMATCH) when somebody did.
    """
    values = {"uid": run.uid, "revision": run.revision, "labels": Jsonb(dict(labels))}
    values |= {"priority": limits.priority, "max_parallel_tasks": limits.max_parallel_tasks}
    parameters = values | {"display_name": display_name, "description": description}
    if await (await connection.execute(_SQL["update"], parameters)).fetchone() is None:
        raise changed_meanwhile(resource_name(run.namespace, run.id))
    return await get(connection, run.namespace, run.id)


async def set_archived(
    connection: Connection, namespace: str, id: str, *, archived: bool, revision: int | None = None
) -> Run:
    """Put it into the archive or take it out; it goes on if it has not ended. Raises NotFound, Conflict."""
    values = {"namespace": namespace, "id": id, "archived": archived, "revision": revision}
    changed = await (await connection.execute(_SQL["archive"], values)).fetchone()
    run = await get(connection, namespace, id)
    if changed is None:
        raise changed_meanwhile(resource_name(namespace, id))
    return run


async def delete(connection: Connection, uid: RunUid) -> None:
    """Delete it with all its rows; watchers are told. One that is gone already is fine."""
    await connection.execute(_SQL["delete"], {"uid": uid})


def not_found(namespace: str, id: str) -> NotFound:
    """No such run."""
    name = resource_name(namespace, id)
    return NotFound("RUN_NOT_FOUND", f"there is no {name}", metadata={"name": name})
