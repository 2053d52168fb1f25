"""What follows from what: a run and an event in, decisions out. No I/O, no clock, no randomness.

`advance` changes the run in memory and returns what has to be written and done for it. Those about steps are
in `steps.py`, those about DAGs in `dags.py`; here stand those about the run as a whole.
"""

from collections.abc import Callable
from typing import Any

from penstock_server.engine import dags, importers, reasons, steps
from penstock_server.engine.effects import Decisions, Limit, WaitForDeadline
from penstock_server.engine.inputs import (
    CacheAnswered,
    CancelRequested,
    Continued,
    DeadlinePassed,
    LaunchRefused,
    LimitsChanged,
    Observed,
    PauseRequested,
    PlanEvent,
    QueueTimedOut,
    ResumeRequested,
    RetryDue,
    RetryRequested,
    RunTaken,
    SlotGranted,
    TwinEnded,
    TwinFound,
)
from penstock_server.engine.moves import move_run, move_task
from penstock_server.engine.restarts import tasks_to_restart
from penstock_server.engine.state import LiveRun, LiveTask
from penstock_server.model.changes import RunPause
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
        if task.kind in _WITH_ATTEMPTS:
            steps.resume(run, task)
        elif task.state is TaskState.RUNNING:
            dags.resume(run, task)
    if run.root.state is TaskState.PENDING and not run.is_cancelling:
        run.ready.append(run.root)


def _await_deadline(run: LiveRun, elapsed_s: float) -> None:
    if run.deadline_s is not None:
        run.decisions.effects.append(WaitForDeadline(max(0.0, run.deadline_s - elapsed_s)))


def _cancel(run: LiveRun, request: CancelRequested) -> None:
    run.cancels_exit_tasks |= request.exit_tasks
    if run.is_cancelling and request.exit_tasks:
        _stop_tasks(run)
    _end_early(run, request.reason, request.message)


def _pass_deadline(run: LiveRun, _: DeadlinePassed) -> None:
    limit = run.deadline_s or 0.0
    _end_early(run, reasons.DEADLINE_EXCEEDED, f"the run took longer than its deadline of {limit:g} s")


def _end_early(run: LiveRun, reason: str, message: str) -> None:
    if run.state in (RunState.PENDING, RunState.RUNNING):
        move_run(run, RunState.CANCELLING, reason, message)
        _stop_tasks(run)


def _stop_tasks(run: LiveRun) -> None:
    """End all but the exit tasks; those no longer wait for a pause to end."""
    for task in run.tasks.values():
        if run.stops(task):
            steps.stop(run, task, run.task_end_reason)
        else:
            steps.release(run, task)


def _pause(run: LiveRun, _: PauseRequested) -> None:
    _set_paused(run, True)
    for task in run.tasks.values():
        if run.holds_back and task.kind in _WITH_ATTEMPTS:
            steps.hold(run, task)


def _go_on(run: LiveRun, _: ResumeRequested) -> None:
    _set_paused(run, False)
    for task in run.tasks.values():
        if not run.state.is_final:
            steps.release(run, task)


def _set_paused(run: LiveRun, paused: bool) -> None:
    """Take up the wish, whether or not it changes anything, so that it is not told again."""
    run.decisions.changes.append(RunPause(paused))
    run.is_paused = paused


def _limit(run: LiveRun, event: LimitsChanged) -> None:
    run.limits = event.limits
    run.decisions.changes.append(event.limits)
    run.decisions.asks.append(Limit(event.limits))


def _retry(run: LiveRun, _: RetryRequested) -> None:
    """What failed, was cancelled or never ran waits again, with all around it; then the run begins."""
    if run.state not in (RunState.FAILED, RunState.CANCELLED):
        return
    run.failed_task_id = None
    run.cancels_exit_tasks = False
    move_run(run, RunState.PENDING, reasons.RETRY_REQUESTED)
    for task in tasks_to_restart(run.root):
        _wait_again(run, task)
    _begin(run)


def _wait_again(run: LiveRun, task: LiveTask) -> None:
    task.failures = task.losses = 0
    task.delay_s = None
    task.is_delayed = False
    task.cause = ""
    task.outputs = task.cache_key = task.result_key = None
    if task.state is not TaskState.PENDING:
        move_task(run, task, TaskState.PENDING, *dags.why_pending(task))


def _answer_cache(run: LiveRun, answer: CacheAnswered) -> None:
    task = run.tasks[answer.task_id]
    if task.state is TaskState.QUEUED and task.reason == reasons.LOOKING_UP and answer.hit is None:
        importers.take_new(run, task)
    else:
        steps.answer_cache(run, answer)


def _end_twin(run: LiveRun, event: TwinEnded) -> None:
    steps.end_twin(run, run.tasks[event.task_id])


def _observe(run: LiveRun, event: Observed) -> None:
    steps.observe(run, event.observation)


def _continue(_: LiveRun, __: Continued) -> None:
    """What is left to do is done by `dags.settle`."""


def _grant_slot(run: LiveRun, event: SlotGranted) -> None:
    steps.grant_slot(run, run.tasks[event.task_id])


def _retry_due(run: LiveRun, event: RetryDue) -> None:
    steps.retry_due(run, run.tasks[event.task_id])


_HANDLERS: dict[type, Callable[[LiveRun, Any], None]] = {
    RunTaken: _take,
    SlotGranted: _grant_slot,
    CacheAnswered: _answer_cache,
    TwinFound: steps.find_twin,
    TwinEnded: _end_twin,
    Observed: _observe,
    LaunchRefused: steps.refuse_launch,
    RetryDue: _retry_due,
    CancelRequested: _cancel,
    DeadlinePassed: _pass_deadline,
    RetryRequested: _retry,
    PauseRequested: _pause,
    ResumeRequested: _go_on,
    LimitsChanged: _limit,
    QueueTimedOut: steps.time_out_of_queue,
    Continued: _continue,
}
_WITH_ATTEMPTS = frozenset({TaskKind.STEP, TaskKind.IMPORTER})
