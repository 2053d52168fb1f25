"""KfpImportService, runs: recorded as history, with what they executed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from google.protobuf.struct_pb2 import Struct

from penstock.kfp.v2beta1 import run_pb2
from penstock.v1 import kfp_import_service_pb2 as pb
from penstock_server.compat.import_requests import ids_in, kfp_id, kfp_message, own_id
from penstock_server.compat.past_runs import FIELD, past_run
from penstock_server.compat.refusals import wrong
from penstock_server.compat.sources import uuid_of
from penstock_server.compat.trying import Trying
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.engine.past_events import IMPORTED, past_events
from penstock_server.model.errors import InvalidArgument, NotFound
from penstock_server.model.imports import PastRun
from penstock_server.rpc.call import Call
from penstock_server.rpc.json_values import from_struct
from penstock_server.spec import document
from penstock_server.spec.document import Document
from penstock_server.store import experiments, imports, namespaces, pipeline_versions, runs
from penstock_server.store.database import Connection
from penstock_server.store.imports import RunPlace

NO_SPEC = "what it executed is not known, so that it cannot be run again"


@dataclass(frozen=True, slots=True)
class Executed:
    """What a run has executed, as far as that is known."""

    digest: str
    document: bytes | None
    pipeline_id: str | None = None
    pipeline_version: int | None = None
    notes: tuple[str, ...] = ()


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ImportedRuns:
    """Serves ImportRun; the schema says what it does."""

    trying: Trying
    ids: NewIds
    now: Callable[[], datetime] = _now

    async def import_run(self, request: pb.ImportRunRequest, _call: Call) -> pb.ImportRunResponse:
        """The run as history, or the one that an earlier import has made of it."""
        (namespace,) = ids_in(request.parent)
        uid = kfp_id(request.run, "run_id", FIELD)
        async with self.trying.transaction(request.validate_only) as connection:
            await namespaces.get(connection, namespace)
            found = await imports.find_run(connection, namespace, uid)
            if found is not None:
                return pb.ImportRunResponse(name=runs.resource_name(namespace, found))
            message = kfp_message(request.run, run_pb2.Run(), FIELD)
            executed = await self._executed(connection, request, message, namespace)
            return await self._record(connection, request, message, executed, namespace)

    async def _record(
        self, connection: Connection, request: pb.ImportRunRequest, message: run_pb2.Run, executed: Executed, space: str
    ) -> pb.ImportRunResponse:
        run = past_run(message, request.origin, self.now())
        place = RunPlace(
            namespace=space,
            id="",
            experiment_id=self._experiment(request, space),
            spec_digest=executed.digest,
            document=executed.document,
            pipeline_id=executed.pipeline_id,
            pipeline_version=executed.pipeline_version,
            job_uid=uuid_of(message.recurring_run_id),
        )
        made = await with_id(
            "",
            lambda: self.ids.resource_id(run.display_name, default="run"),
            "RUN_EXISTS",
            lambda id: _insert(connection, replace(place, id=id), run),
        )
        return pb.ImportRunResponse(name=runs.resource_name(space, made), is_new=True, notes=executed.notes)

    def _experiment(self, request: pb.ImportRunRequest, namespace: str) -> str:
        id = own_id(request.experiment, namespace, "experiment", experiments.DEFAULT)
        # A dry run has made no experiment, so there may be none of that id: any one serves to check the rest.
        return experiments.DEFAULT if request.validate_only else id

    async def _executed(
        self, connection: Connection, request: pb.ImportRunRequest, message: run_pb2.Run, namespace: str
    ) -> Executed:
        if request.pipeline_version:
            own_id(request.pipeline_version, namespace, "pipeline_version", "")
            try:
                return await _version(connection, request.pipeline_version)
            except NotFound:
                if not request.validate_only:
                    raise
                return replace(_spec(Struct()), notes=())
        spec = message.pipeline_spec if message.HasField("pipeline_spec") else request.pipeline_spec
        return _spec(spec)


async def _insert(connection: Connection, place: RunPlace, run: PastRun) -> str:
    """The id under which it is; another import may have been faster."""
    if await imports.insert_run(connection, place, run, past_events(run), IMPORTED):
        return place.id
    found = await imports.find_run(connection, place.namespace, run.uid)
    if found is None:
        raise wrong(f"{FIELD}.run_id", "was deleted while it was imported; import it again")
    return found


async def _version(connection: Connection, name: str) -> Executed:
    namespace, pipeline_id, number = ids_in(name)
    version = await pipeline_versions.get(connection, namespace, pipeline_id, number=int(number))
    return Executed(version.spec_digest, None, pipeline_id, version.number)


def _spec(given: Struct) -> Executed:
    """A spec is kept whether or not it can be run here: it is what the run was."""
    notes: tuple[str, ...] = ()
    try:
        kept = document.from_struct(from_struct(given, f"{FIELD}.pipeline_spec"))
    except InvalidArgument:
        kept, notes = Document({}), (NO_SPEC,)
    canonical = document.canonical(kept)
    return Executed(document.digest(canonical), canonical, notes=notes)
