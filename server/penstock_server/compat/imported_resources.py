"""KfpImportService, experiments, pipelines and versions: made as always, but with the ids and times of KFP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.kfp.v2beta1 import experiment_pb2, pipeline_pb2
from penstock.v1 import kfp_import_service_pb2 as pb
from penstock_server.compat import naming
from penstock_server.compat.experiments import NAME_CHARS_MAX
from penstock_server.compat.import_requests import ids_in, kept, kfp_id, kfp_message
from penstock_server.compat.naming import check_chars
from penstock_server.compat.new_pipelines import Described, NewPipelines
from penstock_server.compat.pipelines import described
from penstock_server.compat.refusals import wrong
from penstock_server.compat.spec_messages import check_spec
from penstock_server.compat.trying import Trying
from penstock_server.engine.new_ids import derived_ids
from penstock_server.engine.specs import CheckedSpec, Specs
from penstock_server.model.errors import NotFound
from penstock_server.model.imports import Kept
from penstock_server.rpc.call import Call
from penstock_server.store import experiments, imports, kfp_views, namespaces, pipeline_versions, pipelines
from penstock_server.store.database import Connection
from penstock_server.store.kfp_views import PipelineView, VersionView

DEFAULT_NAME = "Default"
ID_TAKEN = "it has another id than in KFP, since that one is taken in another namespace"
ID_UNKNOWN = "the id that it has in KFP is not known here"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ImportedResources:
    """Serves ImportExperiment, ImportPipeline and ImportPipelineVersion; the schema says what each does."""

    trying: Trying
    new: NewPipelines
    specs: Specs
    now: Callable[[], datetime] = _now

    async def import_experiment(self, request: pb.ImportExperimentRequest, _call: Call) -> pb.ImportExperimentResponse:
        """The experiment, or the one of that id or name that is there."""
        (namespace,) = ids_in(request.parent)
        uid = kfp_id(request.experiment, "experiment_id", "experiment")
        given = kfp_message(request.experiment, experiment_pb2.Experiment(), "experiment")
        name = check_chars(given.display_name, "experiment.display_name", NAME_CHARS_MAX)
        async with self.trying.transaction(request.validate_only) as connection:
            await namespaces.get(connection, namespace)
            scope = {"namespace": namespace}
            found = await kfp_views.find(connection, kfp_views.EXPERIMENTS, "experiment_id", str(uid), scope)
            if found is not None:
                return _experiment(namespace, found.record.id)
            twin = await imports.find_experiment_named(connection, namespace, name)
            if twin is not None:
                notes = [] if name == DEFAULT_NAME else [f"it is the experiment {twin} of that name; {ID_UNKNOWN}"]
                return _experiment(namespace, twin, notes=notes)
            made = await experiments.insert_named(
                connection,
                namespace,
                derived_ids(name, default="experiment"),
                display_name=name,
                description=given.description,
            )
            own = kept(uid, given.created_at, self.now(), "experiment")
            archived = given.storage_state == experiment_pb2.Experiment.ARCHIVED
            has_id = await imports.keep_experiment(connection, made.uid, own, archived=archived)
        return _experiment(namespace, made.id, is_new=True, notes=[] if has_id else [ID_TAKEN])

    async def import_pipeline(self, request: pb.ImportPipelineRequest, _call: Call) -> pb.ImportPipelineResponse:
        """The pipeline, or the one of that id or name that is there."""
        (namespace,) = ids_in(request.parent)
        uid = kfp_id(request.pipeline, "pipeline_id", "pipeline")
        given = kfp_message(request.pipeline, pipeline_pb2.Pipeline(), "pipeline")
        wanted = described(given).checked("pipeline", naming.PIPELINE_CHARS_MAX)
        own = kept(uid, given.created_at, self.now(), "pipeline")
        async with self.trying.transaction(request.validate_only) as connection:
            scope = {"namespace": namespace}
            found = await kfp_views.find(connection, kfp_views.PIPELINES, "pipeline_id", str(uid), scope)
            if found is not None:
                return _pipeline(namespace, found.record.id)
            twin = await kfp_views.find(connection, kfp_views.PIPELINES, "name", wanted.name, scope)
            if twin is not None:
                note = f"it is the pipeline {twin.record.id} of that name; {ID_UNKNOWN}"
                return _pipeline(namespace, twin.record.id, notes=[note])
            made = (await self.new.insert(connection, namespace, wanted)).record
            has_id = await imports.keep_pipeline(connection, made.uid, own)
        return _pipeline(namespace, made.id, is_new=True, notes=[] if has_id else [ID_TAKEN])

    async def import_pipeline_version(
        self, request: pb.ImportPipelineVersionRequest, _call: Call
    ) -> pb.ImportPipelineVersionResponse:
        """The version, or the one of that id, or of that name and spec, that is there."""
        namespace, pipeline_id = ids_in(request.parent)
        uid = kfp_id(request.pipeline_version, "pipeline_version_id", "pipeline_version")
        async with self.trying.transaction(request.validate_only) as connection:
            await namespaces.get(connection, namespace)
            scope = {"namespace": namespace, "pipeline_uid": None}
            found = await kfp_views.find(connection, kfp_views.VERSIONS, "pipeline_version_id", str(uid), scope)
        if found is not None:
            return pb.ImportPipelineVersionResponse(name=pipeline_versions.resource_name(found.record))
        given = kfp_message(request.pipeline_version, pipeline_pb2.PipelineVersion(), "pipeline_version")
        wanted, spec = await self._version(given)
        own = kept(uid, given.created_at, self.now(), "pipeline_version")
        async with self.trying.transaction(request.validate_only) as connection:
            try:
                pipeline = await pipelines.get(connection, namespace, pipeline_id)
            except NotFound:
                if not request.validate_only:
                    raise
                return pb.ImportPipelineVersionResponse(name=f"{request.parent}/versions/1", is_new=True)
            return await self._add(connection, PipelineView(pipeline, ""), wanted, spec, own)

    async def _version(self, given: pipeline_pb2.PipelineVersion) -> tuple[Described, CheckedSpec]:
        if not given.HasField("pipeline_spec"):
            raise wrong("pipeline_version.pipeline_spec", "is missing: KFP has lost what this version executes")
        spec = await check_spec(self.specs, given.pipeline_spec, "pipeline_version.pipeline_spec")
        told = Described(given.name, given.display_name, given.description, given.tags, given.code_source_url)
        return told.checked("pipeline_version", naming.VERSION_CHARS_MAX, spec.graph.name), spec

    async def _add(
        self, connection: Connection, pipeline: PipelineView, wanted: Described, spec: CheckedSpec, own: Kept
    ) -> pb.ImportPipelineVersionResponse:
        twin = await _named(connection, pipeline, wanted.name)
        if twin is not None and twin.record.spec_digest == spec.digest:
            note = f"it is version {twin.record.number} of that name and spec; {ID_UNKNOWN}"
            return pb.ImportPipelineVersionResponse(name=pipeline_versions.resource_name(twin.record), notes=[note])
        made = (await self.new.add(connection, pipeline, wanted, spec)).record
        has_id = await imports.keep_version(connection, made.uid, own)
        return pb.ImportPipelineVersionResponse(
            name=pipeline_versions.resource_name(made), is_new=True, notes=[] if has_id else [ID_TAKEN]
        )


async def _named(connection: Connection, pipeline: PipelineView, name: str) -> VersionView | None:
    scope = {"namespace": pipeline.record.namespace, "pipeline_uid": pipeline.record.uid}
    return await kfp_views.find(connection, kfp_views.VERSIONS, "name", name, scope)


def _experiment(
    namespace: str, id: str, *, is_new: bool = False, notes: Sequence[str] = ()
) -> pb.ImportExperimentResponse:
    name = experiments.resource_name(namespace, id)
    return pb.ImportExperimentResponse(name=name, is_new=is_new, notes=notes)


def _pipeline(namespace: str, id: str, *, is_new: bool = False, notes: Sequence[str] = ()) -> pb.ImportPipelineResponse:
    name = pipelines.resource_name(namespace, id)
    return pb.ImportPipelineResponse(name=name, is_new=is_new, notes=notes)
