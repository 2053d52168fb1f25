"""States of runs and tasks as KFP names them, and the states that they have been in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.times import exact_time
from penstock_server.engine.reasons import DEADLINE_EXCEEDED
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

    def history(self, moves: Iterable[Event], end: Status | None) -> list[pb.RuntimeStatus]:
        """The states that a run has been in, of its own events. `end`: what went wrong, for the state it ended in.

        A run that was cancelled has been CANCELED here, whatever it ends as.
        """
        entries = [_entry(event) for event in moves if event.to_state is not None]
        if entries and end is not None:
            entries[-1].error.CopyFrom(end)
        return entries


def run_error(run: Run) -> Status | None:
    """What went wrong with a run that has ended: the task that failed first, and what it says."""
    if run.state not in _RUN_ERRORS:
        return None
    code = Code.DEADLINE_EXCEEDED if run.reason == DEADLINE_EXCEEDED else _RUN_ERRORS[run.state]
    return Status(code=code, message=run.message or run.reason)


def task_error(task: Task) -> Status | None:
    """Why a task failed or was cancelled."""
    if task.state not in _TASK_ERRORS:
        return None
    return Status(code=_TASK_ERRORS[task.state], message=_told(task))


def task_history(task: Task) -> list[pb.RuntimeStatus]:
    """The states that a task has been in since it was made or retried; of one that was skipped also why."""
    entries = [pb.RuntimeStatus(update_time=exact_time(task.create_time), state=pb.PENDING)]
    if task.start_time is not None:
        entries.append(pb.RuntimeStatus(update_time=exact_time(task.start_time), state=pb.RUNNING))
    if task.state.is_final:
        error = Status(message=_told(task)) if task.state is TaskState.SKIPPED else task_error(task)
        state = TASK_STATES[task.state]
        entries.append(pb.RuntimeStatus(update_time=exact_time(task.end_time), state=state, error=error))
    return entries


def _entry(event: Event) -> pb.RuntimeStatus:
    assert event.to_state is not None
    return pb.RuntimeStatus(update_time=exact_time(event.time), state=RUN_STATES[RunState(event.to_state)])


def _told(task: Task) -> str:
    return task.message or task.reason
