"""The pipeline methods of the client: `client.pipelines`."""

import uuid
from collections.abc import Mapping

from penstock import policies
from penstock.changes import changed_fields
from penstock.effects import Items, Operation, invoke
from penstock.faces import Asynchronous, Blocking, Face, items, operation
from penstock.names import Ref, namespace_name, resource_name, version_name
from penstock.paging import pages
from penstock.policies import Seconds, duration
from penstock.resuming import invoke_repeatably
from penstock.spec_source import Spec, spec_text
from penstock.v1 import pipeline_service_pb2
from penstock.v1.parameter_pb2 import ParameterDefinition
from penstock.v1.pipeline_pb2 import Pipeline, PipelineVersion
from penstock.v1.spec_pb2 import Spec as SpecMessage


class PipelineMethods(Face):
    """Pipelines: named workflows. For their versions see `VersionMethods`."""

    @operation
    def create(
        self,
        pipeline_id: str = "",
        *,
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> Operation[Pipeline]:
        """Make a pipeline without versions; without an id the server makes one up.

        Raises AlreadyExistsError.
        """
        request = pipeline_service_pb2.CreatePipelineRequest(
            parent=namespace_name(self._namespace),
            pipeline_id=pipeline_id,
            pipeline=Pipeline(display_name=display_name, description=description, labels=labels),
            request_id=request_id or str(uuid.uuid4()),
        )
        response = yield from invoke_repeatably(request, pipeline_service_pb2.CreatePipelineResponse)
        return response.pipeline

    @operation
    def get(self, pipeline: Ref) -> Operation[Pipeline]:
        """A pipeline. Raises NotFoundError."""
        request = pipeline_service_pb2.GetPipelineRequest(name=self._name(pipeline))
        response = yield from invoke(request, pipeline_service_pb2.GetPipelineResponse)
        return response.pipeline

    @items
    def list(self, *, filter: str = "", order_by: str = "", page_size: int = 0) -> Items[Pipeline]:
        """The pipelines that match `filter` (AIP-160), fetched page by page."""
        request = pipeline_service_pb2.ListPipelinesRequest(
            parent=namespace_name(self._namespace), filter=filter, order_by=order_by, page_size=page_size
        )
        response_type = pipeline_service_pb2.ListPipelinesResponse
        return pages(request, response_type, lambda response: response.pipelines)

    @operation
    def update(
        self,
        pipeline: Ref,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> Operation[Pipeline]:
        """Change what is given. Raises ConflictError when `etag` is not the pipeline's any more."""
        fields, mask = changed_fields(display_name, description, labels)
        changed = Pipeline(name=self._name(pipeline), etag=etag, **fields)
        request = pipeline_service_pb2.UpdatePipelineRequest(pipeline=changed, update_mask=mask)
        response = yield from invoke(request, pipeline_service_pb2.UpdatePipelineResponse)
        return response.pipeline

    @operation
    def delete(self, pipeline: Ref, *, force: bool = False, etag: str = "") -> Operation[None]:
        """Delete a pipeline; with `force` its versions too.

        Raises FailedPreconditionError while it has versions.
        """
        request = pipeline_service_pb2.DeletePipelineRequest(name=self._name(pipeline), force=force, etag=etag)
        yield from invoke(request, pipeline_service_pb2.DeletePipelineResponse)

    @operation
    def archive(self, pipeline: Ref, *, etag: str = "") -> Operation[Pipeline]:
        """Archive a pipeline: it takes no new versions; the ones it has still run."""
        request = pipeline_service_pb2.ArchivePipelineRequest(name=self._name(pipeline), etag=etag)
        response = yield from invoke(request, pipeline_service_pb2.ArchivePipelineResponse)
        return response.pipeline

    @operation
    def unarchive(self, pipeline: Ref, *, etag: str = "") -> Operation[Pipeline]:
        """Take a pipeline back from the archive."""
        request = pipeline_service_pb2.UnarchivePipelineRequest(name=self._name(pipeline), etag=etag)
        response = yield from invoke(request, pipeline_service_pb2.UnarchivePipelineResponse)
        return response.pipeline

    def _name(self, pipeline: Ref) -> str:
        return resource_name(self._namespace, "pipelines", pipeline)


class VersionMethods(Face):
    """The versions of pipelines. Where one is wanted, `line-fit@3`, `line-fit@latest` and its whole name
    are understood; a pipeline without a version means its latest."""

    @operation
    def create_version(
        self,
        pipeline: Ref,
        spec: Spec,
        *,
        alias: str = "",
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        cache_policy: str = "",
        cache_max_age: Seconds = None,
        request_id: str = "",
    ) -> Operation[PipelineVersion]:
        """Add a version with the spec from a file, a text or a dict.

        `cache_policy` (DEFAULT, DISABLED or REFRESH) and `cache_max_age` are for those of its runs that name none.
        Raises InvalidArgumentError with the paths that are wrong.
        """
        request = pipeline_service_pb2.CreatePipelineVersionRequest(
            parent=resource_name(self._namespace, "pipelines", pipeline),
            pipeline_version=PipelineVersion(
                spec=SpecMessage(text=spec_text(spec)),
                alias=alias,
                display_name=display_name,
                description=description,
                labels=labels,
                cache_policy=policies.cache_policy(cache_policy),
                cache_max_age=duration(cache_max_age),
            ),
            request_id=request_id or str(uuid.uuid4()),
        )
        response = yield from invoke_repeatably(request, pipeline_service_pb2.CreatePipelineVersionResponse)
        return response.pipeline_version

    @operation
    def get_version(
        self, pipeline: Ref, version: str | int | None = None, *, with_spec: bool = False
    ) -> Operation[PipelineVersion]:
        """A version; `with_spec` also brings its spec. Raises NotFoundError."""
        request = pipeline_service_pb2.GetPipelineVersionRequest(
            name=version_name(self._namespace, pipeline, version),
            view=PipelineVersion.VIEW_FULL if with_spec else PipelineVersion.VIEW_BASIC,
        )
        response = yield from invoke(request, pipeline_service_pb2.GetPipelineVersionResponse)
        return response.pipeline_version

    @items
    def list_versions(
        self, pipeline: Ref, *, filter: str = "", order_by: str = "", page_size: int = 0
    ) -> Items[PipelineVersion]:
        """The versions of a pipeline, fetched page by page."""
        request = pipeline_service_pb2.ListPipelineVersionsRequest(
            parent=resource_name(self._namespace, "pipelines", pipeline),
            filter=filter,
            order_by=order_by,
            page_size=page_size,
        )
        response_type = pipeline_service_pb2.ListPipelineVersionsResponse
        return pages(request, response_type, lambda response: response.pipeline_versions)

    @operation
    def update_version(
        self,
        pipeline: Ref,
        version: str | int | None = None,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> Operation[PipelineVersion]:
        """Change what is given; the spec never changes.

        Raises ConflictError when `etag` is not the version's any more.
        """
        fields, mask = changed_fields(display_name, description, labels)
        changed = PipelineVersion(name=version_name(self._namespace, pipeline, version), etag=etag, **fields)
        request = pipeline_service_pb2.UpdatePipelineVersionRequest(pipeline_version=changed, update_mask=mask)
        response = yield from invoke(request, pipeline_service_pb2.UpdatePipelineVersionResponse)
        return response.pipeline_version

    @operation
    def delete_version(self, pipeline: Ref, version: int | None = None, *, etag: str = "") -> Operation[None]:
        """Delete a version, named by its number. Runs of it keep their spec."""
        name = version_name(self._namespace, pipeline, version)
        request = pipeline_service_pb2.DeletePipelineVersionRequest(name=name, etag=etag)
        yield from invoke(request, pipeline_service_pb2.DeletePipelineVersionResponse)

    @operation
    def parameters(
        self, pipeline: Ref, version: str | int | None = None
    ) -> Operation["tuple[ParameterDefinition, ...]"]:
        """The parameters that a version takes, sorted by name."""
        request = pipeline_service_pb2.GetPipelineVersionInterfaceRequest(
            name=version_name(self._namespace, pipeline, version)
        )
        response = yield from invoke(request, pipeline_service_pb2.GetPipelineVersionInterfaceResponse)
        return tuple(response.parameters)


class BlockingPipelines(PipelineMethods, VersionMethods, Blocking):
    """`client.pipelines`."""


class AsynchronousPipelines(PipelineMethods, VersionMethods, Asynchronous):
    """`client.pipelines` for asyncio."""
