"""What the API asks of jobs: make, change, enable, archive, delete, trigger. Backfills are in `backfills`.

Whatever changes a job holds its lock, as a turn does, so that the two never cross.
"""

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock_server.engine import turns
from penstock_server.engine.due_slots import timetable_of
from penstock_server.engine.job_progress import INSTANT, beginning, check_schedule, forward, next_slots, progress, times
from penstock_server.engine.job_runs import run_of_slot
from penstock_server.engine.job_turns import JobTurns
from penstock_server.engine.new_runs import MadeRun, NewRuns
from penstock_server.engine.past_events import IMPORTED
from penstock_server.engine.run_requests import InlineSpec, VersionSource
from penstock_server.model.errors import FailedPrecondition, Unavailable
from penstock_server.model.imports import Kept
from penstock_server.model.jobs import Job, JobRun, JobSchedule, JobSlot, JobState, SlotKind
from penstock_server.schedule import macros
from penstock_server.store import job_slots, jobs, pipeline_versions, requests
from penstock_server.store.database import Connection, Database
from penstock_server.store.requested import RequestKey
from penstock_server.store.revisions import changed_meanwhile

_log = logging.getLogger(__name__)
JobSource = VersionSource | InlineSpec
PARAMETERS_FIELD = "job.run.parameters"
MADE_DISABLED = (turns.DISABLED_BY_USER, "it was made like that")


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be made."""

    namespace: str
    id: str
    source: JobSource
    run: JobRun
    """What it executes is told by `source`."""
    schedule: JobSchedule
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    request: RequestKey | None = None
    parameters_field: str = PARAMETERS_FIELD
    """Where the caller's request has the parameters, for errors."""
    disabled_because: tuple[str, str] = MADE_DISABLED
    """Reason and message of one that is not enabled."""
    kept: Kept | None = None
    """Of a job that comes from elsewhere: what was due there before counts as done."""


@dataclass(frozen=True, slots=True)
class JobChange:
    """What is to be written; None leaves a thing as it is."""

    display_name: str | None = None
    description: str | None = None
    labels: Mapping[str, str] | None = None
    run: tuple[JobSource | None, JobRun] | None = None
    """With what it executes; None: what it does already."""
    schedule: JobSchedule | None = None


class Jobs:
    """Checks and records what the API asks."""

    def __init__(self, database: Database, new_runs: NewRuns, turns: JobTurns) -> None:
        self._database = database
        self._new_runs = new_runs
        self._turns = turns

    async def create(self, new: NewJob, *, validate_only: bool = False) -> Job:
        """The new job, or the one that the same request made before; with `validate_only` nothing is made.

        Raises InvalidArgument (INVALID_CRON, INVALID_TIME_ZONE, INVALID_INTERVAL, INVALID_MACRO, INVALID_REQUEST),
        AlreadyExists (JOB_EXISTS, REQUEST_ID_REUSED), and what the making of its run would raise.
        """
        check_schedule(new.schedule)
        try:
            async with self._database.transaction() as connection:
                made = await self._create(connection, new)
                if validate_only:
                    raise _NothingMade(made)
        except _NothingMade as answer:
            return answer.job
        return made

    async def update(
        self, namespace: str, id: str, change: Callable[[Job], JobChange], *, revision: int | None = None
    ) -> Job:
        """Write what `change` makes of the job as it is, if that is another. A new schedule counts from the present.

        Raises NotFound(JOB_NOT_FOUND), Conflict(ETAG_MISMATCH), and what `create` refuses.
        """
        async with self._changing(namespace, id, revision) as (connection, job, now):
            changed = await self._changed(connection, job, change(job), now)
            if changed == job:
                return job
            return await jobs.update(connection, changed, progress(changed, now))

    async def set_enabled(
        self, namespace: str, id: str, *, enabled: bool, makes_up: bool = False, revision: int | None = None
    ) -> Job:
        """Let the trigger fire from the present on, or stop it.

        With `makes_up` the slots in between were missed, which leaves them to the catch-up policy; not so of a job that
        was imported and has never fired here.

        Raises NotFound (JOB_NOT_FOUND; PIPELINE_NOT_FOUND, PIPELINE_VERSION_NOT_FOUND for one to be enabled that has
        nothing to run), Conflict, FailedPrecondition(JOB_ARCHIVED).
        """
        async with self._changing(namespace, id, revision) as (connection, job, now):
            if enabled:
                check_open(job)
            if (job.state is JobState.ENABLED) == enabled:
                return job
            if enabled:
                await _check_version(connection, job)
            reason, message = ("", "") if enabled else (turns.DISABLED_BY_USER, "somebody disabled it")
            state = JobState.ENABLED if enabled else JobState.DISABLED
            # What was due before an imported job was enabled has fired where it came from.
            makes_up = makes_up and job.reason != IMPORTED
            cursor_time = job.cursor_time if makes_up else forward(job, now)
            job = replace(job, state=state, reason=reason, message=message, cursor_time=cursor_time)
            job = replace(job, consecutive_failures=0) if enabled else job
            return await jobs.update(connection, job, progress(job, now))

    async def set_archived(self, namespace: str, id: str, *, archived: bool, revision: int | None = None) -> Job:
        """Put it into the archive, where it does not fire, or take it out. Raises NotFound, Conflict."""
        async with self._changing(namespace, id, revision) as (connection, job, now):
            if (job.archive_time is not None) == archived:
                return job
            job = replace(job, archive_time=now if archived else None, cursor_time=forward(job, now))
            return await jobs.update(connection, job, progress(job, now))

    async def delete(
        self, namespace: str, id: str, *, cancel_message: str | None = None, revision: int | None = None
    ) -> None:
        """Delete it with its slots and backfills. Its runs go on, unless `cancel_message` says why they are cancelled.

        Raises NotFound, Conflict.
        """
        async with self._database.transaction() as connection:
            job, _now = await self._locked(connection, namespace, id, revision)
            if cancel_message is not None:
                await requests.request_cancel_of_job(connection, job.uid, cancel_message)
            await jobs.delete(connection, [job.uid])

    async def trigger(self, namespace: str, id: str, request: RequestKey | None = None) -> tuple[Job, JobSlot]:
        """A slot of this moment, which fires, waits or is skipped as the overlap policy says.

        Raises NotFound, FailedPrecondition(JOB_ARCHIVED).
        """
        async with self._database.transaction() as connection:
            job, now = await jobs.lock(connection, namespace, id)
            if request is not None:
                repeated = await job_slots.find_repeat(connection, job.uid, request.id)
                if repeated is not None:
                    return job, repeated
            check_open(job)
            slot_time = await _free_instant(connection, job, now)
            request_id = None if request is None else request.id
            triggered = turns.Candidate(slot_time, SlotKind.MANUAL, slot_time, request_id=request_id)
            made = await self._turns.take_locked(connection, job, now, triggered)
            slot = await job_slots.find(connection, job.uid, slot_time)
            assert slot is not None, "the turn has written it"
            job = await jobs.get(connection, namespace, id)
        self._turns.take_up(job.uid, made)
        return job, slot

    async def preview(self, schedule: JobSchedule, after: datetime | None, count: int) -> list[datetime]:
        """The first `count` slots after an instant, by default the present.

        Raises InvalidArgument as `create` does.
        """
        check_schedule(schedule)
        async with self._database.connection() as connection:
            now = await jobs.present(connection)
        after = now if after is None else after
        # A job that is not made yet begins now; asked about the past, it is as if it had been made then.
        timetable = timetable_of(replace(schedule, start_time=schedule.start_time or min(now, after)))
        return next_slots(timetable, after, count)

    async def _create(self, connection: Connection, new: NewJob) -> Job:
        now = await jobs.present(connection)
        if new.request is not None:
            repeated = await jobs.find_repeat(connection, new.namespace, new.request)
            if repeated is not None:
                return repeated
        job = _new_job(new, now)
        job = replace(job, run=await self._run(connection, new.source, new.run))
        await self._check_run(connection, job, now, new.parameters_field)
        made, _is_new = await jobs.insert(connection, job, progress(job, now), new.request)
        return made

    async def _changed(self, connection: Connection, job: Job, change: JobChange, now: datetime) -> Job:
        plain = {name: getattr(change, name) for name in ("display_name", "description", "labels")}
        job = replace(job, **{name: value for name, value in plain.items() if value is not None})
        if change.schedule is not None and change.schedule != job.schedule:
            check_schedule(change.schedule)
            is_timed_anew = times(change.schedule) != times(job.schedule)
            schedule = replace(change.schedule, start_time=change.schedule.start_time or now)
            job = replace(job, schedule=schedule)
            job = replace(job, cursor_time=forward(job, now)) if is_timed_anew else job
        if change.run is not None:
            source, run = change.run
            run = _executing(job.run, run) if source is None else await self._run(connection, source, run)
            job = replace(job, run=run)
            await self._check_run(connection, job, now)
        return job

    async def _run(self, connection: Connection, source: JobSource, run: JobRun) -> JobRun:
        """The run with what it executes; a spec of its own is stored."""
        if isinstance(source, VersionSource):
            return replace(
                run,
                pipeline_namespace=source.namespace,
                pipeline_id=source.pipeline_id,
                pipeline_version=source.number,
                pipeline_alias=source.alias,
                spec_digest=None,
            )
        await self._new_runs.keep_spec(connection, source)
        return replace(
            run,
            pipeline_namespace=None,
            pipeline_id=None,
            pipeline_version=None,
            pipeline_alias=None,
            spec_digest=source.digest,
        )

    async def _check_run(self, connection: Connection, job: Job, now: datetime, field: str = PARAMETERS_FIELD) -> None:
        """Raise what its first run would be refused for; `field`: where the request has its parameters."""
        macros.check(job.run.parameters, field=field)
        macros.check({"display_name": job.run.display_name}, field="job.run")
        slot = timetable_of(job.schedule).next_after(now) or now
        request = replace(run_of_slot(job, slot, 1, now), parameters_field=field)
        await self._new_runs.check(connection, request)

    @asynccontextmanager
    async def _changing(
        self, namespace: str, id: str, revision: int | None
    ) -> AsyncIterator[tuple[Connection, Job, datetime]]:
        """The job in a transaction that holds its lock. What was due before the change is decided on by then."""
        async with self._database.transaction() as connection:
            job, now = await self._locked(connection, namespace, id, revision)
            made: Sequence[MadeRun] = ()
            if job.next_slot_time is not None and job.next_slot_time <= now:
                made = await self._turn(connection, job, now)
                job = await jobs.get(connection, namespace, id)
            yield connection, job, now
        self._turns.take_up(job.uid, made)

    async def _turn(self, connection: Connection, job: Job, now: datetime) -> Sequence[MadeRun]:
        """Take the turn of a job that is about to be changed."""
        try:
            async with connection.transaction():
                return await self._turns.take_locked(connection, job, now)
        except Unavailable:
            raise
        except Exception:
            # Told with its trace. A job whose turn fails by a fault of ours is the very one to be stopped, or mended.
            _log.exception("a job is changed without the turn that was due", extra={"job": str(job.uid)})
            return ()

    async def _locked(
        self, connection: Connection, namespace: str, id: str, revision: int | None
    ) -> tuple[Job, datetime]:
        job, now = await jobs.lock(connection, namespace, id)
        if revision is not None and revision != job.revision:
            raise changed_meanwhile(jobs.resource_name(namespace, id))
        return job, now


def _executing(present: JobRun, run: JobRun) -> JobRun:
    """The run with what `present` executes."""
    return replace(
        run,
        pipeline_namespace=present.pipeline_namespace,
        pipeline_id=present.pipeline_id,
        pipeline_version=present.pipeline_version,
        pipeline_alias=present.pipeline_alias,
        spec_digest=present.spec_digest,
    )


class _NothingMade(Exception):  # an answer that rolls the transaction back
    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job


def _new_job(new: NewJob, now: datetime) -> Job:
    kept = new.kept or Kept(uuid.uuid4(), now)
    schedule = replace(new.schedule, start_time=new.schedule.start_time or kept.create_time)
    reason, message = ("", "") if new.enabled else new.disabled_because
    job = Job(
        uid=kept.uid,
        namespace=new.namespace,
        id=new.id,
        display_name=new.display_name or new.id,
        description=new.description,
        labels=new.labels,
        run=new.run,
        schedule=schedule,
        state=JobState.ENABLED if new.enabled else JobState.DISABLED,
        reason=reason,
        message=message,
        consecutive_failures=0,
        cursor_time=now,
        next_slot_time=None,
        last_slot_time=None,
        last_run_id=None,
        fired_count=0,
        sequence=1,
        job_sequence=1,
        active_run_count=0,
        waiting_slot_count=0,
        revision=1,
        create_time=kept.create_time,
        update_time=now,
        archive_time=None,
    )
    return replace(job, cursor_time=beginning(job, now) if new.kept is None else forward(job, now))


async def _free_instant(connection: Connection, job: Job, now: datetime) -> datetime:
    """The present, or an instant after it that is no slot."""
    timetable = timetable_of(job.schedule)
    while timetable.next_after(now - INSTANT) == now or await job_slots.find(connection, job.uid, now) is not None:
        now += INSTANT
    return now


async def _check_version(connection: Connection, job: Job) -> None:
    """Raise NotFound for a job whose pipeline, or version of it, is not there."""
    run = job.run
    if run.pipeline_id is not None:
        namespace = run.pipeline_namespace or job.namespace
        number, alias = run.pipeline_version, run.pipeline_alias
        await pipeline_versions.get(connection, namespace, run.pipeline_id, number=number, alias=alias)


def check_open(job: Job) -> None:
    """Raise FailedPrecondition(JOB_ARCHIVED) for a job that takes no new slots."""
    if job.archive_time is not None:
        name = jobs.resource_name(job.namespace, job.id)
        raise FailedPrecondition("JOB_ARCHIVED", f"{name} is archived; unarchive it first", metadata={"name": name})
