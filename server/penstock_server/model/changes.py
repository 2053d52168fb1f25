"""What the engine has decided for one run and the store writes in one transaction.

Each change names the state it expects to find. Times are the database's, so none stand here: a start time is
written when a subject first leaves its waiting states, an end time when it ends.
"""

from dataclasses import dataclass, field

from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.json import Json
from penstock_server.model.resources import EventSubject, TaskKind, TaskValues
from penstock_server.model.states import AttemptState, FailureClass, RunState, TaskState


@dataclass(frozen=True, slots=True)
class RunMove:
    """The run itself goes from state to state."""

    from_state: RunState
    to_state: RunState
    reason: str = ""
    message: str = ""
    failed_task_id: TaskId | None = None
    outputs: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskCreate:
    """A task comes to be, PENDING."""

    id: TaskId
    parent_id: TaskId | None
    key: str
    display_name: str
    kind: TaskKind
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class TaskMove:
    """A task goes from state to state. What is None stays as it is."""

    id: TaskId
    from_state: TaskState
    to_state: TaskState
    reason: str = ""
    message: str = ""
    inputs: TaskValues | None = None
    outputs: TaskValues | None = None
    cache_key: str | None = None
    cached_from: tuple[RunUid, TaskId] | None = None
    delay_s: float | None = None
    """The next attempt starts so many seconds from now (`not_before`)."""
    result_key: str | None = None
    cache_note: str | None = None
    step_key: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptCreate:
    """An attempt comes to be, LAUNCHING."""

    task_id: TaskId
    number: int
    launcher: str


@dataclass(frozen=True, slots=True)
class AttemptMove:
    """An attempt goes from state to state."""

    task_id: TaskId
    number: int
    from_state: AttemptState
    to_state: AttemptState
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    log_tail: str = ""
    host: str = ""
    handle: str = ""
    failure_class: FailureClass | None = None


@dataclass(frozen=True, slots=True)
class RunPause:
    """The owner has taken up that the run is paused, or goes on; told by a notice, RUN_PAUSED or RUN_RESUMED."""

    paused: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Which of the runs come first, and how many steps of one may run at a time; as a change: taken up by the owner."""

    priority: int = 0
    max_parallel_tasks: int | None = None
    """None: as many as the server lets."""

    @property
    def message(self) -> str:
        """The limits in words."""
        if self.max_parallel_tasks is None:
            return f"priority {self.priority}, any number of steps at a time"
        return f"priority {self.priority}, at most {self.max_parallel_tasks} steps at a time"


@dataclass(frozen=True, slots=True)
class Notice:
    """An event without a transition."""

    reason: str
    message: str
    task_id: TaskId | None = None
    attempt: int | None = None


Change = RunMove | RunPause | RunLimits | TaskCreate | TaskMove | AttemptCreate | AttemptMove | Notice
"""In the order in which they happened; each one is one event."""


@dataclass(frozen=True, slots=True)
class RunChanges:
    """All that one commit changes of one run."""

    run_uid: RunUid
    fence: int
    """Of the lease under which it was decided; the write is refused when it is no longer the run's."""
    event_sequence: int
    """Of the newest event before these; the write is refused when the run is elsewhere."""
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class RequestFlags:
    """What the API has asked of a run and its owner has to take up."""

    cancel: bool = False
    cancel_message: str = ""
    cancel_exit_tasks: bool = False
    """The cancel does not spare exit tasks either."""
    pause: bool | None = None
    """Whether the run is to be paused (True) or to go on (False); None: nothing was asked."""
    limits: RunLimits | None = None
    """New limits; None: nothing was asked."""
    retry: bool = False
    delete: bool = False


SUBJECT_OF: dict[type, EventSubject] = {
    RunMove: EventSubject.RUN,
    RunPause: EventSubject.NOTICE,
    RunLimits: EventSubject.NOTICE,
    TaskCreate: EventSubject.TASK,
    TaskMove: EventSubject.TASK,
    AttemptCreate: EventSubject.ATTEMPT,
    AttemptMove: EventSubject.ATTEMPT,
    Notice: EventSubject.NOTICE,
}
"""What the event of each kind of change tells of."""
