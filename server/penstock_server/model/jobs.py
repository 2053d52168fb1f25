"""Jobs, their slots and backfills as the server holds them. Field names are those of the protos and of the columns.

Times are aware and UTC. `revision` counts what users change and is what an etag is made of.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from penstock_server.model.ids import RunUid
from penstock_server.model.json import Json
from penstock_server.model.resources import CachePolicy

PIPELINE_DELETED = "PIPELINE_DELETED"
"""Why a job is disabled: there is no pipeline of that name any more."""
PIPELINE_VERSION_DELETED = "PIPELINE_VERSION_DELETED"
"""Why a job is disabled: its pipeline has no longer the version that the job names, or no version at all."""


class JobState(StrEnum):
    """Whether a job's trigger fires."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class CatchUp(StrEnum):
    """What happens to missed slots."""

    NONE = "NONE"
    """They are skipped; those before the job was made are not slots of it."""
    LATEST = "LATEST"
    """The newest fires."""
    ALL = "ALL"
    """The newest `catch_up_limit` fire."""


class Overlap(StrEnum):
    """What happens to a slot while `max_concurrency` runs of the job are not finished."""

    ALLOW = "ALLOW"
    SKIP = "SKIP"
    QUEUE_ONE = "QUEUE_ONE"
    """It waits; of several only the newest."""
    QUEUE_ALL = "QUEUE_ALL"
    REPLACE = "REPLACE"
    """It waits, only the newest, and the oldest run is cancelled."""


class SlotKind(StrEnum):
    """What made a slot."""

    SCHEDULED = "SCHEDULED"
    MANUAL = "MANUAL"
    BACKFILL = "BACKFILL"


class SlotState(StrEnum):
    """What has come of a slot."""

    WAITING = "WAITING"
    FIRED = "FIRED"
    SKIPPED = "SKIPPED"


class BackfillState(StrEnum):
    """Where a backfill stands."""

    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """True for those that are not left."""
        return self not in (BackfillState.RUNNING, BackfillState.CANCELLING)


@dataclass(frozen=True, slots=True)
class JobRun:
    """The run that each slot of a job makes."""

    experiment_id: str
    pipeline_id: str | None = None
    """None: `spec_digest` names an inline spec."""
    pipeline_version: int | None = None
    """None, without an alias: the newest when the slot fires."""
    pipeline_alias: str | None = None
    pipeline_namespace: str | None = None
    """None: the job's own."""
    spec_digest: str | None = None
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Json] = field(default_factory=dict)
    """With their macros."""
    cache_policy: CachePolicy | None = None
    """None: the version's, else the server's."""
    cache_max_age_s: float | None = None
    deadline_s: float | None = None
    priority: int = 0
    max_parallel_tasks: int | None = None
    task_timeout_s: float | None = None
    queue_timeout_s: float | None = None
    artifact_root: str = ""


@dataclass(frozen=True, slots=True)
class JobSchedule:
    """When a job fires, and what happens when it cannot."""

    interval_s: float | None
    """Seconds from slot to slot; None: `cron` says when."""
    cron: str | None
    time_zone: str = "UTC"
    start_time: datetime | None = None
    """None: when the job is made."""
    end_time: datetime | None = None
    catch_up: CatchUp = CatchUp.NONE
    catch_up_limit: int = 100
    overlap: Overlap = Overlap.QUEUE_ALL
    max_concurrency: int = 1
    jitter_s: float = 0
    max_consecutive_failures: int = 0
    """0: no number of failures disables it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A recurring run."""

    uid: uuid.UUID
    namespace: str
    id: str
    display_name: str
    description: str
    labels: Mapping[str, str]
    run: JobRun
    schedule: JobSchedule
    """Its `start_time` is set."""
    state: JobState
    reason: str
    """Why it is disabled: DISABLED_BY_USER, TOO_MANY_FAILURES, PIPELINE_DELETED, PIPELINE_VERSION_DELETED, or IMPORTED
    for one that nobody has enabled yet."""
    message: str
    consecutive_failures: int
    cursor_time: datetime
    """Slots up to here have been decided on."""
    next_slot_time: datetime | None
    """The first slot of the trigger after that, while the job fires."""
    last_slot_time: datetime | None
    last_run_id: str | None
    fired_count: int
    sequence: int
    """Of the newest change of the job or one of its slots."""
    job_sequence: int
    """Of the newest change of the job itself."""
    active_run_count: int
    waiting_slot_count: int
    revision: int
    create_time: datetime
    update_time: datetime
    archive_time: datetime | None

    @property
    def fires(self) -> bool:
        """Whether its trigger fires."""
        return self.state is JobState.ENABLED and self.archive_time is None


@dataclass(frozen=True, slots=True)
class JobSlot:
    """One instant of a job and what came of it."""

    job_uid: uuid.UUID
    slot_time: datetime
    last_slot_time: datetime | None
    """Set where it stands for many that were skipped together: the last of them."""
    kind: SlotKind
    state: SlotState
    reason: str
    message: str
    run_uid: RunUid | None
    run_id: str | None
    index: int | None
    due_time: datetime
    fire_time: datetime | None
    backfill_uid: uuid.UUID | None
    backfill_id: str | None
    sequence: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Backfill:
    """Past slots of a job that are made to fire after all, and how far that is."""

    uid: uuid.UUID
    job_uid: uuid.UUID
    id: str
    start_time: datetime
    end_time: datetime
    max_concurrency: int
    state: BackfillState
    slot_count: int
    fired_before_count: int
    waiting_count: int
    active_count: int
    succeeded_count: int
    failed_count: int
    skipped_count: int
    create_time: datetime
    finish_time: datetime | None
