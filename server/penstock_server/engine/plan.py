"""What follows from what: a run and an event in, decisions out. No I/O, no clock, no randomness.

`advance` changes the run in memory and returns what has to be written and done for it. Those about steps are
in `steps.py`, those about DAGs in `dags.py`; here stand those about the run as a whole.
"""

from collections.abc import Callable
from typing import Any

from penstock_server.engine import dags, reasons, steps
from penstock_server.engine.effects import Decisions, WaitForDeadline
from penstock_server.engine.inputs import (
    CacheAnswered,
    CancelRequested,
    DeadlinePassed,
    LaunchRefused,
    Observed,
    PlanEvent,
    RetryDue,
    RetryRequested,
    RunTaken,
    SlotGranted,
)
from penstock_server.engine.moves import move_run, move_task
from penstock_server.engine.state import LiveRun, LiveTask
from penstock_server.model.resources import TaskKind
from penstock_server.model.states import RunState, TaskState


def advance(run: LiveRun, event: PlanEvent) -> Decisions:
    """Bring the run to where it stands after the event, and tell what has to be written and done for that."""
    _HANDLERS[type(event)](run, event)
    dags.settle(run)
    decisions, run.decisions = run.decisions, Decisions()
    return decisions


def _take(run: LiveRun, _: RunTaken) -> None:
    if run.state is RunState.PENDING:
        _begin(run)
    elif not run.state.is_final:
        _resume(run)


def _begin(run: LiveRun) -> None:
    move_run(run, RunState.RUNNING, reasons.STARTED)
    _await_deadline(run, 0.0)
    if run.root.state.is_final:
        run.ended.append(run.root)
    else:
        run.ready.append(run.root)


def _resume(run: LiveRun) -> None:
    """Derive from the states alone what has to be asked and done."""
    if run.is_cancelling:
        # First of all, lest an attempt that never started be started by being adopted.
        _stop_tasks(run)
    else:
        _await_deadline(run, run.elapsed_s)
    for task in list(run.tasks.values()):
        if task.kind is TaskKind.STEP:
            steps.resume(run, task)
        elif task.state is TaskState.RUNNING:
            dags.resume(run, task)
    if run.root.state is TaskState.PENDING and not run.is_cancelling:
        run.ready.append(run.root)


def _await_deadline(run: LiveRun, elapsed_s: float) -> None:
    if run.record.deadline_s is not None:
        run.decisions.effects.append(WaitForDeadline(max(0.0, run.record.deadline_s - elapsed_s)))


def _cancel(run: LiveRun, request: CancelRequested) -> None:
    _end_early(run, request.reason, request.message)


def _pass_deadline(run: LiveRun, _: DeadlinePassed) -> None:
    limit = run.record.deadline_s or 0.0
    _end_early(run, reasons.DEADLINE_EXCEEDED, f"the run took longer than its deadline of {limit:g} s")


def _end_early(run: LiveRun, reason: str, message: str) -> None:
    if run.state in (RunState.PENDING, RunState.RUNNING):
        move_run(run, RunState.CANCELLING, reason, message)
        _stop_tasks(run)


def _stop_tasks(run: LiveRun) -> None:
    for task in run.tasks.values():
        steps.stop(run, task, run.task_end_reason)


def _retry(run: LiveRun, _: RetryRequested) -> None:
    """What failed, was cancelled or never ran waits again, with all DAGs around it; then the run begins."""
    if run.state not in (RunState.FAILED, RunState.CANCELLED):
        return
    run.failed_task_id = None
    move_run(run, RunState.PENDING, reasons.RETRY_REQUESTED)
    for task in run.tasks.values():
        if task.state in _AGAIN and (task.parent is None or task.parent.state is TaskState.PENDING):
            _wait_again(run, task)
    _begin(run)


def _wait_again(run: LiveRun, task: LiveTask) -> None:
    task.failures = task.losses = 0
    task.delay_s = None
    task.cause = ""
    move_task(run, task, TaskState.PENDING, *dags.why_pending(task))


_AGAIN = frozenset({TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED})


def _observe(run: LiveRun, event: Observed) -> None:
    steps.observe(run, event.observation)


def _grant_slot(run: LiveRun, event: SlotGranted) -> None:
    steps.grant_slot(run, run.tasks[event.task_id])


def _retry_due(run: LiveRun, event: RetryDue) -> None:
    steps.retry_due(run, run.tasks[event.task_id])


_HANDLERS: dict[type, Callable[[LiveRun, Any], None]] = {
    RunTaken: _take,
    SlotGranted: _grant_slot,
    CacheAnswered: steps.answer_cache,
    Observed: _observe,
    LaunchRefused: steps.refuse_launch,
    RetryDue: _retry_due,
    CancelRequested: _cancel,
    DeadlinePassed: _pass_deadline,
    RetryRequested: _retry,
}
