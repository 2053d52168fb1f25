"""PipelineService of KFP's v1beta1: the part of it that KFP's user interface still reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.kfp.v1beta1 import parameter_pb2, resource_reference_pb2
from penstock.kfp.v1beta1 import pipeline_pb2 as pb
from penstock_server.compat.lists import Lists
from penstock_server.compat.pipeline_versions import LIST
from penstock_server.compat.refusals import wrong
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.times import record_time
from penstock_server.engine.specs import spec_text
from penstock_server.model.errors import NotFound
from penstock_server.rpc.call import Call
from penstock_server.rpc.proto_json import dumps
from penstock_server.store import kfp_views, specs
from penstock_server.store.database import Connection, Database
from penstock_server.store.kfp_views import VersionView

_KINDS = resource_reference_pb2
_OWNER = resource_reference_pb2.OWNER


@dataclass(frozen=True, slots=True)
class OldPipelines:
    """Serves the rpcs of `api.PipelineService`; the schema says what each does."""

    database: Database
    lists: Lists
    spaces: Spaces

    async def get_pipeline_v1(self, request: pb.GetPipelineRequest, call: Call) -> pb.Pipeline:
        """One pipeline with its newest version."""
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            view = await kfp_views.get_pipeline(connection, namespace, request.id)
            newest = await kfp_views.find_latest_version(connection, view.record.uid)
        message = pb.Pipeline(
            id=str(view.record.uid),
            created_at=record_time(view.record.create_time),
            name=view.name,
            description=view.record.description,
        )
        if newest is not None:
            message.default_version.CopyFrom(_version(newest))
            message.parameters.extend(message.default_version.parameters)
        if owner := self.spaces.shown_shared(view.record.namespace):
            message.resource_references.append(_reference(_KINDS.NAMESPACE, owner))
        return message

    async def get_template(self, request: pb.GetTemplateRequest, call: Call) -> pb.GetTemplateResponse:
        """The spec of a pipeline's newest version."""
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            view = await kfp_views.get_pipeline(connection, namespace, request.id)
            newest = await kfp_views.find_latest_version(connection, view.record.uid)
            if newest is None:
                raise NotFound("PIPELINE_VERSION_NOT_FOUND", f"pipeline {view.name} has no version")
            return await _template(connection, newest)

    async def get_pipeline_version_v1(self, request: pb.GetPipelineVersionRequest, call: Call) -> pb.PipelineVersion:
        """One version."""
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            return _version(await kfp_views.get_version(connection, namespace, request.version_id))

    async def get_pipeline_version_template(
        self, request: pb.GetPipelineVersionTemplateRequest, call: Call
    ) -> pb.GetTemplateResponse:
        """The spec of a version."""
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            return await _template(connection, await kfp_views.get_version(connection, namespace, request.version_id))

    async def list_pipeline_versions_v1(
        self, request: pb.ListPipelineVersionsRequest, call: Call
    ) -> pb.ListPipelineVersionsResponse:
        """A page of the versions of a pipeline."""
        if request.resource_key.type != _KINDS.PIPELINE:
            raise wrong("resource_key.type", "has to be PIPELINE")
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            pipeline = (await kfp_views.get_pipeline(connection, namespace, request.resource_key.id)).record
            scope = {"namespace": pipeline.namespace, "pipeline_uid": pipeline.uid}
            return await self.lists.answer(connection, request, LIST, scope, _page)


async def _page(items: Sequence[VersionView]) -> pb.ListPipelineVersionsResponse:
    return pb.ListPipelineVersionsResponse(versions=map(_version, items))


async def _template(connection: Connection, view: VersionView) -> pb.GetTemplateResponse:
    return pb.GetTemplateResponse(template=spec_text(await specs.get(connection, view.record.spec_digest)))


def _version(view: VersionView) -> pb.PipelineVersion:
    record = view.record
    return pb.PipelineVersion(
        id=str(record.uid),
        name=view.name,
        created_at=record_time(record.create_time),
        parameters=[
            parameter_pb2.Parameter(name=str(parameter["name"]), value=_default(parameter.get("default_value")))
            for parameter in record.interface
        ],
        code_source_url=view.code_source_url,
        resource_references=[_reference(_KINDS.PIPELINE, str(record.pipeline_uid))],
        description=record.description,
    )


def _default(value: Any) -> str:
    """A default as text; values that are not text as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value).decode()


def _reference(
    kind: resource_reference_pb2.ResourceType.ValueType, id: str
) -> resource_reference_pb2.ResourceReference:
    key = resource_reference_pb2.ResourceKey(type=kind, id=id)
    return resource_reference_pb2.ResourceReference(key=key, relationship=_OWNER)
