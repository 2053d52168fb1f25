"""Whatever happens to a run, over random pipelines: every task ends, order is kept, nothing starts twice.

The driver plays scheduler, launcher, user and fate; each example is one order of events.
"""

from collections.abc import Callable, Sequence
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_server.engine import reasons
from penstock_server.engine.effects import Adopt, Finished, Launch, WaitForRetry
from penstock_server.engine.history import check
from penstock_server.engine.inputs import (
    CacheAnswered,
    CacheHit,
    CancelRequested,
    DeadlinePassed,
    RetryDue,
    RetryRequested,
)
from penstock_server.launch.base import Phase
from penstock_server.model.ids import ROOT_TASK, AttemptId, TaskId, child_task_id
from penstock_server.model.resources import TaskKind, TaskValues
from penstock_server.model.states import RunState, TaskState
from penstock_server.spec.graph import Component, Dag, PipelineGraph, TaskSpec
from tests.engine.world import World, dag, new_run, pipeline, spec

STEPS_MAX = 2000
MEDDLING_MAX = 6
ENDS = (Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.FAILED, Phase.LOST)
Move = Callable[[], object]
HIT = CacheHit(new_run().uid, TaskId("earlier"), TaskValues())


@st.composite
def pipelines(draw: st.DrawFn) -> PipelineGraph:
    """A pipeline of up to three levels; a sub-pipeline may be used several times."""
    components: list[Component] = []
    for level in range(draw(st.integers(0, 2))):
        components.append(dag(f"inner{level}", *draw(tasks([component.name for component in components]))))
    return pipeline(dag("root", *draw(tasks([component.name for component in components]))), *components)


@st.composite
def tasks(draw: st.DrawFn, inner: Sequence[str]) -> list[TaskSpec]:
    """Tasks of one DAG, each waiting for any of those before it."""
    keys = [f"t{index}" for index in range(draw(st.integers(0, 5)))]
    made: list[TaskSpec] = []
    for index, key in enumerate(keys):
        after = draw(st.sets(st.sampled_from(keys[:index]))) if index else set()
        component = draw(st.sampled_from(["step", "step", *inner]))
        retries = draw(st.sampled_from([None, 0, 2]))
        made.append(spec(key, component, after, retries=retries, backoff_s=5.0, cached=draw(st.booleans())))
    return made


class Fate:
    """Decides what happens next, and keeps what a real launcher would know."""

    def __init__(self, world: World, data: st.DataObject, *, meddling: bool) -> None:
        self.world = world
        self.data = data
        self.meddling = meddling
        self.executed: set[AttemptId] = set()
        self.alive: set[AttemptId] = set()
        self.timers: set[TaskId] = set()
        self.requests = 0

    def play(self) -> None:
        """Let things happen until the run has ended and nothing is left to happen."""
        for _ in range(STEPS_MAX):
            self._take_effects()
            moves = self._moves()
            if not moves:
                return
            self.data.draw(st.sampled_from(moves))()
        raise AssertionError("the run does not come to an end")

    def _take_effects(self) -> None:
        effects, self.world.effects = self.world.effects, []
        for effect in effects:
            if isinstance(effect, Launch | Adopt):
                self._start(AttemptId(self.world.run.uid, effect.task_id, effect.number))
            elif isinstance(effect, WaitForRetry):
                self.timers.add(effect.task_id)
            elif isinstance(effect, Finished):
                assert not self.alive

    def _start(self, attempt: AttemptId) -> None:
        """Launching or adopting an attempt twice finds the first."""
        if attempt not in self.executed:
            assert attempt.task_id not in {other.task_id for other in self.alive}
            self.executed.add(attempt)
            self.alive.add(attempt)

    def _moves(self) -> list[Move]:
        world = self.world
        moves: list[Move] = [partial(world.grant, task) for task in sorted(world.waiting)]
        moves += [partial(self._end, attempt) for attempt in sorted(self.alive)]
        moves += [partial(world.see, attempt.task_id, Phase.STARTED) for attempt in sorted(self.alive)]
        moves += [partial(self._ring, task) for task in sorted(self.timers)]
        moves += [partial(self._answer, ask.task_id) for ask in world.lookups]
        if self.meddling and self.requests < MEDDLING_MAX:
            if moves:
                moves += [self._cancel, self._pass_deadline, self._crash]
            elif world.run_state() in (RunState.FAILED, RunState.CANCELLED):
                moves += [self._retry]
        return moves

    def _end(self, attempt: AttemptId) -> None:
        stopping = self.world.rows.run.state is RunState.CANCELLING
        ends = (*ENDS, Phase.STOPPED) if stopping else ENDS
        self.alive.discard(attempt)
        self.world.see(attempt.task_id, self.data.draw(st.sampled_from(ends)))

    def _ring(self, task: TaskId) -> None:
        self.timers.discard(task)
        self.world.send(RetryDue(task))

    def _answer(self, task: TaskId) -> None:
        self.world.answer(CacheAnswered(task, self.data.draw(st.sampled_from([None, HIT]))))

    def _cancel(self) -> None:
        self.requests += 1
        self.world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))

    def _pass_deadline(self) -> None:
        self.requests += 1
        self.world.send(DeadlinePassed())

    def _crash(self) -> None:
        """The engine dies; attempts go on, and the next engine has only the rows."""
        self.requests += 1
        self.timers.clear()
        self.world.crash()

    def _retry(self) -> None:
        self.requests += 1
        self.world.crash()
        self.world.send(RetryRequested())


@settings(max_examples=150, deadline=None)
@given(graph=pipelines(), data=st.data())
def test_every_run_ends_in_order_and_starts_nothing_twice(graph: PipelineGraph, data: st.DataObject) -> None:
    world = World(graph).begin()
    Fate(world, data, meddling=False).play()
    assert check(world.rows.events, dependencies_of=lambda task: dependencies(graph, task)) == []
    assert len(world.launches) == len(set(world.launches))
    failed = any(task.state is TaskState.FAILED for task in world.rows.tasks.values())
    assert world.rows.run.state is (RunState.FAILED if failed else RunState.SUCCEEDED)


@settings(max_examples=250, deadline=None)
@given(graph=pipelines(), data=st.data())
def test_cancels_deadlines_retries_and_crashes_keep_the_rules(graph: PipelineGraph, data: st.DataObject) -> None:
    world = World(graph, new_run(deadline_s=100)).begin()
    Fate(world, data, meddling=True).play()
    assert check(world.rows.events, dependencies_of=lambda task: dependencies(graph, task)) == []
    assert all(task.reason for task in world.rows.tasks.values())


@settings(max_examples=100, deadline=None)
@given(graph=pipelines(), data=st.data())
def test_a_run_in_memory_is_what_its_rows_tell(graph: PipelineGraph, data: st.DataObject) -> None:
    world = World(graph).begin()
    Fate(world, data, meddling=False).play()
    live = world.run
    world.crash()
    assert {(t.id, t.state, t.attempt_count) for t in live.tasks.values()} == {
        (t.id, t.state, t.attempt_count) for t in world.run.tasks.values()
    }


def dependencies(graph: PipelineGraph, task: TaskId) -> list[TaskId]:
    """What has to have succeeded before `task` starts, looked up without the engine."""
    if task == ROOT_TASK:
        return []
    *path, key = task.split(".")
    body = graph.root.body
    for part in path:
        assert isinstance(body, Dag)
        body = graph.components[body.tasks[part].component].body
    assert isinstance(body, Dag)
    parent = TaskId(".".join(path)) if path else ROOT_TASK
    return [child_task_id(parent, name) for name in body.tasks[key].depends_on]


def test_kinds_of_tasks_are_those_of_their_components() -> None:
    world = World(pipeline(dag("root", spec("a"), spec("b", "inner")), dag("inner"))).begin()
    kinds = {str(task.id): task.kind for task in world.rows.tasks.values()}
    assert kinds == {"root": TaskKind.DAG, "a": TaskKind.STEP, "b": TaskKind.DAG}
