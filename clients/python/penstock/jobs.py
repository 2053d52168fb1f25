"""The job methods of the client: `client.jobs`. Making and watching jobs is in `scheduling.py`."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from penstock.changes import changed_fields
from penstock.effects import Items, Operation, invoke
from penstock.faces import Asynchronous, Blocking, Face, items, operation
from penstock.job_schedules import schedule_fields
from penstock.names import Ref, backfill_name, namespace_name, resource_name
from penstock.paging import pages
from penstock.policies import Seconds, timestamp
from penstock.resuming import invoke_repeatably
from penstock.v1 import job_service_pb2
from penstock.v1.backfill_pb2 import Backfill
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot
from penstock.v1.run_pb2 import Run


class JobMethods(Face):
    """Jobs: recurring runs. For their slots see `SlotMethods`, for backfills `BackfillMethods`."""

    @operation
    def get(self, job: Ref, *, with_spec: bool = False) -> Operation[Job]:
        """A job; `with_spec` also brings the spec of its run where that is the job's own. Raises NotFoundError."""
        view = Run.VIEW_FULL if with_spec else Run.VIEW_BASIC
        request = job_service_pb2.GetJobRequest(name=self._name(job), view=view)
        response = yield from invoke(request, job_service_pb2.GetJobResponse)
        return response.job

    @items
    def list(self, *, filter: str = "", order_by: str = "", page_size: int = 0) -> Items[Job]:
        """The jobs that match `filter` (AIP-160), newest first, fetched page by page.

        `list(filter='state = ENABLED AND next_slot_time < 2026-02-01T00:00:00Z')`
        """
        request = job_service_pb2.ListJobsRequest(
            parent=namespace_name(self._namespace), filter=filter, order_by=order_by, page_size=page_size
        )
        return pages(request, job_service_pb2.ListJobsResponse, lambda response: response.jobs)

    @operation
    def update(
        self,
        job: Ref,
        *,
        cron: str = "",
        every: Seconds = None,
        time_zone: str = "",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        catch_up: str | None = None,
        catch_up_limit: int | None = None,
        overlap: str | None = None,
        max_concurrency: int | None = None,
        jitter: Seconds = None,
        max_consecutive_failures: int | None = None,
        run: Run | None = None,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        unset: Sequence[str] = (),
        etag: str = "",
    ) -> Operation[Job]:
        """Change what is given; the fields named in `unset`, such as `end_time`, take their defaults again.

        `run` replaces the whole run; to change a part of it, change and send what `get` brought:

            job = client.jobs.get("nightly")
            job.run.priority = 10
            client.jobs.update(job, run=job.run, etag=job.etag)

        Raises ConflictError when `etag` is not the job's any more, InvalidArgumentError.
        """
        schedule = schedule_fields(
            cron=cron,
            every=every,
            time_zone=time_zone,
            start_time=start_time,
            end_time=end_time,
            catch_up=catch_up,
            catch_up_limit=catch_up_limit,
            overlap=overlap,
            max_concurrency=max_concurrency,
            jitter=jitter,
            max_consecutive_failures=max_consecutive_failures,
        )
        fields, mask = changed_fields(display_name, description, labels, unset=unset, run=run, **schedule)
        changed = Job(name=self._name(job), etag=etag, **fields)
        request = job_service_pb2.UpdateJobRequest(job=changed, update_mask=mask)
        response = yield from invoke(request, job_service_pb2.UpdateJobResponse)
        return response.job

    @operation
    def enable(self, job: Ref, *, etag: str = "") -> Operation[Job]:
        """Let a job fire; what it did not while it was disabled is not made up for (`backfill` does that).

        Raises FailedPreconditionError when it is archived.
        """
        request = job_service_pb2.EnableJobRequest(name=self._name(job), etag=etag)
        response = yield from invoke(request, job_service_pb2.EnableJobResponse)
        return response.job

    @operation
    def disable(self, job: Ref, *, etag: str = "") -> Operation[Job]:
        """Let a job fire no more; its runs go on."""
        request = job_service_pb2.DisableJobRequest(name=self._name(job), etag=etag)
        response = yield from invoke(request, job_service_pb2.DisableJobResponse)
        return response.job

    @operation
    def delete(self, job: Ref, *, etag: str = "") -> Operation[None]:
        """Delete a job with its slots and backfills; its runs stay."""
        request = job_service_pb2.DeleteJobRequest(name=self._name(job), etag=etag)
        yield from invoke(request, job_service_pb2.DeleteJobResponse)

    @operation
    def archive(self, job: Ref, *, etag: str = "") -> Operation[Job]:
        """Archive a job: it fires no more; its runs go on."""
        request = job_service_pb2.ArchiveJobRequest(name=self._name(job), etag=etag)
        response = yield from invoke(request, job_service_pb2.ArchiveJobResponse)
        return response.job

    @operation
    def unarchive(self, job: Ref, *, etag: str = "") -> Operation[Job]:
        """Take a job back from the archive, enabled or disabled as it was."""
        request = job_service_pb2.UnarchiveJobRequest(name=self._name(job), etag=etag)
        response = yield from invoke(request, job_service_pb2.UnarchiveJobResponse)
        return response.job

    def _name(self, job: Ref) -> str:
        return resource_name(self._namespace, "jobs", job)


class SlotMethods(Face):
    """The slots of jobs: instants that fire once each, or are skipped with a reason."""

    @operation
    def trigger(self, job: Ref, *, request_id: str = "") -> Operation[JobSlot]:
        """Make a slot of this moment, also of a disabled job; it has fired, waits or was skipped when this returns.

        Raises FailedPreconditionError when the job is archived.
        """
        name = resource_name(self._namespace, "jobs", job)
        request = job_service_pb2.TriggerJobRequest(name=name, request_id=request_id or str(uuid.uuid4()))
        response = yield from invoke_repeatably(request, job_service_pb2.TriggerJobResponse)
        return response.slot

    @items
    def slots(self, job: Ref, *, filter: str = "", order_by: str = "", page_size: int = 0) -> Items[JobSlot]:
        """The slots of a job that match `filter`, newest first, fetched page by page."""
        parent = resource_name(self._namespace, "jobs", job)
        request = job_service_pb2.ListJobSlotsRequest(
            parent=parent, filter=filter, order_by=order_by, page_size=page_size
        )
        return pages(request, job_service_pb2.ListJobSlotsResponse, lambda response: response.slots)

    @operation
    def preview(
        self,
        job: Ref | None = None,
        *,
        cron: str = "",
        every: Seconds = None,
        time_zone: str = "",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        after: datetime | None = None,
        count: int = 10,
    ) -> Operation[list[datetime]]:
        """The next slots, in UTC: of a job that there is, or of one that would fire as the other arguments say."""
        schedule = schedule_fields(
            cron=cron, every=every, time_zone=time_zone, start_time=start_time, end_time=end_time
        )
        is_given = any(value is not None for value in schedule.values())
        if (job is not None) is is_given:
            raise ValueError("give a job, or cron or every: one of the two")
        request = job_service_pb2.PreviewJobSlotsRequest(
            parent=namespace_name(self._namespace), after_time=timestamp(after, "after"), count=count
        )
        if job is not None:
            request.name = resource_name(self._namespace, "jobs", job)
        else:
            request.job.CopyFrom(Job(**schedule))
        response = yield from invoke(request, job_service_pb2.PreviewJobSlotsResponse)
        return [time.ToDatetime(tzinfo=UTC) for time in response.slot_times]


class BackfillMethods(Face):
    """Backfills: past slots that are made to fire after all."""

    @operation
    def backfill(
        self,
        job: Ref,
        start_time: datetime,
        end_time: datetime,
        *,
        max_concurrency: int = 0,
        backfill_id: str = "",
        slot_limit: int = 0,
        request_id: str = "",
        validate_only: bool = False,
    ) -> Operation[Backfill]:
        """Let the slots from `start_time` to `end_time` fire that have not fired yet, `max_concurrency` at a time.

        With `validate_only` nothing is made, and the answer's `slot_count` says how many there are. Raises
        InvalidArgumentError for a wrong range, and for one with more than `slot_limit` slots (by default 1,000).
        """
        request = job_service_pb2.CreateBackfillRequest(
            parent=resource_name(self._namespace, "jobs", job),
            backfill_id=backfill_id,
            backfill=Backfill(
                start_time=timestamp(start_time, "start_time"),
                end_time=timestamp(end_time, "end_time"),
                max_concurrency=max_concurrency,
            ),
            request_id=request_id or str(uuid.uuid4()),
            validate_only=validate_only,
            slot_limit=slot_limit,
        )
        response = yield from invoke_repeatably(request, job_service_pb2.CreateBackfillResponse)
        return response.backfill

    @operation
    def get_backfill(self, job: Ref, backfill: Ref) -> Operation[Backfill]:
        """A backfill and how far it is. Raises NotFoundError."""
        request = job_service_pb2.GetBackfillRequest(name=backfill_name(self._namespace, job, backfill))
        response = yield from invoke(request, job_service_pb2.GetBackfillResponse)
        return response.backfill

    @items
    def list_backfills(self, job: Ref, *, filter: str = "", order_by: str = "", page_size: int = 0) -> Items[Backfill]:
        """The backfills of a job that match `filter`, newest first, fetched page by page."""
        parent = resource_name(self._namespace, "jobs", job)
        request = job_service_pb2.ListBackfillsRequest(
            parent=parent, filter=filter, order_by=order_by, page_size=page_size
        )
        return pages(request, job_service_pb2.ListBackfillsResponse, lambda response: response.backfills)

    @operation
    def cancel_backfill(self, job: Ref, backfill: Ref, *, cancel_runs: bool = False) -> Operation[Backfill]:
        """Let no more slots of a backfill fire; with `cancel_runs` its runs are cancelled too.

        Raises FailedPreconditionError when it is finished.
        """
        request = job_service_pb2.CancelBackfillRequest(
            name=backfill_name(self._namespace, job, backfill), cancel_runs=cancel_runs
        )
        response = yield from invoke(request, job_service_pb2.CancelBackfillResponse)
        return response.backfill


class BlockingJobs(JobMethods, SlotMethods, BackfillMethods, Blocking):
    """`client.jobs`."""


class AsynchronousJobs(JobMethods, SlotMethods, BackfillMethods, Asynchronous):
    """`client.jobs` for asyncio."""
