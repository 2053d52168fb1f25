"""What `plan.advance` wants done: asks of the engine itself at once, effects outside after the commit."""

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from penstock_server.launch.base import Observation
from penstock_server.model.changes import Change, RunLimits
from penstock_server.model.ids import TaskId
from penstock_server.model.states import AttemptState


@dataclass(frozen=True, slots=True)
class WantSlot:
    """The task waits for a slot; answered by `SlotGranted`."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class GiveSlotBack:
    """The task needs its slot, or its place in the queue for one, no more."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class KeepSlot:
    """The task has a live attempt from before and takes a slot, whether or not one is free."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Limit:
    """The run's steps have their turn by these limits from now on."""

    limits: RunLimits


@dataclass(frozen=True, slots=True)
class GoOn:
    """There is more to be done than one turn should take; answered by `Continued`."""


@dataclass(frozen=True, slots=True)
class LookUpCache:
    """Look for an earlier task with that key; answered by `CacheAnswered`."""

    task_id: TaskId
    cache_key: str
    max_age_s: float | None = None
    """What ended longer ago is not reused."""
    step_key: str | None = None
    """Of a step: what an earlier one to compare with is looked for by, where there is none with the key."""


@dataclass(frozen=True, slots=True)
class AwaitTwin:
    """The task waits for the end of one that does the same; answered by `TwinEnded`."""

    task_id: TaskId
    cache_key: str


Ask: TypeAlias = WantSlot | GiveSlotBack | KeepSlot | Limit | LookUpCache | AwaitTwin | GoOn
"""Concerns this process alone, or only reads: need not wait for the commit."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Ask the launcher to start the attempt."""

    urgent: ClassVar[bool] = True
    task_id: TaskId
    number: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Ask the launcher what became of the attempt; one that never started is started."""

    urgent: ClassVar[bool] = True
    task_id: TaskId
    number: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the launcher to end the attempt."""

    urgent: ClassVar[bool] = True
    task_id: TaskId
    number: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Tell the launcher that the attempt's end is recorded."""

    urgent: ClassVar[bool] = False
    task_id: TaskId
    number: int
    state: AttemptState | None
    """How it ended; None when its end was recorded before and only told again."""
    failure: Observation | None = None
    """What was seen of its end, where that is no fault of the step's own."""


@dataclass(frozen=True, slots=True)
class WaitForRetry:
    """After so many seconds send `RetryDue`."""

    urgent: ClassVar[bool] = False
    task_id: TaskId
    delay_s: float


@dataclass(frozen=True, slots=True)
class WaitForQueue:
    """After so many seconds send `QueueTimedOut`."""

    urgent: ClassVar[bool] = False
    task_id: TaskId
    wait: int
    """Number of the wait, as the task counts them."""
    delay_s: float


@dataclass(frozen=True, slots=True)
class WaitForDeadline:
    """After so many seconds send `DeadlinePassed`."""

    urgent: ClassVar[bool] = False
    delay_s: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The run has ended: let go of it."""

    urgent: ClassVar[bool] = True


Effect: TypeAlias = Launch | Adopt | Stop | Forget | WaitForRetry | WaitForQueue | WaitForDeadline | Finished
"""Happens only after the changes decided with it are committed; `urgent` ones do not wait for company."""


@dataclass(slots=True)
class Decisions:
    """What follows from one event."""

    changes: list[Change] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
