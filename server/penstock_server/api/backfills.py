"""JobService: backfills."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import Message

from penstock.v1 import job_service_pb2 as pb
from penstock_server.api import job_convert, names
from penstock_server.api.creating import request_key
from penstock_server.api.filter_values import ListFields
from penstock_server.api.job_requests import instant
from penstock_server.api.lists import Lists
from penstock_server.engine.backfills import Backfills
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.model.jobs import Backfill, BackfillState
from penstock_server.rpc.call import Call
from penstock_server.store import backfills, jobs
from penstock_server.store.backfills import NewBackfill
from penstock_server.store.database import Database

SLOT_LIMIT_DEFAULT = 1_000
FIELDS = ListFields(
    backfills.LISTING.fields, enums={"state": frozenset(BackfillState)}, orders=backfills.LISTING.orders
)


@dataclass(frozen=True, slots=True)
class BackfillMethods:
    """Serves the rpcs of `penstock.v1.JobService` on backfills; the schema says what each does."""

    database: Database
    backfills: Backfills
    lists: Lists
    ids: NewIds

    async def create_backfill(self, request: pb.CreateBackfillRequest, _call: Call) -> pb.CreateBackfillResponse:
        """A new backfill, or the one that the same request made before; or what one would come to."""
        namespace, job_id = names.JOB.parse(request.parent, "parent")
        start, end = _given(request.backfill, "start_time"), _given(request.backfill, "end_time")
        concurrency, key = request.backfill.max_concurrency or 1, request_key(request.request_id, request)
        made = await with_id(
            request.backfill_id,
            lambda: self.ids.resource_id(default="backfill"),
            "BACKFILL_EXISTS",
            lambda id: self.backfills.create(
                namespace,
                job_id,
                NewBackfill(id, start, end, concurrency, key),
                slot_limit=request.slot_limit or SLOT_LIMIT_DEFAULT,
                validate_only=request.validate_only,
            ),
        )
        return pb.CreateBackfillResponse(backfill=job_convert.backfill(made, namespace, job_id))

    async def get_backfill(self, request: pb.GetBackfillRequest, _call: Call) -> pb.GetBackfillResponse:
        """One backfill."""
        namespace, job_id, id = names.BACKFILL.parse(request.name)
        async with self.database.connection() as connection:
            job = await jobs.get(connection, namespace, job_id)
            found = await backfills.get(connection, job, id)
        return pb.GetBackfillResponse(backfill=job_convert.backfill(found, namespace, job_id))

    async def list_backfills(self, request: pb.ListBackfillsRequest, _call: Call) -> pb.ListBackfillsResponse:
        """A page of the backfills of a job."""
        scope = names.JOB.parse(request.parent, "parent")
        async with self.database.connection() as connection:
            job = await jobs.get(connection, *scope)

            async def respond(items: Sequence[Backfill]) -> pb.ListBackfillsResponse:
                return pb.ListBackfillsResponse(backfills=[job_convert.backfill(item, *scope) for item in items])

            return await self.lists.answer(
                request,
                FIELDS,
                ("ListBackfills", str(job.uid)),
                lambda page: backfills.list_page(connection, job, page),
                respond,
            )

    async def cancel_backfill(self, request: pb.CancelBackfillRequest, _call: Call) -> pb.CancelBackfillResponse:
        """Nothing more of it fires."""
        namespace, job_id, id = names.BACKFILL.parse(request.name)
        cancelled = await self.backfills.cancel(namespace, job_id, id, cancel_runs=request.cancel_runs)
        return pb.CancelBackfillResponse(backfill=job_convert.backfill(cancelled, namespace, job_id))


def _given(message: Message, field: str) -> datetime:
    """A time that the schema requires."""
    time = instant(message, field, f"backfill.{field}")
    assert time is not None, field
    return time
