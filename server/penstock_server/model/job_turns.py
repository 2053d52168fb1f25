"""A turn of a job: what is known when it begins, and what it comes to.

The store reads a `Situation`, the engine decides on a `Turn`, the store writes it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock_server.model.ids import RunUid
from penstock_server.model.jobs import Job, JobState, SlotKind, SlotState
from penstock_server.model.states import RunState


@dataclass(frozen=True, slots=True)
class WaitingSlot:
    """A slot of the trigger, or made by hand, that waits."""

    slot_time: datetime
    kind: SlotKind
    due_time: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run of the job that is not finished."""

    uid: RunUid
    id: str
    backfill_uid: uuid.UUID | None
    is_cancelling: bool
    """It is being cancelled, or that has been asked for."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run of the job that has ended since the last turn."""

    id: str
    state: RunState
    message: str
    backfill_uid: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class OpenBackfill:
    """A backfill that is not finished."""

    uid: uuid.UUID
    max_concurrency: int
    active_count: int
    waiting: Sequence[datetime]
    """The first of its slots that wait."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a turn is decided by."""

    job: Job
    now: datetime
    """By the database."""
    waiting: Sequence[WaitingSlot] = ()
    """Oldest first."""
    open_runs: Sequence[OpenRun] = ()
    """The oldest ones; `job.active_run_count` is how many there are."""
    ended: Sequence[EndedRun] = ()
    """In the order of their ends."""
    backfills: Sequence[OpenBackfill] = ()
    """Oldest first."""


@dataclass(frozen=True, slots=True)
class SlotDecision:
    """What becomes of one slot, or of many that are skipped together."""

    slot_time: datetime
    kind: SlotKind
    due_time: datetime
    state: SlotState
    reason: str = ""
    message: str = ""
    last_slot_time: datetime | None = None
    """Of many: the last one."""
    backfill_uid: uuid.UUID | None = None
    is_new: bool = True
    """False: it has waited."""
    request_id: uuid.UUID | None = None
    """Of the call that made it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a job fires, and how its last runs went."""

    state: JobState
    reason: str
    message: str
    consecutive_failures: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn has come to."""

    slots: Sequence[SlotDecision]
    """Those that change, in the order in which they are written; those FIRED are to make their runs."""
    cancel: Sequence[OpenRun]
    """Runs to be cancelled for the sake of a slot that waits."""
    standing: Standing
    cursor_time: datetime
    next_slot_time: datetime | None
    attention_time: datetime | None


@dataclass(frozen=True, slots=True)
class FiredSlot:
    """The run that a slot has made."""

    run_uid: RunUid
    run_id: str
    index: int
