"""KfpImportService, recurring runs: jobs that fire from the present on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from penstock.kfp.v2beta1 import recurring_run_pb2
from penstock.v1 import kfp_import_service_pb2 as pb
from penstock_server.compat.asked_runs import AskedRuns
from penstock_server.compat.import_requests import ids_in, kept, kfp_id, kfp_message, own_id
from penstock_server.compat.recurring_runs import FIELD, new_job
from penstock_server.compat.refusals import wrong
from penstock_server.compat.service_accounts import DEFAULT as SERVER_OWN
from penstock_server.compat.spec_messages import check_spec
from penstock_server.compat.triggers import schedule_of
from penstock_server.engine.artifact_roots import Stores
from penstock_server.engine.jobs import Jobs, JobSource, NewJob
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.engine.past_events import IMPORTED
from penstock_server.engine.run_requests import InlineSpec, VersionSource
from penstock_server.engine.specs import Specs
from penstock_server.engine.turns import DISABLED_BY_USER
from penstock_server.model.errors import AlreadyExists, NotFound
from penstock_server.model.jobs import JobState
from penstock_server.rpc.call import Call
from penstock_server.store import experiments, imports, jobs, namespaces
from penstock_server.store.database import Database

NOT_YET = (IMPORTED, "it was imported; enable it once it does not fire any more where it came from")
DISABLED_THERE = (DISABLED_BY_USER, "it was disabled where it came from")
_MISSING = frozenset({"EXPERIMENT_NOT_FOUND", "PIPELINE_NOT_FOUND", "PIPELINE_VERSION_NOT_FOUND"})


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ImportedJobs:
    """Serves ImportRecurringRun; the schema says what it does."""

    database: Database
    jobs: Jobs
    asked: AskedRuns
    specs: Specs
    stores: Stores
    ids: NewIds
    now: Callable[[], datetime] = _now

    async def import_recurring_run(
        self, request: pb.ImportRecurringRunRequest, _call: Call
    ) -> pb.ImportRecurringRunResponse:
        """The job, or the one that an earlier import has made of it."""
        (namespace,) = ids_in(request.parent)
        uid = kfp_id(request.recurring_run, "recurring_run_id", FIELD)
        given = kfp_message(request.recurring_run, recurring_run_pb2.RecurringRun(), FIELD)
        async with self.database.connection() as connection:
            await namespaces.get(connection, namespace)
            found = await imports.find_job(connection, namespace, uid)
        if found is not None:
            enabled = await self._enable(namespace, found, request)
            return pb.ImportRecurringRunResponse(name=jobs.resource_name(namespace, found), is_enabled=enabled)
        notes = self._adapt(given)
        own = kept(uid, given.created_at, self.now(), FIELD)
        schedule = schedule_of(given, own.create_time)
        source = await self._source(request, given, namespace)
        try:
            async with self.database.connection() as connection:
                experiment_id = own_id(request.experiment, namespace, "experiment", experiments.DEFAULT)
                experiment = await experiments.get(connection, namespace, experiment_id)
            asked = self.asked.asked_in(experiment, given, FIELD)
            new = new_job(asked, source, schedule, enabled=False)
            made = await self._make(lambda id: replace(_standing(new(id), request, given), kept=own), request)
        except NotFound as error:
            # What only would be made by now is not there.
            if not request.validate_only or error.reason not in _MISSING:
                raise
            made = self.ids.resource_id(given.display_name, default="job")
        return pb.ImportRecurringRunResponse(
            name=jobs.resource_name(namespace, made), is_new=True, notes=notes, is_enabled=_is_enabled(request, given)
        )

    async def _make(self, new: Callable[[str], NewJob], request: pb.ImportRecurringRunRequest) -> str:
        """Its id. Another import may have been faster."""

        async def create(id: str) -> str:
            job = new(id)
            try:
                return (await self.jobs.create(job, validate_only=request.validate_only)).id
            except AlreadyExists:
                async with self.database.connection() as connection:
                    assert job.kept is not None
                    found = await imports.find_job(connection, job.namespace, job.kept.uid)
                if found is None:
                    raise
                return found

        draw = self.ids.resource_id
        name = request.recurring_run.fields["display_name"].string_value
        return await with_id("", lambda: draw(name, default="job"), "JOB_EXISTS", create)

    async def _enable(self, namespace: str, id: str, request: pb.ImportRecurringRunRequest) -> bool:
        """Let a job fire that fired in KFP when it came, and that nobody has enabled or disabled here since.

        Says whether it was such a one. By now it may be disabled in KFP, so that it does not fire in both.
        """
        if not request.enable:
            return False
        async with self.database.connection() as connection:
            job = await jobs.get(connection, namespace, id)
        waits = job.state is JobState.DISABLED and job.reason == IMPORTED and job.archive_time is None
        if waits and not request.validate_only:
            await self.jobs.set_enabled(namespace, id, enabled=True, revision=job.revision)
        return waits

    async def _source(
        self, request: pb.ImportRecurringRunRequest, given: recurring_run_pb2.RecurringRun, namespace: str
    ) -> JobSource:
        if request.pipeline_version:
            own_id(request.pipeline_version, namespace, "pipeline_version", "")
            return _version(request.pipeline_version)
        if not given.HasField("pipeline_spec"):
            raise wrong(FIELD, "has no pipeline_spec of its own, and no pipeline_version is given that it executes")
        spec = await check_spec(self.specs, given.pipeline_spec, f"{FIELD}.pipeline_spec")
        return InlineSpec(spec.digest, spec.canonical, spec.graph)

    def _adapt(self, given: recurring_run_pb2.RecurringRun) -> list[str]:
        """Leave out what there is not here; what was left out."""
        notes = []
        if given.service_account == SERVER_OWN:
            given.service_account = ""
        if given.plugins_input:
            given.ClearField("plugins_input")
            notes.append("its input for plugins is left out: there are none here")
        root = given.runtime_config.pipeline_root
        if root and not self.stores(root):
            given.runtime_config.pipeline_root = ""
            notes.append(f"artifacts of its runs go to this server's store, and not to {root}")
        return notes


def _fires(given: recurring_run_pb2.RecurringRun) -> bool:
    enabled = given.status == recurring_run_pb2.RecurringRun.ENABLED
    return enabled or given.mode == recurring_run_pb2.RecurringRun.ENABLE


def _is_enabled(request: pb.ImportRecurringRunRequest, given: recurring_run_pb2.RecurringRun) -> bool:
    return request.enable and _fires(given)


def _standing(new: NewJob, request: pb.ImportRecurringRunRequest, given: recurring_run_pb2.RecurringRun) -> NewJob:
    """Whether it fires, and if not, why."""
    because = NOT_YET if _fires(given) else DISABLED_THERE
    return replace(new, enabled=_is_enabled(request, given), disabled_because=because)


def _version(name: str) -> VersionSource:
    _namespace, pipeline_id, version = ids_in(name)
    if version == "latest":
        return VersionSource(pipeline_id)
    if version.isdigit():
        return VersionSource(pipeline_id, number=int(version))
    return VersionSource(pipeline_id, alias=version)
