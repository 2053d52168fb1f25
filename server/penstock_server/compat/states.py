"""States of runs and tasks as KFP names them, and the states that they have been in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.times import set_time
from penstock_server.engine.reasons import DEADLINE_EXCEEDED, WAITING_FOR_RETRY
from penstock_server.model.resources import Run
from penstock_server.model.states import RunState, TaskState
from penstock_server.store.kfp_histories import KfpTask, Move

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

Entries: TypeAlias = "RepeatedCompositeFieldContainer[pb.RuntimeStatus]"
"""The `state_history` of a message. Entries are made in it: to make them apart and to copy them takes twice as long."""

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

    def tell(self, entries: Entries, moves: Iterable[Move]) -> None:
        """Add the states that a run has been in, of its own moves, and why it did not succeed.

        A run that was cancelled has been CANCELED here, whatever it ends as.
        """
        for move in moves:
            state = RunState(move.to_state)
            entry = entries.add(state=RUN_STATES[state])
            set_time(entry.update_time, move.time)
            if state in _RUN_ERRORS:
                _tell_why(entry, _run_code(state, move.reason), move.message or move.reason)


def run_error(run: Run) -> Status | None:
    """What went wrong with a run that has ended: the task that failed first, and what it says."""
    if run.state not in _RUN_ERRORS:
        return None
    return Status(code=_run_code(run.state, run.reason), message=run.message or run.reason)


def _run_code(state: RunState, reason: str) -> Code.ValueType:
    return Code.DEADLINE_EXCEEDED if reason == DEADLINE_EXCEEDED else _RUN_ERRORS[state]


def task_error(task: KfpTask) -> Status | None:
    """Why a task failed or was cancelled."""
    if task.state not in _TASK_ERRORS:
        return None
    return Status(code=_TASK_ERRORS[task.state], message=task.message or task.reason)


def is_tried_again(task: KfpTask, run_moves: Iterable[Move]) -> bool:
    """True when a task has been through more than it tells by itself: an attempt failed, or its run was retried."""
    waits_again = task.state is TaskState.QUEUED and task.start_time is not None
    starts = sum(move.to_state == RunState.PENDING for move in run_moves)
    return task.attempt_count > 1 or waits_again or starts > 1


def tell_task(entries: Entries, task: KfpTask, moves: Sequence[Move] = ()) -> None:
    """Add the states that a task has been in; of one that was skipped, failed or was tried again also why.

    `moves`: those of a task that `is_tried_again`; others are told whole by themselves.
    """
    for move in moves:
        state = TaskState(move.to_state)
        if not entries or _is_news(entries[-1], state, move.reason):
            _tell_state(entries, state, move.time, move.reason, move.message)
    if moves:
        return
    _tell_state(entries, TaskState.PENDING, task.create_time)
    if task.start_time is not None:
        _tell_state(entries, TaskState.RUNNING, task.start_time)
    if task.state.is_final:
        _tell_state(entries, task.state, task.end_time, task.reason, task.message)


def _is_news(before: pb.RuntimeStatus, state: TaskState, reason: str) -> bool:
    """False for what KFP has no word for: a task that waits for its turn is PENDING as it was."""
    return TASK_STATES[state] != before.state or _is_told_why(state, reason)


def _tell_state(entries: Entries, state: TaskState, time: datetime | None, reason: str = "", message: str = "") -> None:
    entry = entries.add(state=TASK_STATES[state])
    set_time(entry.update_time, time)
    if _is_told_why(state, reason):
        _tell_why(entry, _TASK_ERRORS.get(state, Code.OK), message or reason)


def _is_told_why(state: TaskState, reason: str) -> bool:
    return state in _TOLD_WHY or reason == WAITING_FOR_RETRY


def _tell_why(entry: pb.RuntimeStatus, code: Code.ValueType, message: str) -> None:
    entry.error.code = code
    entry.error.message = message
