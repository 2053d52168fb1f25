"""The run that a slot of a job makes."""

import uuid
from dataclasses import replace
from datetime import datetime

from penstock_server.engine.due_slots import timetable_of
from penstock_server.engine.run_requests import NewRunRequest, RunSource, SlotOrigin, StoredSpec, VersionSource
from penstock_server.model.jobs import Job, JobRun
from penstock_server.schedule.macros import SlotFacts, expand

JOB_ID_MAX = 40
"""So much of the job's id stands in the ids of its runs, which have at most 63 characters."""


def source_of(run: JobRun) -> RunSource:
    """What the runs of a job execute."""
    if run.spec_digest is not None:
        return StoredSpec(run.spec_digest, None, None)
    assert run.pipeline_id is not None
    return VersionSource(run.pipeline_id, run.pipeline_version, run.pipeline_alias, run.pipeline_namespace)


def run_of_slot(
    job: Job, slot_time: datetime, index: int, now: datetime, backfill_uid: uuid.UUID | None = None
) -> NewRunRequest:
    """The run of the slot, `index` being its place among those that fire, named after job and slot."""
    uid = uuid.uuid4()
    facts = SlotFacts(
        scheduled_time=slot_time,
        interval_start=timetable_of(job.schedule).previous(slot_time),
        interval_end=slot_time,
        index=index,
        current_time=now,
        run_uid=str(uid),
    )
    run = job.run
    return NewRunRequest(
        namespace=job.namespace,
        run_id=f"{job.id[:JOB_ID_MAX]}-{slot_time:%Y%m%dt%H%M%S}",
        source=source_of(run),
        experiment_id=run.experiment_id,
        display_name=str(expand({"name": run.display_name}, facts, numeric=frozenset())["name"]),
        description=run.description,
        labels=run.labels,
        parameters=run.parameters,
        cache_policy=run.cache_policy,
        cache_max_age_s=run.cache_max_age_s,
        deadline_s=run.deadline_s,
        priority=run.priority,
        max_parallel_tasks=run.max_parallel_tasks,
        task_timeout_s=run.task_timeout_s,
        queue_timeout_s=run.queue_timeout_s,
        artifact_root=run.artifact_root,
        origin=SlotOrigin(job.uid, job.id, slot_time, backfill_uid, facts),
    )


def renamed(request: NewRunRequest) -> NewRunRequest:
    """The same run under a name that nobody has chosen by chance."""
    assert request.origin is not None
    return replace(request, run_id=f"{request.run_id}-{request.origin.facts.run_uid[:4]}")
