"""PipelineService of KFP: versions of pipelines."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty

from penstock.kfp.v2beta1 import pipeline_pb2 as pb
from penstock_server.compat import fields
from penstock_server.compat.changes import Change, change_of, repeated
from penstock_server.compat.fields import KfpList
from penstock_server.compat.lists import Lists
from penstock_server.compat.new_pipelines import NewPipelines
from penstock_server.compat.pipeline_messages import PipelineMessages
from penstock_server.compat.refusals import wrong
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.version_sources import VersionSources
from penstock_server.model.query import Comparison, Operator
from penstock_server.rpc.call import Call
from penstock_server.store import kfp_views, pipeline_versions
from penstock_server.store.database import Connection, Database
from penstock_server.store.kfp_views import PipelineView, VersionView

LIST = KfpList(
    kfp_views.VERSIONS,
    {
        **dict.fromkeys(("id", "pipeline_version_id"), fields.text("pipeline_version_id")),
        "name": fields.text("name"),
        "display_name": fields.text("display_name"),
        "created_at": fields.time("created_at"),
        "status": fields.choice("created_at", {"READY": Comparison("created_at", Operator.HAS, "*")}),
        "description": fields.text("description"),
        "pipeline_spec": fields.text("pipeline_spec"),
        "tags": fields.tags(),
    },
)
"""All versions are READY, so that an order by status is the order that they were made in."""


@dataclass(frozen=True, slots=True)
class PipelineVersions:
    """Serves the rpcs of KFP's PipelineService on versions; the schema says what each does."""

    database: Database
    lists: Lists
    spaces: Spaces
    new: NewPipelines
    sources: VersionSources
    messages: PipelineMessages

    async def create_pipeline_version(self, request: pb.CreatePipelineVersionRequest, call: Call) -> pb.PipelineVersion:
        """A further version, the only one of its name in the pipeline."""
        given = request.pipeline_version
        if not given.pipeline_id:
            raise wrong("pipeline_version.pipeline_id", "must not be empty")
        if not given.package_url.pipeline_url:
            raise wrong("pipeline_version.package_url.pipeline_url", "has to say where the spec is downloaded from")
        pipeline = await self._pipeline(request.pipeline_id, call)
        version = await self.sources.read(given, "pipeline_version")
        made = await self.new.version(pipeline, version.described, version.spec)
        async with self.database.connection() as connection:
            return await self.messages.version(connection, made)

    async def get_pipeline_version(self, request: pb.GetPipelineVersionRequest, call: Call) -> pb.PipelineVersion:
        """One version, whatever the pipeline that is named."""
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            found = await kfp_views.get_version(connection, namespace, request.pipeline_version_id)
            return await self.messages.version(connection, found)

    async def list_pipeline_versions(
        self, request: pb.ListPipelineVersionsRequest, call: Call
    ) -> pb.ListPipelineVersionsResponse:
        """A page of the versions of a pipeline."""
        pipeline = (await self._pipeline(request.pipeline_id, call)).record
        scope = {"namespace": pipeline.namespace, "pipeline_uid": pipeline.uid}
        async with self.database.connection() as connection:

            async def page(items: Sequence[VersionView]) -> pb.ListPipelineVersionsResponse:
                return await self._page(connection, items)

            return await self.lists.answer(connection, request, LIST, scope, page)

    async def update_pipeline_version(self, request: pb.UpdatePipelineVersionRequest, call: Call) -> pb.PipelineVersion:
        """New display name and tags."""
        given = request.pipeline_version
        change = change_of(given, call, "pipeline_version")
        return await repeated(lambda: self._change(given.pipeline_version_id, change, call))

    async def delete_pipeline_version(self, request: pb.DeletePipelineVersionRequest, call: Call) -> Empty:
        """Nothing of the version is left but its runs."""
        namespace = self.spaces.reachable(call)
        async with self.database.transaction() as connection:
            found = await kfp_views.get_version(connection, namespace, request.pipeline_version_id)
            await pipeline_versions.delete(connection, found.record)
        return Empty()

    async def _pipeline(self, uid: str, call: Call) -> PipelineView:
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            return await kfp_views.get_pipeline(connection, namespace, uid)

    async def _change(self, uid: str, change: Change, call: Call) -> pb.PipelineVersion:
        namespace = self.spaces.reachable(call)
        async with self.database.transaction() as connection:
            found = await kfp_views.get_version(connection, namespace, uid)
            record = found.record
            changed = await pipeline_versions.update(
                connection,
                record,
                display_name=record.display_name if change.display_name is None else change.display_name,
                description=record.description,
                labels=record.labels if change.tags is None else change.tags,
            )
            return await self.messages.version(connection, VersionView(changed, found.name, found.code_source_url))

    async def _page(self, connection: Connection, items: Sequence[VersionView]) -> pb.ListPipelineVersionsResponse:
        versions = [await self.messages.version(connection, item) for item in items]
        return pb.ListPipelineVersionsResponse(pipeline_versions=versions)
