"""What runs have been through, as far as KFP's messages tell it: their own moves, and their tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import TaskKind, TaskValues
from penstock_server.model.states import TaskState
from penstock_server.store.database import Connection
from penstock_server.store.statements import statements
from penstock_server.store.values import from_json

_SQL = statements("kfp_histories")
_NO_VALUES = TaskValues()


@dataclass(frozen=True, slots=True)
class Move:
    """A run, or a task, has come into a state."""

    to_state: str
    reason: str
    message: str
    time: datetime


@dataclass(frozen=True, slots=True)
class KfpTask:
    """A task, with what is told of it; see `model.resources.Task`."""

    state: TaskState
    reason: str
    message: str
    create_time: datetime
    kind: TaskKind
    inputs: TaskValues
    """Of these, as of `outputs`, the artifacts alone."""
    outputs: TaskValues
    id: TaskId
    parent_id: TaskId | None
    key: str
    display_name: str
    attempt_count: int
    start_time: datetime | None
    end_time: datetime | None


@dataclass(frozen=True, slots=True)
class History:
    """What a run has been through."""

    moves: Sequence[Move]
    """Of the run itself."""
    tasks: Sequence[KfpTask]
    """Parents before their children; none where there is no room for them."""


async def histories(connection: Connection, uids: Sequence[RunUid], tasks_max: int | None = None) -> list[History]:
    """Of each of the runs, in their order, with so many tasks at most in all.

    A run that has more tasks than there is room for comes without any, and so do all behind it.
    """
    limit = None if tasks_max is None else tasks_max + 1
    rows = await (await connection.execute(_SQL["histories"], {"uids": list(uids), "limit": limit})).fetchall()
    found: list[tuple[list[Move], list[KfpTask]]] = [([], []) for _ in uids]
    for place, is_task, _number, *values in rows:
        moves, tasks = found[place - 1]
        if is_task:
            tasks.append(_task(*values))
        else:
            moves.append(Move(*values[:4]))
    if tasks_max is not None and sum(len(tasks) for _, tasks in found) > tasks_max:
        # The last one has more than were read.
        next(tasks for _, tasks in reversed(found) if tasks).clear()
    return [History(moves, tasks) for moves, tasks in found]


async def task_moves(
    connection: Connection, asked: Sequence[tuple[RunUid, TaskId]]
) -> Mapping[RunUid, Mapping[TaskId, Sequence[Move]]]:
    """The moves of tasks, each task's in order."""
    values = {"uids": [uid for uid, _ in asked], "task_ids": [id for _, id in asked]}
    found: dict[RunUid, dict[TaskId, list[Move]]] = {}
    for uid, task_id, *move in await (await connection.execute(_SQL["task_moves"], values)).fetchall():
        found.setdefault(uid, {}).setdefault(task_id, []).append(Move(*move))
    return found


def _task(
    state: str, reason: str, message: str, create_time: datetime, kind: str, inputs: Any, outputs: Any, *rest: Any
) -> KfpTask:
    """From the columns of a row, which are in the order of the fields."""
    given, made = _artifacts(inputs), _artifacts(outputs)
    return KfpTask(TaskState(state), reason, message, create_time, TaskKind(kind), given, made, *rest)


def _artifacts(stored: Any) -> TaskValues:
    return from_json({"artifacts": stored}) if stored else _NO_VALUES
