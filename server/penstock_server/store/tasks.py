"""Tasks and their attempts, as they are read. What moves them is in `transitions`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from psycopg.rows import dict_row

from penstock_server.model.errors import NotFound
from penstock_server.model.ids import AttemptId, RunUid, TaskId
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.model.resources import KUBERNETES, Attempt, Task, TaskKind, TaskValues
from penstock_server.model.states import AttemptState, FailureClass, TaskState
from penstock_server.store.database import Connection
from penstock_server.store.query import Column, Listing, Row
from penstock_server.store.statements import statements
from penstock_server.store.values import from_json

_SQL = statements("tasks")


@dataclass(frozen=True, slots=True)
class CachedTask:
    """A task whose results may be used again."""

    run_uid: RunUid
    run_id: str
    id: TaskId
    outputs: TaskValues
    age_s: float
    """Since it ended."""


@dataclass(frozen=True, slots=True)
class EarlierTask:
    """The newest one of the same step that succeeded, with other inputs or another component."""

    run_id: str
    id: TaskId
    inputs: TaskValues
    result_key: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A result that is looked for."""

    cache_key: str
    step_key: str | None = None
    """What is looked for if there is none, to tell what differs."""


@dataclass(frozen=True, slots=True)
class _PlacedTask:
    """A task with its place in the order in which tasks came to be."""

    task: Task
    position: int


def _read(row: Row) -> Task:
    values = dict(cast(dict[str, Any], row))
    del values["position"]
    values["kind"] = TaskKind(values["kind"])
    values["state"] = TaskState(values["state"])
    values["inputs"] = from_json(values["inputs"])
    values["outputs"] = from_json(values["outputs"])
    return Task(**values)


def _read_placed(row: Row) -> _PlacedTask:
    return _PlacedTask(_read(row), cast(int, row["position"]))


def _read_attempt(row: Row) -> Attempt:
    values = cast(dict[str, Any], row)
    failure = values["failure_class"]
    failure_class = None if failure is None else FailureClass(failure)
    return Attempt(**{**values, "state": AttemptState(values["state"]), "failure_class": failure_class})


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "key": Column(FieldType.TEXT, "key", orderable=True),
        "display_name": Column(FieldType.TEXT, "display_name", orderable=True),
        "kind": Column(FieldType.ENUM, "kind"),
        "state": Column(FieldType.ENUM, "state"),
        "reason": Column(FieldType.TEXT, "reason"),
        "create_time": Column(FieldType.TIME, "create_time", orderable=True),
        "start_time": Column(FieldType.TIME, "start_time"),
        "end_time": Column(FieldType.TIME, "end_time"),
        "position": Column(FieldType.NUMBER, "position", orderable=True),
    },
    key="position",
    default_order=(Order("position"),),
    read=_read_placed,
    position=lambda item, field: item.position if field == "position" else getattr(item.task, field),
)


async def list_page(connection: Connection, run_uid: RunUid, page: Page, parent_id: TaskId | None = None) -> Rows[Task]:
    """A page of the tasks of a run, or of one parent, in the order in which they came to be. Without attempts."""
    rows = await LISTING.page(connection, page, {"run_uid": run_uid, "parent_id": parent_id})
    return Rows(tuple(placed.task for placed in rows.items), rows.next)


async def get(connection: Connection, run_uid: RunUid, task_id: TaskId) -> Task:
    """Raises NotFound(TASK_NOT_FOUND)."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["get"], {"run_uid": run_uid, "task_id": task_id})
        row = await cursor.fetchone()
    if row is None:
        message = f"the run has no task {task_id}; list its tasks"
        raise NotFound("TASK_NOT_FOUND", message, metadata={"task": task_id})
    return _read(row)


async def attempts(connection: Connection, run_uid: RunUid, task_id: TaskId) -> list[Attempt]:
    """All attempts at a task, in order."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["attempts"], {"run_uid": run_uid, "task_id": task_id})
        return [_read_attempt(row) for row in await cursor.fetchall()]


async def newest_attempts(
    connection: Connection, run_uid: RunUid, task_ids: Collection[TaskId] | None, launcher: str
) -> Mapping[TaskId, Attempt]:
    """The newest attempt at each of the tasks, or at every task of the run, that the launcher was asked for."""
    values = {"run_uid": run_uid, "task_ids": None if task_ids is None else list(task_ids), "launcher": launcher}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["newest_attempts"], values)
        found = [_read_attempt(row) for row in await cursor.fetchall()]
    return {attempt.task_id: attempt for attempt in found}


async def attempt_in_pod(connection: Connection, run_uid: RunUid, pod: str) -> Attempt | None:
    """The attempt of the run that the pod of that name executed; None where there is none."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["attempt_in_pod"], {"run_uid": run_uid, "pod": pod, "launcher": KUBERNETES})
        row = await cursor.fetchone()
    return None if row is None else _read_attempt(row)


async def all_of_run(connection: Connection, run_uid: RunUid) -> list[Task]:
    """Every task of a run, parents before their children."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["all_of_run"], {"run_uid": run_uid})
        return [_read(row) for row in await cursor.fetchall()]


async def attempts_of_run(connection: Connection, run_uid: RunUid) -> list[Attempt]:
    """The attempts at all tasks of a run that have not ended."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["attempts_of_run"], {"run_uid": run_uid})
        return [_read_attempt(row) for row in await cursor.fetchall()]


async def over(connection: Connection, attempts: Mapping[AttemptId, int]) -> set[AttemptId]:
    """Of some attempts, with the fences they were launched under, those that have ended or whose run is deleted.

    One that was launched under a newer fence than the run has is none of them: what is read may be old.
    """
    values = {
        "run_uids": [attempt.run_uid for attempt in attempts],
        "task_ids": [attempt.task_id for attempt in attempts],
        "numbers": [attempt.number for attempt in attempts],
        "fences": list(attempts.values()),
    }
    cursor = await connection.execute(_SQL["over"], values)
    return {AttemptId(RunUid(run), TaskId(task), number) for run, task, number in await cursor.fetchall()}


async def find_cached(
    connection: Connection, namespace: str, wanted: Collection[Wanted]
) -> Mapping[Wanted, CachedTask | EarlierTask]:
    """The newest task of the namespace that succeeded under each cache key; else the newest one of the same step."""
    asked = list(wanted)
    keys = {"keys": [each.cache_key for each in asked], "step_keys": [each.step_key for each in asked]}
    cursor = await connection.execute(_SQL["find_cached"], {"namespace": namespace, **keys})
    return {asked[place - 1]: _found(*columns) for place, *columns in await cursor.fetchall()}


def _found(
    run_uid: RunUid, run_id: str, id: TaskId, outputs: Any, age_s: float, inputs: Any, result_key: str | None
) -> CachedTask | EarlierTask:
    if outputs is None:
        return EarlierTask(run_id, id, from_json(inputs), result_key)
    return CachedTask(run_uid, run_id, id, from_json(outputs), float(age_s))
