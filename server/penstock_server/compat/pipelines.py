"""PipelineService of KFP: pipelines themselves. Their versions are in `pipeline_versions`."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty

from penstock.kfp.v2beta1 import pipeline_pb2 as pb
from penstock_server.compat import fields
from penstock_server.compat.changes import Change, change_of, repeated
from penstock_server.compat.fields import KfpList
from penstock_server.compat.lists import Lists
from penstock_server.compat.new_pipelines import Described, NewPipelines
from penstock_server.compat.pipeline_messages import PipelineMessages
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.version_sources import VersionSources
from penstock_server.model.errors import FailedPrecondition
from penstock_server.rpc.call import Call
from penstock_server.store import kfp_views, pipelines
from penstock_server.store.database import Database
from penstock_server.store.kfp_views import PipelineView

LIST = KfpList(
    kfp_views.PIPELINES,
    {
        **dict.fromkeys(("id", "pipeline_id"), fields.text("pipeline_id")),
        "name": fields.text("name"),
        "display_name": fields.text("display_name"),
        "created_at": fields.time("created_at"),
        "description": fields.text("description"),
        "namespace": fields.text("namespace"),
        "tags": fields.tags(),
    },
)


def described(message: pb.Pipeline) -> Described:
    """What a message says of a pipeline to be made."""
    return Described(message.name, message.display_name, message.description, message.tags)


@dataclass(frozen=True, slots=True)
class Pipelines:
    """Serves the rpcs of KFP's PipelineService on pipelines; the schema says what each does."""

    database: Database
    lists: Lists
    spaces: Spaces
    new: NewPipelines
    sources: VersionSources
    messages: PipelineMessages

    async def create_pipeline(self, request: pb.CreatePipelineRequest, call: Call) -> pb.Pipeline:
        """A new pipeline, the only one of its name in the namespace."""
        namespace = self.spaces.shared(request.pipeline.namespace, call)
        return self.messages.pipeline(await self.new.pipeline(namespace, described(request.pipeline)))

    async def create_pipeline_and_version(self, request: pb.CreatePipelineAndVersionRequest, call: Call) -> pb.Pipeline:
        """A new pipeline and its first version, or neither."""
        namespace = self.spaces.shared(request.pipeline.namespace, call)
        version = await self.sources.read(request.pipeline_version, "pipeline_version")
        made, _version = await self.new.with_version(
            namespace, described(request.pipeline), version.described, version.spec
        )
        return self.messages.pipeline(made)

    async def get_pipeline(self, request: pb.GetPipelineRequest, call: Call) -> pb.Pipeline:
        """One pipeline."""
        return self.messages.pipeline(await self._get(request.pipeline_id, call))

    async def get_pipeline_by_name(self, request: pb.GetPipelineByNameRequest, call: Call) -> pb.Pipeline:
        """The pipeline of a name."""
        namespace = self.spaces.shared(request.namespace, call)
        async with self.database.connection() as connection:
            found = await kfp_views.get_pipeline_by_name(connection, namespace, request.name)
        return self.messages.pipeline(found)

    async def list_pipelines(self, request: pb.ListPipelinesRequest, call: Call) -> pb.ListPipelinesResponse:
        """A page of the pipelines of a namespace."""
        scope = {"namespace": self.spaces.shared(request.namespace, call)}
        async with self.database.connection() as connection:
            return await self.lists.answer(connection, request, LIST, scope, self._page)

    async def update_pipeline(self, request: pb.UpdatePipelineRequest, call: Call) -> pb.Pipeline:
        """New display name and tags."""
        change = change_of(request.pipeline, call, "pipeline")
        return self.messages.pipeline(await repeated(lambda: self._change(request.pipeline.pipeline_id, change, call)))

    async def delete_pipeline(self, request: pb.DeletePipelineRequest, call: Call) -> Empty:
        """Nothing of the pipeline is left but its runs."""
        found = await self._get(request.pipeline_id, call)
        record = found.record
        try:
            async with self.database.transaction() as connection:
                await pipelines.delete(connection, record.namespace, record.id, force=request.cascade)
        except FailedPrecondition as error:
            message = f"pipeline {found.name} has versions; delete them first, or delete it with cascade=true"
            raise FailedPrecondition("PIPELINE_HAS_VERSIONS", message, metadata=error.metadata) from None
        return Empty()

    async def _get(self, uid: str, call: Call) -> PipelineView:
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            return await kfp_views.get_pipeline(connection, namespace, uid)

    async def _change(self, uid: str, change: Change, call: Call) -> PipelineView:
        found = await self._get(uid, call)
        record = found.record
        display_name = record.display_name if change.display_name is None else change.display_name or found.name
        async with self.database.transaction() as connection:
            changed = await pipelines.update(
                connection,
                record,
                display_name=display_name,
                description=record.description,
                labels=record.labels if change.tags is None else change.tags,
            )
        return PipelineView(changed, found.name)

    async def _page(self, items: Sequence[PipelineView]) -> pb.ListPipelinesResponse:
        return pb.ListPipelinesResponse(pipelines=map(self.messages.pipeline, items))
