"""PipelineService: versions of pipelines."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.v1 import pipeline_pb2
from penstock.v1 import pipeline_service_pb2 as pb
from penstock_server.api import convert, names
from penstock_server.api.creating import request_key
from penstock_server.api.editing import NewValues, edited, guarded_revision
from penstock_server.api.filter_values import ListFields
from penstock_server.api.lists import Lists
from penstock_server.api.masks import edit_of
from penstock_server.api.run_reader import cache_policy, seconds, version_source
from penstock_server.api.specs import check_spec, spec_message
from penstock_server.engine.specs import Specs
from penstock_server.model.query import Page, Rows
from penstock_server.model.resources import CachePolicy, PipelineVersion
from penstock_server.rpc.call import Call
from penstock_server.store import pipeline_versions, pipelines, specs
from penstock_server.store.database import Connection, Database
from penstock_server.store.pipeline_versions import NewPipelineVersion

FIELDS = ListFields(pipeline_versions.LISTING.fields, orders=pipeline_versions.LISTING.orders)


@dataclass(frozen=True, slots=True)
class PipelineVersions:
    """Serves the rpcs of `penstock.v1.PipelineService` on versions; the schema says what each does."""

    database: Database
    lists: Lists
    specs: Specs

    async def create_pipeline_version(
        self, request: pb.CreatePipelineVersionRequest, _call: Call
    ) -> pb.CreatePipelineVersionResponse:
        """The next version, or the one that the same request made before."""
        namespace, pipeline = names.PIPELINE.parse(request.parent, "parent")
        given = request.pipeline_version
        checked = await check_spec(self.specs, given.spec, "pipeline_version.spec")
        new = NewPipelineVersion(
            alias=given.alias or None,
            display_name=given.display_name,
            description=given.description,
            labels=given.labels,
            spec_digest=checked.digest,
            document=checked.canonical,
            sdk_version=checked.graph.sdk_version,
            interface=checked.interface,
            cache_policy=cache_policy(given.cache_policy) or CachePolicy.DEFAULT,
            cache_max_age_s=seconds(given, "cache_max_age"),
        )
        key = request_key(request.request_id, request)
        async with self.database.transaction() as connection:
            made, _new = await pipeline_versions.insert(connection, namespace, pipeline, new, key)
        return pb.CreatePipelineVersionResponse(pipeline_version=convert.pipeline_version(made))

    async def get_pipeline_version(
        self, request: pb.GetPipelineVersionRequest, _call: Call
    ) -> pb.GetPipelineVersionResponse:
        """One version, by number, alias or `latest`."""
        async with self.database.connection() as connection:
            found = await find_version(connection, request.name)
            message = convert.pipeline_version(found)
            if request.view == pipeline_pb2.PipelineVersion.VIEW_FULL:
                canonical = await specs.get(connection, found.spec_digest)
                message.spec.CopyFrom(spec_message(canonical))
        return pb.GetPipelineVersionResponse(pipeline_version=message)

    async def list_pipeline_versions(
        self, request: pb.ListPipelineVersionsRequest, _call: Call
    ) -> pb.ListPipelineVersionsResponse:
        """A page of the versions of a pipeline."""
        namespace, pipeline = names.PIPELINE.parse(request.parent, "parent")
        async with self.database.connection() as connection:
            return await self.lists.answer(
                request,
                FIELDS,
                ("ListPipelineVersions", namespace, pipeline),
                lambda page: _list(connection, namespace, pipeline, page),
                _page,
            )

    async def update_pipeline_version(
        self, request: pb.UpdatePipelineVersionRequest, _call: Call
    ) -> pb.UpdatePipelineVersionResponse:
        """New values for what can be edited."""
        given = request.pipeline_version
        edit = edit_of(given, request.update_mask, default_display_name="")
        updated = await edited(lambda: self._get(given.name, "pipeline_version.name"), self._write, edit, given.etag)
        return pb.UpdatePipelineVersionResponse(pipeline_version=convert.pipeline_version(updated))

    async def delete_pipeline_version(
        self, request: pb.DeletePipelineVersionRequest, _call: Call
    ) -> pb.DeletePipelineVersionResponse:
        """Nothing of the version is left but its runs."""
        async with self.database.transaction() as connection:
            version = await find_version(connection, request.name)
            revision = guarded_revision(version, request.etag)
            await pipeline_versions.delete(connection, version, revision=revision)
        return pb.DeletePipelineVersionResponse()

    async def get_pipeline_version_interface(
        self, request: pb.GetPipelineVersionInterfaceRequest, _call: Call
    ) -> pb.GetPipelineVersionInterfaceResponse:
        """The parameters that a version takes."""
        message = convert.pipeline_version(await self._get(request.name, "name"))
        return pb.GetPipelineVersionInterfaceResponse(pipeline_version=message.name, parameters=message.parameters)

    async def _get(self, name: str, field: str) -> PipelineVersion:
        async with self.database.connection() as connection:
            return await find_version(connection, name, field)

    async def _write(self, record: PipelineVersion, values: NewValues) -> PipelineVersion:
        async with self.database.transaction() as connection:
            return await pipeline_versions.update(
                connection,
                record,
                display_name=values.display_name,
                description=values.description,
                labels=values.labels,
            )


async def find_version(connection: Connection, name: str, field: str = "name") -> PipelineVersion:
    """The version with this name, which ends in a number, an alias or `latest`. Raises NotFound."""
    namespace, pipeline, version = names.PIPELINE_VERSION.parse(name, field)
    source = version_source(pipeline, version)
    return await pipeline_versions.get(connection, namespace, pipeline, number=source.number, alias=source.alias)


async def _list(connection: Connection, namespace: str, pipeline: str, page: Page) -> Rows[PipelineVersion]:
    rows = await pipeline_versions.list_page(connection, namespace, pipeline, page)
    if not rows.items:
        await pipelines.get(connection, namespace, pipeline)
    return rows


async def _page(items: Sequence[PipelineVersion]) -> pb.ListPipelineVersionsResponse:
    return pb.ListPipelineVersionsResponse(pipeline_versions=map(convert.pipeline_version, items))
