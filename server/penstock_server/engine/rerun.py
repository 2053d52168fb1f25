"""Running a run again: which of its results can be reused, and what that will spare, told before anything is done."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock_server.engine import reasons
from penstock_server.engine.effects import Ask, GoOn, LookUpCache
from penstock_server.engine.inputs import CacheAnswered, CacheHit, Continued, PlanEvent, RunTaken
from penstock_server.engine.plan import advance
from penstock_server.engine.results import HasContent, missing
from penstock_server.engine.state import LiveRun
from penstock_server.model.changes import TaskMove
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import Run, Task, TaskKind
from penstock_server.model.states import TaskState


@dataclass(frozen=True, slots=True)
class Reused:
    """A task of the new run that would take its results from the old one."""

    task_id: TaskId
    source_run: RunUid
    source_task: TaskId


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a new run would do, as far as that can be told without doing it; steps and importers only."""

    reused: tuple[Reused, ...]
    will_run: tuple[TaskId, ...]
    undetermined: tuple[TaskId, ...]
    """Those that wait for a step that will run: what they are given is not known before; also DAGs and loops of which
    it is not known yet what is within them."""


def reusable(run: Run, tasks: Sequence[Task], has_content: HasContent) -> Mapping[str, CacheHit]:
    """Results of the steps of `run` that succeeded and are still there, by what decided them."""
    return {
        task.result_key: CacheHit(run.uid, task.id, task.outputs, run.id)
        for task in tasks
        if task.state is TaskState.SUCCEEDED
        and task.result_key is not None
        and missing(task.outputs, has_content) is None
    }


def forecast(run: LiveRun) -> Forecast:
    """What the plan would make of the new run, with its `reusable` results, if no step were ever to end.

    The run is used up by it.
    """
    reused: list[Reused] = []
    events: deque[PlanEvent] = deque([RunTaken()])
    while events:
        decisions = advance(run, events.popleft())
        reused += [
            Reused(change.id, *change.cached_from)
            for change in decisions.changes
            if isinstance(change, TaskMove) and change.reason == reasons.REUSED and change.cached_from is not None
        ]
        events += [answer for ask in decisions.asks if (answer := _answer(ask)) is not None]
    steps = [task for task in run.tasks.values() if not task.state.is_final]
    return Forecast(
        tuple(reused),
        tuple(task.id for task in steps if task.state is TaskState.QUEUED),
        tuple(task.id for task in steps if task.state is TaskState.PENDING and task.kind is not TaskKind.ITERATION),
    )


def _answer(ask: Ask) -> PlanEvent | None:
    """A world in which nothing is found in the cache and no slot is ever free."""
    if isinstance(ask, GoOn):
        return Continued()
    return CacheAnswered(ask.task_id, None) if isinstance(ask, LookUpCache) else None
