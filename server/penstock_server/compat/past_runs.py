"""Runs of KFP that have ended, as history of ours."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.asked_runs import DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX, PARAMETERS
from penstock_server.compat.import_requests import kept
from penstock_server.compat.past_tasks import Frame, past_tasks
from penstock_server.compat.service_accounts import kept_labels
from penstock_server.compat.sources import uuid_of
from penstock_server.compat.times import read_time
from penstock_server.model.errors import FailedPrecondition
from penstock_server.model.ids import ROOT_TASK, RunUid, TaskId
from penstock_server.model.imports import PastRun, PastTask
from penstock_server.model.states import RunState, TaskState
from penstock_server.rpc.json_values import from_value

FIELD = "run"
_ENDED: Mapping[int, RunState] = {
    pb.SUCCEEDED: RunState.SUCCEEDED,
    pb.FAILED: RunState.FAILED,
    pb.CANCELED: RunState.CANCELLED,
    pb.SKIPPED: RunState.CANCELLED,
}
_CANCELLED = frozenset({pb.CANCELING, pb.CANCELED})


def past_run(message: pb.Run, origin: str, now: datetime) -> PastRun:
    """The run, with its tasks. Raises FailedPrecondition(IMPORT_NOT_ENDED), InvalidArgument."""
    uid = uuid_of(message.run_id)
    assert uid is not None
    state = _state(message)
    created = _exactly(kept(uid, message.created_at, now, FIELD).create_time, message)
    ended = max(_end(message, now), created)
    started = min(max(_start(message) or created, created), ended)
    told = "" if state is RunState.SUCCEEDED else message.error.message or _history_error(message)
    frame = Frame(message.display_name, state, told, created, started, ended)
    tasks = past_tasks(message.run_details.task_details, frame)
    failed = _first_failed(tasks)
    return PastRun(
        uid=RunUid(uid),
        display_name=message.display_name[:NAME_CHARS_MAX],
        description=message.description[:DESCRIPTION_CHARS_MAX],
        labels=kept_labels(message.service_account),
        parameters={
            name: from_value(value, f"{FIELD}.{PARAMETERS}.{name}")
            for name, value in message.runtime_config.parameters.items()
        },
        state=state,
        message=told or _failure(tasks, failed),
        failed_task_id=failed,
        create_time=created,
        start_time=started,
        cancel_time=_first(message, pb.CANCELING) or ended,
        end_time=ended,
        scheduled_time=_time(message.scheduled_at, "scheduled_at") if message.recurring_run_id else None,
        is_archived=message.storage_state == pb.Run.ARCHIVED,
        origin=origin,
        tasks=tasks,
    )


def _state(message: pb.Run) -> RunState:
    """How it ended. KFP's server, and this one, tell a run that was cancelled as failed; its history tells better."""
    state = _ENDED.get(message.state)
    if state is None:
        name = pb.RuntimeState.Name(message.state)
        raise FailedPrecondition(
            "IMPORT_NOT_ENDED",
            f"run {message.run_id} is {name} in KFP; it can be imported once it has ended",
            metadata={"id": message.run_id, "state": name},
        )
    cancelled = any(entry.state in _CANCELLED for entry in message.state_history[-2:])
    return RunState.CANCELLED if cancelled and state is RunState.FAILED else state


def _exactly(created: datetime, message: pb.Run) -> datetime:
    """When it was made, which is told in whole seconds; its first state may tell the fraction."""
    first = _time(message.state_history[0].update_time, "state_history.update_time") if message.state_history else None
    return first if first is not None and first.replace(microsecond=0) == created else created


def _start(message: pb.Run) -> datetime | None:
    starts = [_time(task.start_time, "run_details.start_time") for task in message.run_details.task_details]
    earliest = min((start for start in starts if start is not None), default=None)
    return _first(message, pb.RUNNING) or earliest


def _first(message: pb.Run, state: int) -> datetime | None:
    """When it first came to be in that state."""
    times = (entry.update_time for entry in message.state_history if entry.state == state)
    first = next(times, None)
    return None if first is None else _time(first, "state_history.update_time")


def _end(message: pb.Run, now: datetime) -> datetime:
    finished = _time(message.finished_at, "finished_at")
    if finished is not None:
        return finished
    times = [_time(entry.update_time, "state_history.update_time") for entry in message.state_history]
    return max((time for time in times if time is not None), default=now)


def _time(message: Timestamp, name: str) -> datetime | None:
    """KFP writes the beginning of 1970 for what has not come."""
    return read_time(message, f"{FIELD}.{name}") if message.seconds > 0 else None


def _history_error(message: pb.Run) -> str:
    return next((entry.error.message for entry in reversed(message.state_history) if entry.error.message), "")


def _first_failed(tasks: Sequence[PastTask]) -> TaskId | None:
    """The task, or the executor of one, that failed first: of those that hold no other one that failed."""
    failed = [task for task in tasks if task.state is TaskState.FAILED and task.id != ROOT_TASK]
    holders = {task.parent_id for task in failed}
    innermost = [task for task in failed if task.id not in holders]
    return min(innermost, key=lambda task: task.end_time).id if innermost else None


def _failure(tasks: Sequence[PastTask], failed: TaskId | None) -> str:
    return next((f"{task.id}: {task.message}" for task in tasks if task.id == failed and task.message), "")
