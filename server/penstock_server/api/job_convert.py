"""Jobs, their slots and backfills as messages of the API."""

from penstock.v1 import backfill_pb2, job_pb2, job_slot_pb2, run_pb2
from penstock_server.api import names
from penstock_server.api.convert import cache_policy
from penstock_server.api.wire_values import common_fields, duration, json_values, timestamp
from penstock_server.model.jobs import Backfill, Job, JobRun, JobSlot, Overlap, SlotKind


def job(record: Job) -> job_pb2.Job:
    """A job, its run in VIEW_BASIC."""
    schedule = record.schedule
    message = job_pb2.Job(
        name=names.JOB.format(record.namespace, record.id),
        archive_time=timestamp(record.archive_time),
        run=job_run(record.run, record.namespace),
        start_time=timestamp(schedule.start_time),
        end_time=timestamp(schedule.end_time),
        catch_up=job_pb2.Job.CatchUp.Value(f"CATCH_UP_{schedule.catch_up}"),
        catch_up_limit=schedule.catch_up_limit,
        overlap=job_pb2.Job.Overlap.Value(f"OVERLAP_{schedule.overlap}"),
        max_concurrency=0 if schedule.overlap is Overlap.ALLOW else schedule.max_concurrency,
        jitter=duration(schedule.jitter_s or None),
        max_consecutive_failures=schedule.max_consecutive_failures,
        state=job_pb2.Job.State.Value(f"STATE_{record.state}"),
        reason=record.reason,
        message=record.message,
        consecutive_failures=record.consecutive_failures,
        next_slot_time=timestamp(record.next_slot_time if record.fires else None),
        last_slot_time=timestamp(record.last_slot_time),
        last_run=_run_name(record.namespace, record.last_run_id),
        active_run_count=record.active_run_count,
        waiting_slot_count=record.waiting_slot_count,
        **common_fields(record),
    )
    if schedule.interval_s is not None:
        message.interval.every.CopyFrom(duration(schedule.interval_s))
    if schedule.cron is not None:
        message.cron.expression, message.cron.time_zone = schedule.cron, schedule.time_zone
    return message


def job_run(record: JobRun, namespace: str) -> run_pb2.Run:
    """The run that each slot makes, as a request could say it."""
    message = run_pb2.Run(
        experiment=names.EXPERIMENT.format(namespace, record.experiment_id),
        spec_digest=record.spec_digest or "",
        display_name=record.display_name,
        description=record.description,
        labels=record.labels,
        parameters=json_values(record.parameters),
        cache_max_age=duration(record.cache_max_age_s),
        deadline=duration(record.deadline_s),
        priority=record.priority,
        max_parallel_tasks=record.max_parallel_tasks or 0,
        task_timeout=duration(record.task_timeout_s),
        queue_timeout=duration(record.queue_timeout_s),
        artifact_root=record.artifact_root,
    )
    if record.cache_policy is not None:
        message.cache_policy = cache_policy(record.cache_policy)
    if record.pipeline_id is not None:
        version = record.pipeline_version or record.pipeline_alias or "latest"
        where = record.pipeline_namespace or namespace
        message.pipeline_version = names.PIPELINE_VERSION.format(where, record.pipeline_id, version)
    return message


def job_slot(record: JobSlot, namespace: str, job_id: str) -> job_slot_pb2.JobSlot:
    """A slot of that job."""
    backfill_id = record.backfill_id
    message = job_slot_pb2.JobSlot(
        job=names.JOB.format(namespace, job_id),
        slot_time=timestamp(record.slot_time),
        last_slot_time=timestamp(record.last_slot_time),
        kind=job_slot_pb2.JobSlot.Kind.Value(f"KIND_{record.kind}"),
        state=job_slot_pb2.JobSlot.State.Value(f"STATE_{record.state}"),
        reason=record.reason,
        message=record.message,
        run=_run_name(namespace, record.run_id),
        index=record.index or 0,
        due_time=timestamp(record.due_time),
        fire_time=timestamp(record.fire_time),
        backfill="" if backfill_id is None else names.BACKFILL.format(namespace, job_id, backfill_id),
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        sequence=record.sequence,
    )
    if record.fire_time is not None and record.kind is not SlotKind.BACKFILL:
        message.lateness.CopyFrom(duration(max(0.0, (record.fire_time - record.due_time).total_seconds())))
    return message


def backfill(record: Backfill, namespace: str, job_id: str) -> backfill_pb2.Backfill:
    """A backfill of that job."""
    return backfill_pb2.Backfill(
        name=names.BACKFILL.format(namespace, job_id, record.id),
        uid=str(record.uid),
        start_time=timestamp(record.start_time),
        end_time=timestamp(record.end_time),
        max_concurrency=record.max_concurrency,
        state=backfill_pb2.Backfill.State.Value(f"STATE_{record.state}"),
        slot_count=record.slot_count,
        fired_before_count=record.fired_before_count,
        waiting_count=record.waiting_count,
        active_count=record.active_count,
        succeeded_count=record.succeeded_count,
        failed_count=record.failed_count,
        skipped_count=record.skipped_count,
        create_time=timestamp(record.create_time),
        finish_time=timestamp(record.finish_time),
    )


def _run_name(namespace: str, run_id: str | None) -> str:
    return "" if run_id is None else names.RUN.format(namespace, run_id)
