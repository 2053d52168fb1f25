"""The events of a run that ended elsewhere, out of the times and states of the run and of its tasks. Pure.

They are such events as an engine would have written: every move is legal, tasks begin and end while the run does, and
parents come before what they hold. Where the other side's clocks disagree, times are moved into that frame.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from penstock_server.model.ids import TaskId
from penstock_server.model.imports import PastEvent, PastRun, PastTask
from penstock_server.model.states import RunState, TaskState

IMPORTED: Final = "IMPORTED"
"""Of a run, and of a job that was made disabled: it comes from another installation."""

_CREATED, _STARTED, _TASK_CREATED, _TASK_STARTED, _TASK_ENDED, _CANCELLING, _ENDED = range(7)
"""What comes first of events that have the same time."""

_Placed = tuple[datetime, int, PastEvent]


def past_events(run: PastRun) -> list[PastEvent]:
    """All events of the run, in their order."""
    found = list(_of_run(run))
    created: dict[TaskId, datetime] = {}
    for task in run.tasks:
        earliest = _within(run, run.start_time) if task.parent_id is None else created[task.parent_id]
        created[task.id] = max(_within(run, task.create_time), earliest)
        found += _of_task(run, task, created[task.id])
    return [event for _time, _rank, event in sorted(found, key=lambda placed: placed[:2])]


def _of_run(run: PastRun) -> Iterator[_Placed]:
    began = f"it ran in {run.origin}"
    yield _placed(_CREATED, run.create_time, None, None, RunState.PENDING, began)
    yield _placed(_STARTED, _within(run, run.start_time), None, RunState.PENDING, RunState.RUNNING)
    before = RunState.RUNNING
    if run.state is RunState.CANCELLED:
        before = RunState.CANCELLING
        yield _placed(
            _CANCELLING,
            max(_within(run, run.cancel_time), _within(run, run.start_time)),
            None,
            RunState.RUNNING,
            before,
            run.message,
        )
    yield _placed(_ENDED, run.end_time, None, before, run.state, run.message)


def _of_task(run: PastRun, task: PastTask, created: datetime) -> Iterator[_Placed]:
    yield _placed(_TASK_CREATED, created, task.id, None, TaskState.PENDING)
    before, latest = TaskState.PENDING, created
    if task.start_time is not None:
        latest = max(_within(run, task.start_time), created)
        yield _placed(_TASK_STARTED, latest, task.id, before, TaskState.RUNNING)
        before = TaskState.RUNNING
    ended = max(_within(run, task.end_time), latest)
    yield _placed(_TASK_ENDED, ended, task.id, before, task.state, task.message)


def _placed(
    rank: int,
    time: datetime,
    task_id: TaskId | None,
    before: RunState | TaskState | None,
    after: RunState | TaskState,
    message: str = "",
) -> _Placed:
    return time, rank, PastEvent(time, task_id, before, after, IMPORTED, message)


def _within(run: PastRun, time: datetime) -> datetime:
    return min(max(time, run.create_time), run.end_time)
