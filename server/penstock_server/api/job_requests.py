"""What the requests of JobService ask for: schedules and changes, read from Job messages."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.v1 import job_pb2
from penstock.v1 import job_service_pb2 as pb
from penstock_server.api.masks import Edit, edit_of
from penstock_server.api.run_reader import RunReader, seconds, wrong
from penstock_server.engine.jobs import JobChange, JobSource
from penstock_server.model.jobs import CatchUp, Job, JobRun, JobSchedule, Overlap

T = TypeVar("T")
CATCH_UP_LIMIT_DEFAULT = 100
_TRIGGER = ("interval_s", "cron", "time_zone")
_SCHEDULE: Mapping[str, tuple[str, ...]] = {
    "interval": _TRIGGER,
    "cron": _TRIGGER,
    "start_time": ("start_time",),
    "end_time": ("end_time",),
    "catch_up": ("catch_up",),
    "catch_up_limit": ("catch_up_limit",),
    "overlap": ("overlap",),
    "max_concurrency": ("max_concurrency",),
    "jitter": ("jitter_s",),
    "max_consecutive_failures": ("max_consecutive_failures",),
}
"""The fields of the message that make the schedule, and what of it each of them writes."""
_MORE = ("run", *_SCHEDULE)
"""What can be edited of jobs beyond what can be of every resource."""


def schedule_of(job: job_pb2.Job) -> JobSchedule:
    """When the job fires. Raises InvalidArgument where it does not say so."""
    if job.WhichOneof("trigger") is None:
        raise wrong("job", "needs cron or interval: one of them says when it fires")
    schedule = _schedule(job)
    if job.max_concurrency:
        _check_bounded(schedule)
    return schedule


def instant(message: Message, field: str, path: str) -> datetime | None:
    """The time in that field; None where it is not set. Raises InvalidArgument naming `path`."""
    time: Timestamp = getattr(message, field)
    if not message.HasField(field):
        return None
    try:
        return time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise wrong(path, "is no time between the years 1 and 9999") from None


@dataclass(frozen=True, slots=True)
class JobEdit:
    """What an update writes; what is None stays as it is."""

    edit: Edit
    run: tuple[JobSource | None, JobRun] | None
    """Without a source the job's own stays."""
    schedule: JobSchedule
    """As the message has it; of it only `written` counts."""
    written: frozenset[str]
    bounds: bool
    """It says how many runs there may be at a time."""

    def of(self, job: Job) -> JobChange:
        """The change of that job. What is already as it is to be is left out. Raises InvalidArgument."""
        schedule = replace(job.schedule, **{name: getattr(self.schedule, name) for name in self.written})
        if schedule.start_time is None:
            schedule = replace(schedule, start_time=job.create_time)
        if self.bounds:
            _check_bounded(schedule)
        return JobChange(
            display_name=_changed(self.edit.display_name, job.display_name),
            description=_changed(self.edit.description, job.description),
            labels=_changed(self.edit.labels, job.labels),
            run=self.run,
            schedule=_changed(schedule, job.schedule),
        )


async def job_edit(request: pb.UpdateJobRequest, namespace: str, id: str, reader: RunReader) -> JobEdit:
    """What `request` writes. Raises InvalidArgument, and what reading a run raises."""
    job = request.job
    edit = edit_of(job, request.update_mask, default_display_name=id, more=_MORE)
    paths = frozenset(edit.more)
    if {"interval", "cron"} & paths and job.WhichOneof("trigger") not in paths:
        raise wrong("job", f"needs {' or '.join(sorted({'interval', 'cron'} & paths))}, which the mask names")
    run = None
    if "run" in paths:
        run = await _asked_run(job, namespace, reader)
    written = frozenset(name for path in paths & _SCHEDULE.keys() for name in _SCHEDULE[path])
    return JobEdit(edit, run, _schedule(job), written, "max_concurrency" in written and job.max_concurrency > 0)


async def _asked_run(job: job_pb2.Job, namespace: str, reader: RunReader) -> tuple[JobSource | None, JobRun]:
    if not job.HasField("run"):
        raise wrong("job.run", "has to be given, since the mask names it")
    run = JobRun(**reader.fields(job.run, namespace, "job.run"))
    if job.run.WhichOneof("source") is None:
        return None, run
    source, _word = await reader.source(job.run, namespace, "job.run")
    return source, run


def _changed(new: T | None, present: T) -> T | None:
    return None if new == present else new


def _schedule(job: job_pb2.Job) -> JobSchedule:
    return JobSchedule(
        interval_s=seconds(job.interval, "every") if job.HasField("interval") else None,
        cron=job.cron.expression if job.HasField("cron") else None,
        time_zone=job.cron.time_zone or "UTC",
        start_time=instant(job, "start_time", "job.start_time"),
        end_time=instant(job, "end_time", "job.end_time"),
        catch_up=_catch_up(job.catch_up),
        catch_up_limit=job.catch_up_limit or CATCH_UP_LIMIT_DEFAULT,
        overlap=_overlap(job.overlap),
        max_concurrency=job.max_concurrency or 1,
        jitter_s=seconds(job, "jitter") or 0,
        max_consecutive_failures=job.max_consecutive_failures,
    )


def _check_bounded(schedule: JobSchedule) -> None:
    """Nobody is to rely on a bound that does not hold."""
    if schedule.overlap is Overlap.ALLOW:
        raise wrong("job.max_concurrency", "does not count with OVERLAP_ALLOW; leave it out, or take another policy")


def _catch_up(policy: job_pb2.Job.CatchUp.ValueType) -> CatchUp:
    if policy == job_pb2.Job.CATCH_UP_UNSPECIFIED:
        return CatchUp.NONE
    return CatchUp(job_pb2.Job.CatchUp.Name(policy).removeprefix("CATCH_UP_"))


def _overlap(policy: job_pb2.Job.Overlap.ValueType) -> Overlap:
    if policy == job_pb2.Job.OVERLAP_UNSPECIFIED:
        return Overlap.QUEUE_ALL
    return Overlap(job_pb2.Job.Overlap.Name(policy).removeprefix("OVERLAP_"))
