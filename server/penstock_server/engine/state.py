"""A run in memory, indexed so that an event costs what it touches and not what the run holds.

Only `moves.py` changes a state; the counters are kept by `dags.py`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock_server.engine import reasons
from penstock_server.engine.effects import Decisions
from penstock_server.engine.inputs import CacheHit
from penstock_server.launch.base import RunFacts
from penstock_server.model.changes import RunLimits
from penstock_server.model.ids import ROOT_TASK, RunUid, TaskId, child_task_id
from penstock_server.model.resources import Run, TaskKind, TaskValues
from penstock_server.model.states import AttemptState, RunState, TaskState
from penstock_server.spec.constants import RunConstants
from penstock_server.spec.graph import (
    Component,
    Container,
    Dag,
    Importer,
    PipelineGraph,
    RetryPolicy,
    TaskSpec,
    TriggerStrategy,
)
from penstock_server.spec.loops import Items
from penstock_server.spec.pod_settings import PodSettings
from penstock_server.spec.settings import run_deadline_s, shortest

_NO_KEYS: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class LiveAttempt:
    """The newest attempt of a task."""

    number: int
    state: AttemptState
    stop_asked: bool = False
    waits_for: tuple[str, str, str] = ("", "", "")
    """Of one that does not run yet: reason and message of what it waits for, and the machine it is to run on."""
    waits_told: int = 0
    """How often that has been told since the attempt was made or loaded."""


@dataclass(slots=True, eq=False)
class LiveTask:
    """A task in memory."""

    id: TaskId
    key: str
    display_name: str
    parent: "LiveTask | None"
    kind: TaskKind
    component: Component
    spec: TaskSpec | None
    """None for the root; of an iteration that of its loop."""
    retry: RetryPolicy | None
    """Its own, or that of the nearest DAG around it that has one."""
    state: TaskState = TaskState.PENDING
    reason: str = ""
    message: str = ""
    inputs: TaskValues | None = None
    outputs: TaskValues | None = None
    cache_key: str | None = None
    attempt_count: int = 0
    failures: int = 0
    """Attempts that failed by the step's fault since the run was last started."""
    losses: int = 0
    """Attempts that were lost since the run was last started."""
    attempt: LiveAttempt | None = None
    delay_s: float | None = None
    """Of a loaded task: so long its next attempt has to wait."""
    is_delayed: bool = False
    """Its next attempt has to wait, and a timer runs."""
    queued_s: float = 0.0
    """Of a loaded task: so long it had been QUEUED."""
    result_key: str | None = None
    cache_note: str = ""
    """Why no earlier result is reused, until that is recorded."""
    settings: PodSettings | None = None
    """Of a step that is to be a pod: what it asks of it; None until that is resolved, and again when it is loaded."""
    waits: int = 0
    """How often it has begun to wait for a slot, so that the end of an earlier wait's time is told from this one's."""
    index: int | None = None
    """Of an iteration: which one."""
    cause: str = ""
    """Of a skipped task: what went wrong first."""
    waits_for: int = 0
    """How many of the siblings it depends on have not ended."""
    children: "dict[str, LiveTask] | None" = None
    """Of a DAG, by key, in the document's order; None before it started."""
    open_children: int = 0
    """How many children have not ended."""
    items: Items = ()
    """Of a loop that was opened: what it runs over."""
    held_back: "deque[LiveTask]" = field(default_factory=deque)
    """Of a loop: the iterations that wait for others to end."""

    @property
    def dag(self) -> Dag:
        """What is behind a task that holds others, unless it is a loop over a step."""
        body = self.component.body
        assert isinstance(body, Dag)
        return body

    @property
    def depends_on(self) -> frozenset[str]:
        """Keys of the siblings that it waits for."""
        return _NO_KEYS if self.spec is None or self.index is not None else self.spec.depends_on

    @property
    def waits_for_success(self) -> bool:
        """False for one that starts however those it waits for have ended."""
        return self.spec is None or self.spec.strategy is TriggerStrategy.ALL_SUCCEEDED

    @property
    def place(self) -> str:
        """Where it stands in the pipeline, whichever iteration it is of: the keys from the root on."""
        keys: list[str] = []
        task: LiveTask | None = self
        while task is not None:
            keys += [task.key] if task.index is None else []
            task = task.parent
        return "/".join(reversed(keys))

    @property
    def is_exit(self) -> bool:
        """True for exit tasks and all within them: they run although the run is being cancelled."""
        task: LiveTask | None = self
        while task is not None:
            if task.index is None and not task.waits_for_success:
                return True
            task = task.parent
        return False

    @property
    def live_attempt(self) -> LiveAttempt | None:
        """The attempt that has not ended."""
        attempt = self.attempt
        return attempt if attempt is not None and not attempt.state.is_final else None


@dataclass(slots=True, eq=False)
class LiveRun:
    """A run in memory: what it was asked to do, where it stands, and what an event has left to do."""

    record: Run
    """As loaded; only what never changes is read from it."""
    graph: PipelineGraph
    constants: RunConstants
    facts: RunFacts
    fence: int
    """Of the lease under which this server owns it."""
    event_sequence: int
    """Number of the newest event that is known to be written."""
    launcher: str
    """Name of the launcher that its attempts go to."""
    makes_pods: bool
    """Each attempt of a step is a pod there, and what the step asks of it has to be resolved."""
    root: LiveTask
    tasks: dict[TaskId, LiveTask]
    state: RunState
    reason: str
    message: str
    failed_task_id: TaskId | None
    elapsed_s: float = 0.0
    """Since the run's start when it was loaded."""
    decisions: Decisions = field(default_factory=Decisions)
    """What has been decided since `advance` was called."""
    ready: deque[LiveTask] = field(default_factory=deque)
    """Tasks that wait for nothing more and have not been started."""
    ended: deque[LiveTask] = field(default_factory=deque)
    """Tasks whose end their siblings and their parent have not heard of."""
    limits: RunLimits = field(default_factory=RunLimits)
    is_paused: bool = False
    cancels_exit_tasks: bool = False
    """A cancel spares exit tasks no more."""
    reusable: Mapping[str, CacheHit] = field(default_factory=dict)
    """By result key: the steps of the run that this one runs again."""

    @property
    def uid(self) -> RunUid:
        """Its identity."""
        return self.record.uid

    @property
    def is_cancelling(self) -> bool:
        """True while nothing new may start."""
        return self.state is RunState.CANCELLING

    @property
    def deadline_s(self) -> float | None:
        """Seconds from the run's start within which it has to end; the request and the pipeline may set one each."""
        return shortest(self.record.deadline_s, run_deadline_s(self.graph))

    def stops(self, task: LiveTask) -> bool:
        """True when the task may not start, or go on, since the run is being cancelled."""
        return self.is_cancelling and (self.cancels_exit_tasks or not task.is_exit)

    @property
    def holds_back(self) -> bool:
        """True while the run is paused; one that is being cancelled does not wait for anybody."""
        return self.is_paused and not self.is_cancelling

    @property
    def task_end_reason(self) -> str:
        """Why tasks end while the run is being cancelled."""
        late = self.reason in reasons.DEADLINE_REASONS
        return reasons.DEADLINE_EXCEEDED if late else reasons.RUN_CANCELLED


def kind_of(component: Component) -> TaskKind:
    """What a task of the component is, unless it is run over a list."""
    match component.body:
        case Container():
            return TaskKind.STEP
        case Importer():
            return TaskKind.IMPORTER
        case Dag():
            return TaskKind.DAG


def new_root(graph: PipelineGraph) -> LiveTask:
    """The root task of a run."""
    root = graph.root
    return LiveTask(ROOT_TASK, ROOT_TASK, graph.display_name or graph.name, None, kind_of(root), root, None, None)


def new_child(graph: PipelineGraph, parent: LiveTask, spec: TaskSpec) -> LiveTask:
    """The task `spec` of the DAG `parent`, waiting for all it depends on."""
    component = graph.components[spec.component]
    return LiveTask(
        child_task_id(parent.id, spec.key),
        spec.key,
        spec.display_name,
        parent,
        TaskKind.LOOP if spec.iterator is not None else kind_of(component),
        component,
        spec,
        spec.retry or parent.retry,
        waits_for=len(spec.depends_on),
    )


def new_iteration(loop: LiveTask, index: int) -> LiveTask:
    """One pass of a loop."""
    key = str(index)
    kind = TaskKind.STEP if isinstance(loop.component.body, Container) else TaskKind.ITERATION
    return LiveTask(
        child_task_id(loop.id, key),
        key,
        f"{loop.display_name} {index}",
        loop,
        kind,
        loop.component,
        loop.spec,
        loop.retry,
        index=index,
    )
