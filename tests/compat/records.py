"""Records as the store returns them; every value has a default."""

import uuid
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.jobs import CatchUp, Job, JobRun, JobSchedule, JobState
from penstock_server.model.resources import CachePolicy, Run, TaskKind, TaskValues
from penstock_server.model.states import RunState, TaskState
from penstock_server.store.kfp_histories import KfpTask, Move

BEGIN = datetime(2026, 3, 1, 9, 0, 0, 250_000, tzinfo=UTC)
UID = RunUid(uuid.UUID("11111111-2222-4333-8444-555555555555"))


def at(seconds: float) -> datetime:
    """So many seconds after the beginning."""
    return BEGIN + timedelta(seconds=seconds)


def run(**values: Any) -> Run:
    """A run that was just made."""
    defaults: dict[str, Any] = {
        "uid": UID,
        "namespace": "default",
        "id": "r",
        "experiment_uid": uuid.UUID(int=7),
        "experiment_id": "default",
        "pipeline_id": None,
        "pipeline_version": None,
        "spec_digest": "sha256:0",
        "display_name": "nightly",
        "description": "",
        "labels": {},
        "parameters": {},
        "cache_policy": CachePolicy.DEFAULT,
        "deadline_s": None,
        "artifact_root": "",
        "state": RunState.PENDING,
        "reason": "WAITING_FOR_ENGINE",
        "message": "",
        "failed_task_id": None,
        "outputs": {},
        "event_sequence": 2,
        "revision": 1,
        "create_time": BEGIN,
        "start_time": None,
        "end_time": None,
        "update_time": BEGIN,
        "archive_time": None,
        "traceparent": None,
    }
    return Run(**(defaults | values))


def task(id: str, parent: str | None = "root", **values: Any) -> KfpTask:
    """A task that waits."""
    defaults: dict[str, Any] = {
        "id": TaskId(id),
        "parent_id": None if parent is None else TaskId(parent),
        "key": id.rpartition(".")[2],
        "display_name": id.rpartition(".")[2],
        "kind": TaskKind.STEP if parent is not None else TaskKind.DAG,
        "state": TaskState.PENDING,
        "reason": "READY",
        "message": "",
        "inputs": TaskValues(),
        "outputs": TaskValues(),
        "attempt_count": 0,
        "create_time": BEGIN,
        "start_time": None,
        "end_time": None,
    }
    return KfpTask(**(defaults | values))


def move(sequence: int, _before: RunState | None, after: RunState) -> Move:
    """The run goes on, a second after its last move."""
    return Move(after, "", "", at(sequence))


def job(**values: Any) -> Job:
    """An hourly job."""
    defaults: dict[str, Any] = {
        "uid": uuid.UUID(int=9),
        "namespace": "default",
        "id": "hourly",
        "display_name": "hourly",
        "description": "",
        "labels": {},
        "run": JobRun("default", spec_digest="sha256:0"),
        "schedule": JobSchedule(3600.0, None, start_time=BEGIN, catch_up=CatchUp.ALL),
        "state": JobState.ENABLED,
        "cursor_time": BEGIN,
        "create_time": BEGIN,
        "update_time": BEGIN,
    }
    numbers = ("consecutive_failures", "fired_count", "sequence", "job_sequence", "revision")
    defaults |= dict.fromkeys((*numbers, "active_run_count", "waiting_slot_count"), 0) | {"reason": "", "message": ""}
    rest = {field.name: None for field in fields(Job)}
    return Job(**(rest | defaults | values))
