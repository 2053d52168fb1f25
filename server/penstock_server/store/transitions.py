"""Writes what engines have decided: many runs in one transaction, each whole or not at all.

Several changes of one row in a batch become one write of where they lead; every one of them is an event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.errors import InvalidTextRepresentation

from penstock_server.model.changes import (
    SUBJECT_OF,
    AttemptCreate,
    AttemptMove,
    Change,
    Notice,
    RunChanges,
    RunLimits,
    RunMove,
    RunPause,
    TaskCreate,
    TaskMove,
)
from penstock_server.model.errors import Internal
from penstock_server.model.ids import RunUid, ServerId, TaskId
from penstock_server.model.resources import TaskValues
from penstock_server.model.states import AttemptState, RunState, TaskState
from penstock_server.store.database import Connection
from penstock_server.store.statements import statements
from penstock_server.store.values import artifact_uid, dumps, identified, to_json

_SQL = statements("transitions")
RUN_PAUSED = "RUN_PAUSED"
RUN_RESUMED = "RUN_RESUMED"
RUN_LIMITS_CHANGED = "RUN_LIMITS_CHANGED"
_CLEAN: Mapping[str, Any] = {
    "reset": True,
    "started": False,
    "queued": False,
    "inputs": None,
    "outputs": None,
    "cache_key": None,
    "result_key": None,
    "cache_note": None,
    "step_key": None,
}
"""Of a task that begins again."""
_STEP_STATES = frozenset({AttemptState.RUNNING, AttemptState.SUCCEEDED, AttemptState.FAILED})


@dataclass(frozen=True, slots=True)
class CommitResult:
    """How a batch went."""

    refused: frozenset[RunUid]
    """Runs whose lease is another one's, or that are elsewhere than the batch said: nothing of theirs was written."""


async def commit(connection: Connection, server_id: ServerId, batch: Sequence[RunChanges]) -> CommitResult:
    """Write the batch, whole or not at all, on a connection of its own or in a transaction.

    Raises Internal when a change finds its subject in another state than it names: a fault of ours.
    """
    rows = _Rows()
    for changes in batch:
        rows.add(changes)
    parameters: dict[str, object] = {name: dumps(value) for name, value in rows.parameters().items()}
    parameters["server_id"] = server_id
    try:
        if rows.has_cleared:
            async with connection.transaction():
                await connection.execute(_SQL["clear_artifacts"], parameters)
                cursor = await connection.execute(_SQL["commit"], parameters)
        else:
            cursor = await connection.execute(_SQL["commit"], parameters)
    except InvalidTextRepresentation as error:
        raise Internal("INTERNAL", f"a batch was refused: {error.diag.message_primary}") from error
    row = await cursor.fetchone()
    assert row is not None
    return CommitResult(frozenset(changes.run_uid for changes in batch) - frozenset(row[0]))


class _Rows:
    """The batch as rows: what is new, what moves, and all events."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.new_tasks: dict[tuple[str, str], dict[str, Any]] = {}
        self.tasks: dict[tuple[str, str], dict[str, Any]] = {}
        self.new_attempts: dict[tuple[str, str, int], dict[str, Any]] = {}
        self.attempts: dict[tuple[str, str, int], dict[str, Any]] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.has_cleared = False
        """A task that had succeeded begins again."""

    def parameters(self) -> dict[str, list[dict[str, Any]]]:
        """What the statement takes."""
        return {
            "runs": self.runs,
            "new_tasks": list(self.new_tasks.values()),
            "tasks": list(self.tasks.values()),
            "new_attempts": list(self.new_attempts.values()),
            "attempts": list(self.attempts.values()),
            "artifacts": self.artifacts,
            "events": self.events,
        }

    def add(self, changes: RunChanges) -> None:
        uid = str(changes.run_uid)
        run: dict[str, Any] = {
            "uid": uid,
            "fence": changes.fence,
            "sequence": changes.event_sequence,
            "changes": len(changes.changes),
            "started": False,
            "reset": False,
        }
        self.runs.append(run)
        for sequence, change in enumerate(changes.changes, changes.event_sequence + 1):
            self._event(uid, sequence, change)
            match change:
                case RunMove():
                    _move_run(run, change)
                case RunPause():
                    run["paused"] = change.paused
                case RunLimits():
                    run |= {"priority": change.priority, "max_parallel_tasks": change.max_parallel_tasks}
                case TaskCreate():
                    self.new_tasks[uid, change.id] = _new_task(uid, sequence, change)
                case TaskMove():
                    self._move_task(changes.run_uid, change)
                case AttemptCreate():
                    self._new_attempt(uid, change)
                case AttemptMove():
                    self._move_attempt(uid, change)
                case Notice():
                    pass  # an event and nothing else

    def _event(self, uid: str, sequence: int, change: Change) -> None:
        event: dict[str, Any] = {"run_uid": uid, "sequence": sequence, "subject": SUBJECT_OF[type(change)]}
        match change:
            case RunMove():
                event |= {"from_state": change.from_state, "to_state": change.to_state}
            case TaskCreate():
                event |= {"task_id": change.id, "to_state": TaskState.PENDING}
            case TaskMove():
                event |= {"task_id": change.id, "from_state": change.from_state, "to_state": change.to_state}
            case AttemptCreate():
                event |= {"task_id": change.task_id, "attempt": change.number}
                event["to_state"] = AttemptState.LAUNCHING
            case AttemptMove():
                event |= {"task_id": change.task_id, "attempt": change.number}
                event |= {"from_state": change.from_state, "to_state": change.to_state}
            case Notice():
                event |= {"task_id": change.task_id, "attempt": change.attempt}
            case RunPause():
                event["reason"] = RUN_PAUSED if change.paused else RUN_RESUMED
            case RunLimits():
                event["reason"] = RUN_LIMITS_CHANGED
        event.setdefault("reason", getattr(change, "reason", ""))
        event["message"] = getattr(change, "message", "")
        self.events.append(event)

    def _move_task(self, run_uid: RunUid, move: TaskMove) -> None:
        key = (str(run_uid), move.id)
        row = self.new_tasks.get(key) or self.tasks.get(key)
        if row is None:
            row = self.tasks[key] = {
                "run_uid": key[0],
                "id": move.id,
                "expected": move.from_state,
                "attempts": 0,
                "started": False,
                "reset": False,
            }
        if move.to_state is TaskState.PENDING:
            row |= _CLEAN
            self.has_cleared |= move.from_state is TaskState.SUCCEEDED
        row |= {"state": move.to_state, "reason": move.reason, "message": move.message}
        row["started"] = row["started"] or move.to_state is TaskState.RUNNING
        row["ended"] = move.to_state.is_final
        if move.to_state is TaskState.QUEUED and move.from_state is not TaskState.QUEUED:
            row["queued"] = True
        row["delay_s"] = move.delay_s
        if move.inputs is not None:
            row["inputs"] = to_json(move.inputs)
        if move.outputs is not None:
            row["outputs"] = self._outputs(run_uid, move.id, move.outputs)
        if move.cache_key is not None:
            row["cache_key"] = move.cache_key
        if move.result_key is not None:
            row["result_key"] = move.result_key
        if move.cache_note is not None:
            row["cache_note"] = move.cache_note
        if move.step_key is not None:
            row["step_key"] = move.step_key
        if move.cached_from is not None:
            row |= {"cached_run_uid": str(move.cached_from[0]), "cached_task_id": move.cached_from[1]}

    def _outputs(self, run_uid: RunUid, task_id: TaskId, outputs: TaskValues) -> dict[str, Any]:
        """The outputs as they are stored; the artifacts that this very task has made are recorded beside them."""
        known = identified(outputs, run_uid, task_id)
        stored = to_json(known)
        for output, values in known.artifacts.items():
            for index, value in enumerate(values):
                if value.uid == artifact_uid(run_uid, task_id, output, index):
                    place = {"run_uid": str(run_uid), "task_id": task_id, "output": output, "index": index}
                    self.artifacts.append(stored["artifacts"][output][index] | place)
        return stored

    def _new_attempt(self, uid: str, create: AttemptCreate) -> None:
        self.new_attempts[uid, create.task_id, create.number] = {
            "run_uid": uid,
            "task_id": create.task_id,
            "number": create.number,
            "launcher": create.launcher,
            "state": AttemptState.LAUNCHING,
            "reason": "",
            "message": "",
            "log_tail": "",
            "host": "",
            "handle": "",
            "started": False,
            "ended": False,
        }
        task = self.new_tasks.get((uid, create.task_id)) or self.tasks.get((uid, create.task_id))
        if task is None:
            raise Internal("INTERNAL", f"attempt {create.number} of {create.task_id} comes without a move of its task")
        task["attempts"] += 1

    def _move_attempt(self, uid: str, move: AttemptMove) -> None:
        key = (uid, move.task_id, move.number)
        row = self.new_attempts.get(key) or self.attempts.get(key)
        if row is None:
            row = self.attempts[key] = {
                "run_uid": uid,
                "task_id": move.task_id,
                "number": move.number,
                "expected": move.from_state,
                "started": False,
                "host": "",
                "handle": "",
            }
        row |= {"state": move.to_state, "reason": move.reason, "message": move.message}
        row |= {"exit_code": move.exit_code, "log_tail": move.log_tail, "ended": move.to_state.is_final}
        row["failure_class"] = move.failure_class
        row["host"] = move.host or row["host"]
        row["handle"] = move.handle or row["handle"]
        row["started"] = row["started"] or move.to_state in _STEP_STATES


def _move_run(run: dict[str, Any], move: RunMove) -> None:
    run.setdefault("from_state", move.from_state)
    if move.to_state is RunState.PENDING:
        run |= {"reset": True, "started": False}
    run |= {"to_state": move.to_state, "reason": move.reason, "message": move.message}
    run |= {"failed_task_id": move.failed_task_id, "outputs": dict(move.outputs)}
    run["started"] = run["started"] or move.to_state is RunState.RUNNING


def _new_task(uid: str, sequence: int, create: TaskCreate) -> dict[str, Any]:
    return {
        "run_uid": uid,
        "id": create.id,
        "position": sequence,
        "parent_id": create.parent_id,
        "key": create.key,
        "display_name": create.display_name,
        "kind": create.kind,
        "state": TaskState.PENDING,
        "reason": create.reason,
        "message": create.message,
        "attempts": 0,
        "started": False,
        "ended": False,
    }
