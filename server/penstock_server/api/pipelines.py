"""PipelineService: pipelines themselves. Their versions are in `pipeline_versions`."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.v1 import pipeline_service_pb2 as pb
from penstock_server.api import convert, names
from penstock_server.api.creating import request_key
from penstock_server.api.editing import NewValues, edited, guarded_revision
from penstock_server.api.filter_values import ListFields
from penstock_server.api.lists import Lists
from penstock_server.api.masks import edit_of
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.model.query import Page, Rows
from penstock_server.model.resources import Pipeline
from penstock_server.rpc.call import Call
from penstock_server.store import namespaces, pipelines
from penstock_server.store.database import Connection, Database

FIELDS = ListFields(pipelines.LISTING.fields, orders=pipelines.LISTING.orders)


@dataclass(frozen=True, slots=True)
class Pipelines:
    """Serves the rpcs of `penstock.v1.PipelineService` on pipelines; the schema says what each does."""

    database: Database
    lists: Lists
    ids: NewIds

    async def create_pipeline(self, request: pb.CreatePipelineRequest, _call: Call) -> pb.CreatePipelineResponse:
        """A new pipeline, or the one that the same request made before."""
        (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
        made = await with_id(
            request.pipeline_id,
            lambda: self.ids.resource_id(request.pipeline.display_name, default="pipeline"),
            "PIPELINE_EXISTS",
            lambda id: self._insert(namespace, id, request),
        )
        return pb.CreatePipelineResponse(pipeline=convert.pipeline(made))

    async def get_pipeline(self, request: pb.GetPipelineRequest, _call: Call) -> pb.GetPipelineResponse:
        """One pipeline."""
        found = await self._get(*names.PIPELINE.parse(request.name))
        return pb.GetPipelineResponse(pipeline=convert.pipeline(found))

    async def list_pipelines(self, request: pb.ListPipelinesRequest, _call: Call) -> pb.ListPipelinesResponse:
        """A page of the pipelines of a namespace."""
        (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
        async with self.database.connection() as connection:
            return await self.lists.answer(
                request,
                FIELDS,
                ("ListPipelines", namespace),
                lambda page: _list(connection, namespace, page),
                _page,
            )

    async def update_pipeline(self, request: pb.UpdatePipelineRequest, _call: Call) -> pb.UpdatePipelineResponse:
        """New values for what can be edited."""
        namespace, id = names.PIPELINE.parse(request.pipeline.name, "pipeline.name")
        edit = edit_of(request.pipeline, request.update_mask, default_display_name=id)
        updated = await edited(lambda: self._get(namespace, id), self._write, edit, request.pipeline.etag)
        return pb.UpdatePipelineResponse(pipeline=convert.pipeline(updated))

    async def delete_pipeline(self, request: pb.DeletePipelineRequest, _call: Call) -> pb.DeletePipelineResponse:
        """Nothing of the pipeline is left but its runs."""
        namespace, id = names.PIPELINE.parse(request.name)
        async with self.database.transaction() as connection:
            revision = guarded_revision(await pipelines.get(connection, namespace, id), request.etag)
            await pipelines.delete(connection, namespace, id, force=request.force, revision=revision)
        return pb.DeletePipelineResponse()

    async def archive_pipeline(self, request: pb.ArchivePipelineRequest, _call: Call) -> pb.ArchivePipelineResponse:
        """Takes no new versions from here on."""
        changed = await self._set_archived(request.name, request.etag, archived=True)
        return pb.ArchivePipelineResponse(pipeline=convert.pipeline(changed))

    async def unarchive_pipeline(
        self, request: pb.UnarchivePipelineRequest, _call: Call
    ) -> pb.UnarchivePipelineResponse:
        """Takes versions again."""
        changed = await self._set_archived(request.name, request.etag, archived=False)
        return pb.UnarchivePipelineResponse(pipeline=convert.pipeline(changed))

    async def _get(self, namespace: str, id: str) -> Pipeline:
        async with self.database.connection() as connection:
            return await pipelines.get(connection, namespace, id)

    async def _insert(self, namespace: str, id: str, request: pb.CreatePipelineRequest) -> Pipeline:
        async with self.database.transaction() as connection:
            await namespaces.get(connection, namespace)
            made, _new = await pipelines.insert(
                connection,
                namespace,
                id,
                display_name=request.pipeline.display_name or id,
                description=request.pipeline.description,
                labels=request.pipeline.labels,
                request=request_key(request.request_id, request),
            )
        return made

    async def _write(self, record: Pipeline, values: NewValues) -> Pipeline:
        async with self.database.transaction() as connection:
            return await pipelines.update(
                connection,
                record,
                display_name=values.display_name,
                description=values.description,
                labels=values.labels,
            )

    async def _set_archived(self, name: str, etag: str, *, archived: bool) -> Pipeline:
        namespace, id = names.PIPELINE.parse(name)
        async with self.database.transaction() as connection:
            revision = guarded_revision(await pipelines.get(connection, namespace, id), etag)
            return await pipelines.set_archived(connection, namespace, id, archived=archived, revision=revision)


async def _list(connection: Connection, namespace: str, page: Page) -> Rows[Pipeline]:
    rows = await pipelines.list_page(connection, namespace, page)
    if not rows.items:
        await namespaces.get(connection, namespace)
    return rows


async def _page(items: Sequence[Pipeline]) -> pb.ListPipelinesResponse:
    return pb.ListPipelinesResponse(pipelines=map(convert.pipeline, items))
