"""What can happen to a run, as `plan.advance` takes it."""

from dataclasses import dataclass
from typing import TypeAlias

from penstock_server.launch.base import Observation
from penstock_server.model.changes import RunLimits
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import TaskValues


@dataclass(frozen=True, slots=True)
class RunTaken:
    """This server owns the run now: a new one is started, one under way goes on from where it was loaded."""


@dataclass(frozen=True, slots=True)
class SlotGranted:
    """The queued step may run."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class CacheHit:
    """An earlier task that did the same."""

    run_uid: RunUid
    task_id: TaskId
    outputs: TaskValues
    run_id: str = ""
    """The run's name for people."""


@dataclass(frozen=True, slots=True)
class CacheAnswered:
    """Results of earlier runs were looked through for the task."""

    task_id: TaskId
    hit: CacheHit | None
    note: str = ""
    """Why there is no hit."""


@dataclass(frozen=True, slots=True)
class TwinFound:
    """Instead of `SlotGranted`: another task that does the same runs already, and its results will do."""

    task_id: TaskId
    twin: str
    """Which one, in words."""


@dataclass(frozen=True, slots=True)
class TwinEnded:
    """The other task has ended, one way or the other."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Observed:
    """The launcher saw something of one of the run's attempts."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class LaunchRefused:
    """The launcher could not be asked to start the attempt, however often that was tried."""

    task_id: TaskId
    number: int
    message: str


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The time before the task's next attempt is over."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants the run to end."""

    reason: str
    """CANCEL_REQUESTED or RUN_DELETED."""
    message: str
    exit_tasks: bool = False
    """Exit tasks, and what is within them, end too."""


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """Somebody wants nothing new to start."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Somebody wants the paused run to go on."""


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """Somebody gave the run another priority, or another bound to its steps at a time."""

    limits: RunLimits


@dataclass(frozen=True, slots=True)
class QueueTimedOut:
    """The task has waited for a slot for as long as it may."""

    task_id: TaskId
    wait: int
    """Number of the wait, as the task counts them."""


@dataclass(frozen=True, slots=True)
class Continued:
    """Others have had their turn."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The run has taken longer than it may."""


@dataclass(frozen=True, slots=True)
class RetryRequested:
    """Somebody wants the ended run to go on."""


PlanEvent: TypeAlias = (
    RunTaken
    | SlotGranted
    | CacheAnswered
    | TwinFound
    | TwinEnded
    | Observed
    | LaunchRefused
    | RetryDue
    | CancelRequested
    | DeadlinePassed
    | RetryRequested
    | PauseRequested
    | ResumeRequested
    | LimitsChanged
    | QueueTimedOut
    | Continued
)
