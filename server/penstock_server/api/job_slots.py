"""JobService: the slots of jobs - those that were, page by page, and those that will be."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.v1 import job_service_pb2 as pb
from penstock_server.api import job_convert, names
from penstock_server.api.filter_values import ListFields
from penstock_server.api.job_requests import instant, schedule_of
from penstock_server.api.lists import Lists
from penstock_server.api.run_reader import check_same
from penstock_server.api.wire_values import timestamp
from penstock_server.engine.jobs import Jobs
from penstock_server.model.jobs import JobSchedule, JobSlot, SlotKind, SlotState
from penstock_server.rpc.call import Call
from penstock_server.store import job_slots, jobs
from penstock_server.store.database import Database

PREVIEW_DEFAULT = 10
FIELDS = ListFields(
    job_slots.LISTING.fields,
    enums={"kind": frozenset(SlotKind), "state": frozenset(SlotState)},
    orders=job_slots.LISTING.orders,
)


@dataclass(frozen=True, slots=True)
class JobSlots:
    """Serves the rpcs of `penstock.v1.JobService` on slots; the schema says what each does."""

    database: Database
    jobs: Jobs
    lists: Lists

    async def list_job_slots(self, request: pb.ListJobSlotsRequest, _call: Call) -> pb.ListJobSlotsResponse:
        """A page of the slots of a job."""
        scope = names.JOB.parse(request.parent, "parent")
        async with self.database.connection() as connection:
            job = await jobs.get(connection, *scope)

            async def respond(items: Sequence[JobSlot]) -> pb.ListJobSlotsResponse:
                return pb.ListJobSlotsResponse(slots=[job_convert.job_slot(slot, *scope) for slot in items])

            return await self.lists.answer(
                request,
                FIELDS,
                ("ListJobSlots", str(job.uid)),
                lambda page: job_slots.list_page(connection, job.uid, page),
                respond,
            )

    async def preview_job_slots(self, request: pb.PreviewJobSlotsRequest, _call: Call) -> pb.PreviewJobSlotsResponse:
        """The next slots of a job that there is, or that there might be."""
        after = instant(request, "after_time", "after_time")
        times = await self.jobs.preview(await self._schedule(request), after, request.count or PREVIEW_DEFAULT)
        return pb.PreviewJobSlotsResponse(slot_times=map(timestamp, times))

    async def _schedule(self, request: pb.PreviewJobSlotsRequest) -> JobSchedule:
        if request.HasField("job"):
            return schedule_of(request.job)
        (parent,) = names.NAMESPACE.parse(request.parent, "parent")
        namespace, id = names.JOB.parse(request.name)
        check_same(namespace, parent, "name")
        async with self.database.connection() as connection:
            return (await jobs.get(connection, namespace, id)).schedule
