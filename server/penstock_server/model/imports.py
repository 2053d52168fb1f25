"""Runs that ended in another installation, as they are taken over: history that nothing here moves."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.json import Json
from penstock_server.model.resources import TaskKind
from penstock_server.model.states import RunState, TaskState


@dataclass(frozen=True, slots=True)
class Kept:
    """What a resource that comes from elsewhere keeps of its own."""

    uid: uuid.UUID
    create_time: datetime


@dataclass(frozen=True, slots=True)
class PastTask:
    """A task of such a run."""

    id: TaskId
    parent_id: TaskId | None
    """None for the root."""
    key: str
    display_name: str
    kind: TaskKind
    state: TaskState
    """A final one."""
    message: str
    create_time: datetime
    start_time: datetime | None
    end_time: datetime


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that has ended elsewhere."""

    uid: RunUid
    display_name: str
    description: str
    labels: Mapping[str, str]
    parameters: Mapping[str, Json]
    state: RunState
    """A final one."""
    message: str
    """Why it ended like that; empty where it succeeded."""
    failed_task_id: TaskId | None
    create_time: datetime
    start_time: datetime
    cancel_time: datetime
    """Of one that was cancelled: since when it was being stopped."""
    end_time: datetime
    scheduled_time: datetime | None
    """When the schedule wanted it; None: somebody made it."""
    is_archived: bool
    origin: str
    """Where it ran."""
    tasks: Sequence[PastTask]
    """The root first, parents before what they hold."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """Something that happened in such a run. Its number is its place."""

    time: datetime
    task_id: TaskId | None
    """None: of the run itself."""
    from_state: str | None
    to_state: str
    reason: str
    message: str
