"""JobService: jobs themselves. Their slots, backfills and watches are in modules of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.v1 import job_pb2, run_pb2
from penstock.v1 import job_service_pb2 as pb
from penstock_server.api import job_convert, names
from penstock_server.api.creating import request_key
from penstock_server.api.editing import guarded_revision
from penstock_server.api.filter_values import ListFields
from penstock_server.api.job_requests import job_edit, schedule_of
from penstock_server.api.lists import Lists
from penstock_server.api.run_reader import RunReader
from penstock_server.api.specs import spec_message
from penstock_server.engine.jobs import Jobs, NewJob
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.model.jobs import Job, JobRun, JobState
from penstock_server.model.query import Page, Rows
from penstock_server.rpc.call import Call
from penstock_server.store import jobs, namespaces, specs
from penstock_server.store.database import Connection, Database

FIELDS = ListFields(jobs.LISTING.fields, enums={"state": frozenset(JobState)}, orders=jobs.LISTING.orders)


@dataclass(frozen=True, slots=True)
class JobMethods:
    """Serves the rpcs of `penstock.v1.JobService` on jobs; the schema says what each does."""

    database: Database
    jobs: Jobs
    lists: Lists
    ids: NewIds
    reader: RunReader

    async def create_job(self, request: pb.CreateJobRequest, _call: Call) -> pb.CreateJobResponse:
        """A new job, or the one that the same request made before."""
        (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
        job = request.job
        schedule = schedule_of(job)
        run = JobRun(**self.reader.fields(job.run, namespace, "job.run"))
        source, hint = await self.reader.source(job.run, namespace, "job.run")
        key = request_key(request.request_id, request)

        def new(id: str) -> NewJob:
            return NewJob(
                namespace=namespace,
                id=id,
                display_name=job.display_name or id,
                description=job.description,
                labels=dict(job.labels),
                source=source,
                run=run,
                schedule=schedule,
                enabled=not request.disabled,
                request=key,
            )

        made = await with_id(
            request.job_id,
            lambda: self.ids.resource_id(job.display_name, hint, default="job"),
            "JOB_EXISTS",
            lambda id: self.jobs.create(new(id), validate_only=request.validate_only),
        )
        return pb.CreateJobResponse(job=job_convert.job(made))

    async def get_job(self, request: pb.GetJobRequest, _call: Call) -> pb.GetJobResponse:
        """One job."""
        namespace, id = names.JOB.parse(request.name)
        async with self.database.connection() as connection:
            job = await jobs.get(connection, namespace, id)
            message = job_convert.job(job)
            if request.view == run_pb2.Run.VIEW_FULL and job.run.spec_digest is not None:
                canonical = await specs.get(connection, job.run.spec_digest)
                message.run.spec.CopyFrom(spec_message(canonical))
        return pb.GetJobResponse(job=message)

    async def list_jobs(self, request: pb.ListJobsRequest, _call: Call) -> pb.ListJobsResponse:
        """A page of the jobs of a namespace."""
        (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
        async with self.database.connection() as connection:
            return await self.lists.answer(
                request,
                FIELDS,
                ("ListJobs", namespace),
                lambda page: _list(connection, namespace, page),
                _page,
            )

    async def update_job(self, request: pb.UpdateJobRequest, _call: Call) -> pb.UpdateJobResponse:
        """New values for what can be edited."""
        namespace, id = names.JOB.parse(request.job.name, "job.name")
        edit = await job_edit(request, namespace, id, self.reader)
        revision = await self._revision(namespace, id, request.job.etag)
        updated = await self.jobs.update(namespace, id, edit.of, revision=revision)
        return pb.UpdateJobResponse(job=job_convert.job(updated))

    async def delete_job(self, request: pb.DeleteJobRequest, _call: Call) -> pb.DeleteJobResponse:
        """Nothing of the job is left but its runs."""
        namespace, id = names.JOB.parse(request.name)
        await self.jobs.delete(namespace, id, revision=await self._revision(namespace, id, request.etag))
        return pb.DeleteJobResponse()

    async def archive_job(self, request: pb.ArchiveJobRequest, _call: Call) -> pb.ArchiveJobResponse:
        """Fires no more from here on."""
        return pb.ArchiveJobResponse(job=await self._set_archived(request.name, request.etag, archived=True))

    async def unarchive_job(self, request: pb.UnarchiveJobRequest, _call: Call) -> pb.UnarchiveJobResponse:
        """Back from the archive."""
        return pb.UnarchiveJobResponse(job=await self._set_archived(request.name, request.etag, archived=False))

    async def enable_job(self, request: pb.EnableJobRequest, _call: Call) -> pb.EnableJobResponse:
        """Its trigger fires."""
        return pb.EnableJobResponse(job=await self._set_enabled(request.name, request.etag, enabled=True))

    async def disable_job(self, request: pb.DisableJobRequest, _call: Call) -> pb.DisableJobResponse:
        """Its trigger fires no more."""
        return pb.DisableJobResponse(job=await self._set_enabled(request.name, request.etag, enabled=False))

    async def trigger_job(self, request: pb.TriggerJobRequest, _call: Call) -> pb.TriggerJobResponse:
        """A slot of this moment."""
        namespace, id = names.JOB.parse(request.name)
        job, slot = await self.jobs.trigger(namespace, id, request_key(request.request_id, request))
        return pb.TriggerJobResponse(slot=job_convert.job_slot(slot, job.namespace, job.id))

    async def _set_enabled(self, name: str, etag: str, *, enabled: bool) -> job_pb2.Job:
        namespace, id = names.JOB.parse(name)
        revision = await self._revision(namespace, id, etag)
        return job_convert.job(await self.jobs.set_enabled(namespace, id, enabled=enabled, revision=revision))

    async def _set_archived(self, name: str, etag: str, *, archived: bool) -> job_pb2.Job:
        namespace, id = names.JOB.parse(name)
        revision = await self._revision(namespace, id, etag)
        return job_convert.job(await self.jobs.set_archived(namespace, id, archived=archived, revision=revision))

    async def _revision(self, namespace: str, id: str, etag: str) -> int | None:
        """What a guarded change must find; nothing is read when no etag was given."""
        if not etag:
            return None
        async with self.database.connection() as connection:
            return guarded_revision(await jobs.get(connection, namespace, id), etag)


async def _list(connection: Connection, namespace: str, page: Page) -> Rows[Job]:
    rows = await jobs.list_page(connection, namespace, page)
    if not rows.items:
        await namespaces.get(connection, namespace)
    return rows


async def _page(items: Sequence[Job]) -> pb.ListJobsResponse:
    return pb.ListJobsResponse(jobs=map(job_convert.job, items))
