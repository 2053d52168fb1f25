"""States of runs and tasks as KFP names them, and the states that they have been in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.times import exact_time
from penstock_server.engine.reasons import DEADLINE_EXCEEDED, WAITING_FOR_RETRY
from penstock_server.model.resources import Event, Run, Task
from penstock_server.model.states import RunState, TaskState

RUN_STATES: Mapping[RunState, pb.RuntimeState.ValueType] = {
    RunState.PENDING: pb.PENDING,
    RunState.RUNNING: pb.RUNNING,
    RunState.CANCELLING: pb.CANCELING,
    RunState.SUCCEEDED: pb.SUCCEEDED,
    RunState.FAILED: pb.FAILED,
    RunState.CANCELLED: pb.CANCELED,
}
"""A paused run is RUNNING: KFP's user interface cannot show PAUSED."""

TASK_STATES: Mapping[TaskState, pb.RuntimeState.ValueType] = {
    TaskState.PENDING: pb.PENDING,
    TaskState.QUEUED: pb.PENDING,
    TaskState.RUNNING: pb.RUNNING,
    TaskState.SUCCEEDED: pb.SUCCEEDED,
    TaskState.FAILED: pb.FAILED,
    TaskState.SKIPPED: pb.SKIPPED,
    TaskState.CANCELLED: pb.CANCELED,
}

_RUN_ERRORS = {RunState.FAILED: Code.UNKNOWN, RunState.CANCELLED: Code.CANCELLED}
_TASK_ERRORS = {TaskState.FAILED: Code.UNKNOWN, TaskState.CANCELLED: Code.CANCELLED}
_TOLD_WHY = frozenset({TaskState.SKIPPED, *_TASK_ERRORS})


@dataclass(frozen=True, slots=True)
class RunStates:
    """How states of runs are told."""

    cancelled: pb.RuntimeState.ValueType = pb.FAILED
    """What a cancelled run ends as. KFP's own server says FAILED; for one that is CANCELED its client would wait on."""

    @classmethod
    def ending_as(cls, cancelled: str) -> "RunStates":
        """With KFP's word for what a cancelled run ends as."""
        return cls(pb.RuntimeState.Value(cancelled))

    def of(self, state: RunState) -> pb.RuntimeState.ValueType:
        """Where a run stands."""
        return self.cancelled if state is RunState.CANCELLED else RUN_STATES[state]

    def history(self, moves: Iterable[Event]) -> list[pb.RuntimeStatus]:
        """The states that a run has been in, of its own events, and why it did not succeed.

        A run that was cancelled has been CANCELED here, whatever it ends as.
        """
        return [_entry(event) for event in moves if event.to_state is not None]


def run_error(run: Run) -> Status | None:
    """What went wrong with a run that has ended: the task that failed first, and what it says."""
    if run.state not in _RUN_ERRORS:
        return None
    return Status(code=_run_code(run.state, run.reason), message=run.message or run.reason)


def _run_code(state: RunState, reason: str) -> Code.ValueType:
    return Code.DEADLINE_EXCEEDED if reason == DEADLINE_EXCEEDED else _RUN_ERRORS[state]


def task_error(task: Task) -> Status | None:
    """Why a task failed or was cancelled."""
    if task.state not in _TASK_ERRORS:
        return None
    return Status(code=_TASK_ERRORS[task.state], message=task.message or task.reason)


def is_tried_again(task: Task, run_moves: Iterable[Event]) -> bool:
    """True when a task has been through more than it tells by itself: an attempt failed, or its run was retried."""
    waits_again = task.state is TaskState.QUEUED and task.start_time is not None
    starts = sum(move.to_state == RunState.PENDING for move in run_moves)
    return task.attempt_count > 1 or waits_again or starts > 1


def task_history(task: Task, moves: Sequence[Event] = ()) -> list[pb.RuntimeStatus]:
    """The states that a task has been in; of one that was skipped, failed or was tried again also why.

    `moves`: those of a task that `is_tried_again`; others are told whole by themselves.
    """
    if moves:
        told = [_task_entry(each.time, TaskState(each.to_state or ""), each.reason, each.message) for each in moves]
        return [entry for before, entry in pairwise((None, *told)) if entry and _is_news(before, entry)]
    entries = [_task_entry(task.create_time, TaskState.PENDING, "", "")]
    if task.start_time is not None:
        entries.append(_task_entry(task.start_time, TaskState.RUNNING, "", ""))
    if task.state.is_final:
        entries.append(_task_entry(task.end_time, task.state, task.reason, task.message))
    return entries


def _task_entry(time: datetime | None, state: TaskState, reason: str, message: str) -> pb.RuntimeStatus:
    entry = pb.RuntimeStatus(update_time=exact_time(time), state=TASK_STATES[state])
    if state in _TOLD_WHY or reason == WAITING_FOR_RETRY:
        entry.error.CopyFrom(Status(code=_TASK_ERRORS.get(state, Code.OK), message=message or reason))
    return entry


def _is_news(before: pb.RuntimeStatus | None, entry: pb.RuntimeStatus) -> bool:
    """False for what KFP has no word for: a task that waits for its turn is PENDING as it was."""
    return before is None or entry.state != before.state or entry.HasField("error")


def _entry(event: Event) -> pb.RuntimeStatus:
    assert event.to_state is not None
    state = RunState(event.to_state)
    entry = pb.RuntimeStatus(update_time=exact_time(event.time), state=RUN_STATES[state])
    if state in _RUN_ERRORS:
        entry.error.CopyFrom(Status(code=_run_code(state, event.reason), message=event.message or event.reason))
    return entry
