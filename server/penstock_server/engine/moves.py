"""The only place where states change: each move is checked by the model's tables and noted as a change."""

from penstock_server.engine.state import LiveAttempt, LiveRun, LiveTask
from penstock_server.launch.base import Observation
from penstock_server.model.changes import AttemptCreate, AttemptMove, RunMove, TaskCreate, TaskMove
from penstock_server.model.errors import Internal
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.json import Json
from penstock_server.model.resources import TaskValues
from penstock_server.model.states import (
    ATTEMPT_MOVES,
    RUN_MOVES,
    TASK_MOVES,
    AttemptState,
    RunState,
    TaskState,
)


def move_run(
    run: LiveRun, to: RunState, reason: str, message: str = "", outputs: dict[str, Json] | None = None
) -> None:
    """The run goes to `to`."""
    if to not in RUN_MOVES[run.state]:
        raise _illegal(f"run {run.uid}", run.state, to)
    change = RunMove(run.state, to, reason, message, run.failed_task_id, outputs or {})
    run.decisions.changes.append(change)
    run.state, run.reason, run.message = to, reason, message


def create_task(run: LiveRun, task: LiveTask) -> None:
    """The task comes to be."""
    run.tasks[task.id] = task
    parent = task.parent.id if task.parent is not None else None
    run.decisions.changes.append(
        TaskCreate(task.id, parent, task.key, task.display_name, task.kind, task.reason, task.message)
    )


def move_task(
    run: LiveRun,
    task: LiveTask,
    to: TaskState,
    reason: str,
    message: str = "",
    *,
    inputs: TaskValues | None = None,
    outputs: TaskValues | None = None,
    cache_key: str | None = None,
    cached_from: tuple[RunUid, TaskId] | None = None,
    delay_s: float | None = None,
    result_key: str | None = None,
    cache_note: str | None = None,
    step_key: str | None = None,
) -> None:
    """The task goes to `to`; a final state is told to those around it by `dags.settle`."""
    if to not in TASK_MOVES[task.state]:
        raise _illegal(f"task {task.id} of run {run.uid}", task.state, to)
    run.decisions.changes.append(
        TaskMove(
            task.id,
            task.state,
            to,
            reason,
            message,
            inputs,
            outputs,
            cache_key,
            cached_from,
            delay_s,
            result_key,
            cache_note,
            step_key,
        )
    )
    task.state, task.reason, task.message = to, reason, message
    if inputs is not None:
        task.inputs = inputs
    if outputs is not None:
        task.outputs = outputs
    if cache_key is not None:
        task.cache_key = cache_key
    if result_key is not None:
        task.result_key = result_key
    if to.is_final:
        run.ended.append(task)


def create_attempt(run: LiveRun, task: LiveTask) -> LiveAttempt:
    """The next attempt at the task comes to be."""
    if task.live_attempt is not None:
        raise Internal("SECOND_LIVE_ATTEMPT", f"task {task.id} of run {run.uid} has a live attempt already")
    task.attempt_count += 1
    task.attempt = LiveAttempt(task.attempt_count, AttemptState.LAUNCHING)
    run.decisions.changes.append(AttemptCreate(task.id, task.attempt_count, run.launcher))
    return task.attempt


def move_attempt(run: LiveRun, task: LiveTask, attempt: LiveAttempt, to: AttemptState, seen: Observation) -> None:
    """The attempt goes to `to`, for what was seen of it."""
    if to not in ATTEMPT_MOVES[attempt.state]:
        raise _illegal(f"attempt {attempt.number} of task {task.id} of run {run.uid}", attempt.state, to)
    run.decisions.changes.append(
        AttemptMove(
            task.id,
            attempt.number,
            attempt.state,
            to,
            seen.reason or to.value,
            seen.message,
            seen.exit_code,
            seen.log_tail,
            seen.host,
            seen.handle,
            seen.failure_class,
        )
    )
    attempt.state = to


def _illegal(subject: str, before: RunState | TaskState | AttemptState, to: str) -> Internal:
    return Internal("ILLEGAL_MOVE", f"{subject} cannot go from {before} to {to}")
