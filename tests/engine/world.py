"""A small world for plan tests: pipelines as graphs, rows as the store keeps them, a run driven by hand."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from penstock_server.engine.effects import Ask, Decisions, Effect, GiveSlotBack, GoOn, Launch, LookUpCache, WantSlot
from penstock_server.engine.inputs import CacheAnswered, Continued, Observed, PlanEvent, RunTaken, SlotGranted
from penstock_server.engine.plan import advance
from penstock_server.engine.restore import restore
from penstock_server.engine.state import LiveRun
from penstock_server.launch.base import Observation, Phase
from penstock_server.model.changes import (
    SUBJECT_OF,
    AttemptCreate,
    AttemptMove,
    Change,
    Notice,
    RunLimits,
    RunMove,
    RunPause,
    TaskCreate,
    TaskMove,
)
from penstock_server.model.ids import ROOT_TASK, AttemptId, RunUid, TaskId
from penstock_server.model.json import Json
from penstock_server.model.resources import (
    Attempt,
    CachePolicy,
    Event,
    EventSubject,
    Run,
    Task,
    TaskKind,
    TaskValues,
)
from penstock_server.model.states import AttemptState, RunState, TaskState
from penstock_server.spec.graph import (
    Component,
    Container,
    Dag,
    DagOutputs,
    ParameterBinding,
    ParameterInput,
    ParameterOutput,
    ParameterType,
    PipelineGraph,
    Resources,
    RetryPolicy,
    TaskOutput,
    TaskSpec,
    TriggerStrategy,
)
from penstock_server.store.transitions import RUN_LIMITS_CHANGED, RUN_PAUSED, RUN_RESUMED

START = datetime(2026, 1, 1, tzinfo=UTC)
_STEP_STATES = (AttemptState.RUNNING, AttemptState.SUCCEEDED, AttemptState.FAILED)
Edges = Mapping[str, Sequence[str]]


def step(name: str = "step", *, needs: Sequence[str] = (), gives: Sequence[str] = ()) -> Component:
    """A component that runs a command, with numbers as inputs and outputs."""
    needed = {key: ParameterInput(ParameterType.NUMBER_DOUBLE, False, False, None, "", ()) for key in needs}
    given = {key: ParameterOutput(ParameterType.NUMBER_DOUBLE, "") for key in gives}
    body = Container("exec", "image", ("true",), (), (), Resources(), {})
    return Component(name, needed, {}, given, {}, body)


def spec(
    key: str,
    component: str = "step",
    after: Iterable[str] = (),
    *,
    retries: int | None = None,
    backoff_s: float = 0.0,
    cached: bool = False,
    parameters: Mapping[str, ParameterBinding] | None = None,
) -> TaskSpec:
    """A task of a DAG."""
    retry = None if retries is None else RetryPolicy(retries, backoff_s, 2.0, 3600.0)
    depends_on = frozenset(after)
    strategy = TriggerStrategy.ALL_SUCCEEDED
    given = parameters or {}
    return TaskSpec(key, key, component, given, {}, depends_on, strategy, "", None, retry, cached, "")


def dag(name: str, *tasks: TaskSpec, outputs: Mapping[str, TaskOutput] | None = None) -> Component:
    """A component that holds tasks."""
    dependents = {task.key: tuple(other.key for other in tasks if task.key in other.depends_on) for task in tasks}
    leaving = DagOutputs({name: (output,) for name, output in (outputs or {}).items()}, {}, frozenset())
    return Component(name, {}, {}, {}, {}, Dag({task.key: task for task in tasks}, leaving, dependents))


def pipeline(root: Component, *components: Component) -> PipelineGraph:
    """A whole pipeline; the component `step` is always there."""
    known = {component.name: component for component in (step(), *components)}
    return PipelineGraph("p", "", "", "kfp-2.17.0", "", root, known)


def flat(edges: Edges, *, retries: int | None = None, cached: bool = False) -> PipelineGraph:
    """Steps and what each of them waits for."""
    return pipeline(
        dag(
            "root",
            *(spec(key, "step", after, retries=retries, cached=cached) for key, after in edges.items()),
        )
    )


@dataclass
class Rows:
    """What the store would hold of the run; refuses what the store would refuse."""

    run: Run
    tasks: dict[TaskId, Task] = field(default_factory=dict)
    attempts: dict[tuple[TaskId, int], Attempt] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    now: datetime = START
    compares: bool = True
    """Whether a change has to find its subject where it says; the store always compares."""

    def write(self, changes: Sequence[Change]) -> None:
        """Apply one commit."""
        self.now += timedelta(seconds=1)
        for change in changes:
            match change:
                case RunMove():
                    before, after = self._move_run(change), change.to_state
                    self._event(change, None, None, before, after)
                case TaskCreate():
                    self._create_task(change)
                    self._event(change, change.id, None, None, TaskState.PENDING)
                case TaskMove():
                    self._move_task(change)
                    self._event(change, change.id, None, change.from_state, change.to_state)
                case AttemptCreate():
                    self._create_attempt(change)
                    self._event(change, change.task_id, change.number, None, AttemptState.LAUNCHING)
                case AttemptMove():
                    self._move_attempt(change)
                    self._event(change, change.task_id, change.number, change.from_state, change.to_state)
                case RunPause() | RunLimits():
                    self._event(change, None, None, None, None)
                case Notice():
                    self._event(change, change.task_id, change.attempt, None, None)
        self.run = replace(self.run, event_sequence=len(self.events))

    def _event(
        self, change: Change, task: TaskId | None, attempt: int | None, before: str | None, after: str | None
    ) -> None:
        subject = SUBJECT_OF[type(change)]
        reason = _told_by(change)
        message = getattr(change, "message", "")
        number = len(self.events) + 1
        self.events.append(
            Event(self.run.uid, number, 0, self.now, subject, task, attempt, before, after, reason, message)
        )

    def _move_run(self, change: RunMove) -> RunState:
        run = self.run
        assert run.state is change.from_state or not self.compares
        to = change.to_state
        self.run = replace(
            run,
            state=to,
            reason=change.reason,
            message=change.message,
            failed_task_id=change.failed_task_id,
            outputs=change.outputs,
            start_time=None if to is RunState.PENDING else run.start_time or self.now,
            end_time=self.now if to.is_final else None,
        )
        return run.state

    def _create_task(self, change: TaskCreate) -> None:
        assert change.id not in self.tasks or not self.compares
        self.tasks[change.id] = task_row(self.run.uid, change, self.now)

    def _move_task(self, change: TaskMove) -> None:
        row = self.tasks[change.id]
        assert row.state is change.from_state or not self.compares, (row.state, change)
        if change.to_state is TaskState.PENDING:
            row = _clean(row)
        queued = TaskState.QUEUED is change.to_state is not change.from_state
        delay = None if change.delay_s is None else self.now + timedelta(seconds=change.delay_s)
        cached_run, cached_task = change.cached_from or (None, None)
        self.tasks[change.id] = replace(
            row,
            state=change.to_state,
            reason=change.reason,
            message=change.message,
            inputs=change.inputs or row.inputs,
            outputs=change.outputs or row.outputs,
            cache_key=change.cache_key or row.cache_key,
            cached_run_uid=cached_run,
            cached_task_id=cached_task,
            not_before=delay,
            queue_time=self.now if queued else row.queue_time,
            start_time=row.start_time or (self.now if change.to_state is TaskState.RUNNING else None),
            result_key=change.result_key or row.result_key,
            cache_note=change.cache_note or row.cache_note,
            step_key=change.step_key or row.step_key,
            end_time=self.now if change.to_state.is_final else None,
        )

    def _create_attempt(self, change: AttemptCreate) -> None:
        key = (change.task_id, change.number)
        assert key not in self.attempts or not self.compares
        self.tasks[change.task_id] = replace(self.tasks[change.task_id], attempt_count=change.number)
        state = AttemptState.LAUNCHING
        self.attempts[key] = Attempt(
            self.run.uid, *key, state, "", "", None, "", change.launcher, "", "", self.now, None, None
        )

    def _move_attempt(self, change: AttemptMove) -> None:
        row = self.attempts[change.task_id, change.number]
        assert row.state is change.from_state or not self.compares
        self.attempts[change.task_id, change.number] = replace(
            row,
            state=change.to_state,
            reason=change.reason,
            message=change.message,
            failure_class=change.failure_class,
            exit_code=change.exit_code,
            log_tail=change.log_tail,
            host=change.host or row.host,
            handle=change.handle or row.handle,
            start_time=row.start_time or (self.now if change.to_state in _STEP_STATES else None),
            end_time=self.now if change.to_state.is_final else None,
        )


def _told_by(change: Change) -> str:
    """The reason of the event of a change."""
    match change:
        case RunPause(paused):
            return RUN_PAUSED if paused else RUN_RESUMED
        case RunLimits():
            return RUN_LIMITS_CHANGED
        case _:
            return getattr(change, "reason", "")


def _clean(row: Task) -> Task:
    """The row of a task that begins again."""
    nothing = TaskValues()
    return replace(
        row,
        inputs=nothing,
        outputs=nothing,
        cache_key=None,
        cached_run_uid=None,
        cached_task_id=None,
        queue_time=None,
        start_time=None,
        result_key=None,
        cache_note="",
        step_key=None,
    )


def task_row(uid: RunUid, change: TaskCreate, now: datetime) -> Task:
    """The row of a task that comes to be."""
    nothing = TaskValues()
    return Task(
        uid,
        change.id,
        change.parent_id,
        change.key,
        change.display_name,
        change.kind,
        TaskState.PENDING,
        change.reason,
        change.message,
        nothing,
        nothing,
        None,
        None,
        None,
        0,
        None,
        now,
        None,
        None,
    )


def new_run(
    *,
    parameters: Mapping[str, Json] | None = None,
    cache_policy: CachePolicy = CachePolicy.DEFAULT,
    deadline_s: float | None = None,
) -> Run:
    """A run that was just accepted."""
    return Run(
        uid=RunUid(uuid.UUID(int=1)),
        namespace="default",
        id="r1",
        experiment_uid=uuid.UUID(int=2),
        experiment_id="default",
        pipeline_id=None,
        pipeline_version=None,
        spec_digest="sha256:0",
        display_name="r1",
        description="",
        labels={},
        parameters=parameters or {},
        cache_policy=cache_policy,
        deadline_s=deadline_s,
        artifact_root="",
        state=RunState.PENDING,
        reason="",
        message="",
        failed_task_id=None,
        outputs={},
        event_sequence=0,
        revision=1,
        create_time=START,
        start_time=None,
        end_time=None,
        update_time=START,
        archive_time=None,
        traceparent=None,
    )


class World:
    """A run, its rows, and all that the plan has asked for and nobody has answered."""

    def __init__(self, graph: PipelineGraph, run: Run | None = None) -> None:
        self.graph = graph
        self.rows = Rows(run or new_run())
        self.rows.events.append(created(self.rows.run))
        root = TaskCreate(ROOT_TASK, None, ROOT_TASK, "p", TaskKind.DAG, "READY")
        self.rows.write([root])
        self.waiting: list[TaskId] = []
        self.lookups: list[LookUpCache] = []
        self.effects: list[Effect] = []
        self.launches: list[AttemptId] = []
        self.unfinished = False
        self.run = self._load()

    def begin(self) -> "World":
        """The run is taken by an engine."""
        self.send(RunTaken())
        return self

    def crash(self, *, cancels_exit_tasks: bool = False) -> Decisions:
        """The engine ends and another one takes the run over, with only the rows to go by."""
        self.waiting, self.lookups, self.effects = [], [], []
        self.run = self._load()
        self.run.cancels_exit_tasks = cancels_exit_tasks
        return self.send(RunTaken())

    def send(self, event: PlanEvent) -> Decisions:
        """Something happens."""
        decisions = self._advance(event)
        while self.unfinished:
            more = self._advance(Continued())
            decisions.changes += more.changes
            decisions.asks += more.asks
            decisions.effects += more.effects
        return decisions

    def _advance(self, event: PlanEvent) -> Decisions:
        self.unfinished = False
        decisions = advance(self.run, event)
        self.rows.write(decisions.changes)
        for ask in decisions.asks:
            self._note(ask)
        self.effects += decisions.effects
        for effect in decisions.effects:
            if isinstance(effect, Launch):
                self.launches.append(AttemptId(self.run.uid, effect.task_id, effect.number))
        return decisions

    def grant(self, task: str) -> Decisions:
        """The task gets a slot."""
        self.waiting.remove(TaskId(task))
        return self.send(SlotGranted(TaskId(task)))

    def answer(self, answer: CacheAnswered) -> Decisions:
        """Results of earlier runs were looked through."""
        self.lookups = [ask for ask in self.lookups if ask.task_id != answer.task_id]
        return self.send(answer)

    def see(self, task: str, phase: Phase, **more: object) -> Decisions:
        """The launcher sees something of the task's newest attempt."""
        number = self.rows.tasks[TaskId(task)].attempt_count
        attempt = AttemptId(self.run.uid, TaskId(task), number)
        return self.send(Observed(Observation(attempt, phase, **more)))  # type: ignore[arg-type]  # tests know what they pass

    def succeed(self, *tasks: str, **outputs: Json) -> None:
        """Each task, waiting for its slot, runs and succeeds."""
        for task in tasks:
            self.grant(task)
            self.see(task, Phase.STARTED)
            self.see(task, Phase.SUCCEEDED, outputs=TaskValues(outputs))

    def fail(self, task: str, **more: object) -> None:
        """The task, waiting for its slot, runs and fails."""
        self.grant(task)
        self.see(task, Phase.FAILED, **({"reason": "EXIT_CODE", "message": "exit code 3"} | more))

    def run_state(self) -> RunState:
        """Where the run stands."""
        return self.rows.run.state

    def state(self, task: str) -> TaskState:
        """Where a task stands."""
        return self.rows.tasks[TaskId(task)].state

    def states(self) -> dict[str, str]:
        """Where all tasks but the root stand."""
        return {str(task.id): task.state.value for task in self.rows.tasks.values() if task.id != ROOT_TASK}

    def _note(self, ask: Ask) -> None:
        if isinstance(ask, WantSlot):
            self.waiting.append(ask.task_id)
        elif isinstance(ask, GiveSlotBack) and ask.task_id in self.waiting:
            self.waiting.remove(ask.task_id)
        elif isinstance(ask, LookUpCache):
            self.lookups.append(ask)
        elif isinstance(ask, GoOn):
            self.unfinished = True

    def _load(self) -> LiveRun:
        rows = self.rows
        return restore(
            rows.run,
            list(rows.tasks.values()),
            list(rows.attempts.values()),
            rows.now,
            self.graph,
            fence=1,
            launcher="fake",
        )


def created(run: Run) -> Event:
    return Event(run.uid, 1, 0, START, EventSubject.RUN, None, None, None, RunState.PENDING, run.reason, "")
