"""RecurringRunService of KFP: recurring runs are jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.empty_pb2 import Empty

from penstock.kfp.v2beta1 import recurring_run_pb2 as pb
from penstock_server.compat import fields
from penstock_server.compat.asked_runs import PARAMETERS, AskedRun, AskedRuns
from penstock_server.compat.fields import KfpList
from penstock_server.compat.lists import Lists
from penstock_server.compat.literals import escaped
from penstock_server.compat.recurring_messages import recurring_message
from penstock_server.compat.refusals import wrong
from penstock_server.compat.scopes import scope_of
from penstock_server.compat.sources import Sources
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.spec_messages import SpecMessages
from penstock_server.compat.triggers import schedule_of
from penstock_server.engine.jobs import Jobs, JobSource, NewJob
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.model.errors import FailedPrecondition, NotFound
from penstock_server.model.jobs import Job, JobRun, JobSchedule
from penstock_server.rpc.call import Call
from penstock_server.store import kfp_jobs
from penstock_server.store.database import Connection, Database
from penstock_server.store.kfp_jobs import KfpJob

FIELD = "recurring_run"
_GONE = {"PIPELINE_NOT_FOUND": "pipeline", "PIPELINE_VERSION_NOT_FOUND": "pipeline version"}
DELETED = "the recurring run that made it was deleted"

LIST = KfpList(
    kfp_jobs.LISTING,
    {
        **dict.fromkeys(("id", "recurring_run_id"), fields.text("recurring_run_id")),
        **dict.fromkeys(("name", "display_name"), fields.text("display_name")),
        **{name: fields.time(name) for name in ("created_at", "updated_at")},
        "description": fields.text("description"),
    },
)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RecurringRuns:
    """Serves the rpcs of KFP's RecurringRunService; the schema says what each does."""

    database: Database
    jobs: Jobs
    lists: Lists
    spaces: Spaces
    asked: AskedRuns
    sources: Sources
    specs: SpecMessages
    ids: NewIds
    now: Callable[[], datetime] = _now

    async def create_recurring_run(self, request: pb.CreateRecurringRunRequest, call: Call) -> pb.RecurringRun:
        """A new job."""
        given = request.recurring_run
        schedule = schedule_of(given, self.now())
        async with self.database.connection() as connection:
            asked = await self.asked.read(connection, given, given.experiment_id, call, FIELD)
            if self.spaces.multi_user and given.namespace not in ("", asked.experiment.namespace):
                raise wrong(f"{FIELD}.namespace", "has to be that of the experiment; leave it out, or give that")
            source = await self.sources.read(connection, given, asked.experiment.namespace, FIELD)
        new = new_job(asked, source, schedule, enabled=given.mode == pb.RecurringRun.ENABLE)
        made = await with_id(
            "",
            lambda: self.ids.resource_id(asked.display_name, default="job"),
            "JOB_EXISTS",
            lambda id: self.jobs.create(new(id)),
        )
        async with self.database.connection() as connection:
            return await self._message(connection, await kfp_jobs.get(connection, None, str(made.uid)))

    async def get_recurring_run(self, request: pb.GetRecurringRunRequest, call: Call) -> pb.RecurringRun:
        """One job."""
        async with self.database.connection() as connection:
            found = await kfp_jobs.get(connection, self.spaces.reachable(call), request.recurring_run_id)
            return await self._message(connection, found)

    async def list_recurring_runs(
        self, request: pb.ListRecurringRunsRequest, call: Call
    ) -> pb.ListRecurringRunsResponse:
        """A page of the jobs of a namespace, or of an experiment."""
        scope = scope_of(request, self.spaces, call)
        async with self.database.connection() as connection:

            async def respond(items: Sequence[KfpJob]) -> pb.ListRecurringRunsResponse:
                messages = [await self._message(connection, item) for item in items]
                return pb.ListRecurringRunsResponse(recurringRuns=messages)

            return await self.lists.answer(connection, request, LIST, scope, respond)

    async def enable_recurring_run(self, request: pb.EnableRecurringRunRequest, call: Call) -> Empty:
        """Its trigger fires; what it missed meanwhile it makes up for."""
        job = await self._get(request.recurring_run_id, call)
        try:
            await self.jobs.set_enabled(job.namespace, job.id, enabled=True, makes_up=True)
        except NotFound as error:
            if error.reason not in _GONE:
                raise
            what = f"the {_GONE[error.reason]} that recurring run {job.display_name} executes"
            message = f"{what} was deleted; make another recurring run"
            raise NotFound(error.reason, message, metadata=error.metadata) from None
        except FailedPrecondition as error:
            if error.reason != "EXPERIMENT_ARCHIVED":
                raise
            message = f"the experiment of recurring run {job.display_name} is archived; unarchive it first"
            raise FailedPrecondition("EXPERIMENT_ARCHIVED", message, metadata=error.metadata) from None
        return Empty()

    async def disable_recurring_run(self, request: pb.DisableRecurringRunRequest, call: Call) -> Empty:
        """Its trigger fires no more."""
        job = await self._get(request.recurring_run_id, call)
        await self.jobs.set_enabled(job.namespace, job.id, enabled=False, makes_up=True)
        return Empty()

    async def delete_recurring_run(self, request: pb.DeleteRecurringRunRequest, call: Call) -> Empty:
        """Gone; its runs stay, but those under way are cancelled unless they are to be orphans."""
        job = await self._get(request.recurring_run_id, call)
        message = None if request.propagation_policy == pb.ORPHAN else DELETED
        await self.jobs.delete(job.namespace, job.id, cancel_message=message)
        return Empty()

    async def _get(self, uid: str, call: Call) -> Job:
        async with self.database.connection() as connection:
            return (await kfp_jobs.get(connection, self.spaces.reachable(call), uid)).record

    async def _message(self, connection: Connection, found: KfpJob) -> pb.RecurringRun:
        digest = found.record.run.spec_digest
        spec = None if digest is None else await self.specs.get(connection, digest)
        return recurring_message(found, spec, self.spaces.shown(found.record.namespace))


def new_job(asked: AskedRun, source: JobSource, schedule: JobSchedule, *, enabled: bool) -> Callable[[str], NewJob]:
    """The job to be made, but for its id. Its runs are named after it and counted."""
    run = JobRun(
        experiment_id=asked.experiment.id,
        display_name=f"{escaped(asked.display_name)}-[[Index]]",
        description=asked.description,
        labels=asked.labels,
        parameters=asked.parameters,
        artifact_root=asked.artifact_root,
    )
    return lambda id: NewJob(
        namespace=asked.experiment.namespace,
        id=id,
        source=source,
        run=run,
        schedule=schedule,
        display_name=asked.display_name,
        description=asked.description,
        enabled=enabled,
        parameters_field=f"{FIELD}.{PARAMETERS}",
    )
