"""Runs, tasks and events as the API shows them: with what stands in other rows, in few statements."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from psycopg.rows import dict_row

from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.query import FieldType, Filter, Order, Page, Rows
from penstock_server.model.resources import ArtifactValue, Event, EventSubject, Run, Task
from penstock_server.model.states import TaskState
from penstock_server.store import runs, tasks
from penstock_server.store.database import Connection
from penstock_server.store.query import NEVER, Column, Listing, Row
from penstock_server.store.statements import statements
from penstock_server.store.values import from_json

_SQL = statements("run_views")


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with what its tasks say of it."""

    run: Run
    task_counts: Mapping[TaskState, int] = field(default_factory=dict)
    """States without tasks are left out."""
    output_artifacts: Mapping[str, tuple[ArtifactValue, ...]] = field(default_factory=dict)
    """Of the root."""
    rerun_of_id: str | None = None
    """Id of the run that it runs again; None when it runs none again, or that one is gone."""


def _read_event(row: Row) -> Event:
    values = cast(dict[str, Any], row)
    return Event(**{**values, "subject": EventSubject(values["subject"])})


def _task_position(task: Task, position: int, field: str) -> object:
    """What a task is ordered by under `field`."""
    match field:
        case "position":
            return position
        case "name":
            return task.id
        case "start_time" | "end_time":
            return getattr(task, field) or NEVER
        case _:
            return getattr(task, field)


_RUNS_OF_UIDS = replace(runs.LISTING, select=_SQL["list_of_uids"])

TASKS = replace(
    tasks.LISTING,
    columns={
        **tasks.LISTING.columns,
        "name": Column(FieldType.TEXT, "%(run_name)s::text || '/tasks/' || id", orderable=True, order_by="id"),
        "start_time": Column(
            FieldType.TIME,
            "start_time",
            orderable=True,
            order_by="coalesce(start_time, '9999-12-31 00:00:00+00'::timestamptz)",
        ),
        "end_time": Column(
            FieldType.TIME,
            "end_time",
            orderable=True,
            order_by="coalesce(end_time, '9999-12-31 00:00:00+00'::timestamptz)",
        ),
    },
    position=lambda placed, field: _task_position(placed.task, placed.position, field),
)

EVENTS = Listing(
    select=_SQL["list_events"],
    columns={
        "sequence": Column(FieldType.NUMBER, "sequence", orderable=True),
        "time": Column(FieldType.TIME, "time"),
        "subject": Column(FieldType.ENUM, "subject"),
        "task": Column(FieldType.TEXT, "coalesce(%(run_name)s::text || '/tasks/' || task_id, '')"),
        "attempt": Column(FieldType.NUMBER, "attempt"),
        "reason": Column(FieldType.TEXT, "reason"),
    },
    key="sequence",
    default_order=(Order("sequence"),),
    read=_read_event,
    position=getattr,
)


async def get(connection: Connection, namespace: str, id: str) -> RunView:
    """Raises NotFound(RUN_NOT_FOUND)."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["get"], {"namespace": namespace, "id": id})
        row = await cursor.fetchone()
    if row is None:
        raise runs.not_found(namespace, id)
    more = (row.pop("task_counts"), row.pop("output_artifacts"), row.pop("rerun_of_id"))
    return _view(runs.LISTING.read(row), *more)


async def of_runs(connection: Connection, found: Sequence[Run]) -> list[RunView]:
    """A view of each of the runs, in their order."""
    if not found:
        return []
    cursor = await connection.execute(_SQL["of_runs"], {"uids": [run.uid for run in found]})
    more = {uid: columns for uid, *columns in await cursor.fetchall()}
    return [_view(run, *more.get(run.uid, (None, None, None))) for run in found]


async def of_uids(
    connection: Connection, namespace: str, uids: Collection[RunUid], condition: Filter | None
) -> Mapping[RunUid, RunView]:
    """Those of the runs that exist and that the condition holds for."""
    if not uids:
        return {}
    scope = {"namespace": namespace, "uids": list(uids)}
    found = await _RUNS_OF_UIDS.page(connection, Page(size=len(uids), filter=condition), scope)
    return {view.run.uid: view for view in await of_runs(connection, found.items)}


async def is_over(connection: Connection, uid: RunUid, sequence: int) -> bool | None:
    """True when the run has ended with the event of that number, and no retry is asked for; None without a run."""
    row = await (await connection.execute(_SQL["is_over"], {"uid": uid, "sequence": sequence})).fetchone()
    return None if row is None else bool(row[0])


async def list_tasks(connection: Connection, run: Run, page: Page, parent_id: TaskId | None = None) -> Rows[Task]:
    """A page of the tasks of a run, or of one parent, without attempts; by default as they came to be."""
    run_name = runs.resource_name(run.namespace, run.id)
    scope = {"run_uid": run.uid, "parent_id": parent_id, "run_name": run_name}
    rows = await TASKS.page(connection, page, scope)
    return Rows(tuple(placed.task for placed in rows.items), rows.next)


async def list_events(connection: Connection, run: Run, page: Page, after_sequence: int) -> Rows[Event]:
    """A page of the events of a run behind the one of that number."""
    run_name = runs.resource_name(run.namespace, run.id)
    scope = {"run_uid": run.uid, "after_sequence": after_sequence, "run_name": run_name}
    return await EVENTS.page(connection, page, scope)


async def tasks_of_ids(connection: Connection, run_uid: RunUid, ids: Collection[TaskId]) -> Mapping[TaskId, Task]:
    """Those of the tasks that exist."""
    if not ids:
        return {}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["tasks_of_ids"], {"run_uid": run_uid, "ids": list(ids)})
        placed = [tasks.LISTING.read(row) for row in await cursor.fetchall()]
    return {item.task.id: item.task for item in placed}


async def run_ids(connection: Connection, uids: Collection[RunUid]) -> Mapping[RunUid, str]:
    """The ids of those of the runs that exist."""
    if not uids:
        return {}
    cursor = await connection.execute(_SQL["run_ids"], {"uids": list(uids)})
    return dict(await cursor.fetchall())


def _view(run: Run, counts: Any, artifacts: Any, rerun_of_id: str | None) -> RunView:
    by_state = {TaskState(state): count for state, count in (counts or {}).items()}
    return RunView(run, by_state, from_json({"artifacts": artifacts or {}}).artifacts, rerun_of_id)
