"""Bringing a compiled pipeline to the server in one step: a method of the client."""

import uuid
from collections.abc import Mapping

from penstock import policies
from penstock.effects import Operation, invoke
from penstock.errors import AlreadyExistsError, NotFoundError
from penstock.faces import Face, operation
from penstock.names import Ref, namespace_name, resource_name
from penstock.policies import Seconds, duration
from penstock.resuming import invoke_repeatably
from penstock.spec_source import Spec, spec_text
from penstock.v1 import pipeline_service_pb2
from penstock.v1.pipeline_pb2 import Pipeline, PipelineVersion
from penstock.v1.spec_pb2 import Spec as SpecMessage


class UploadingMethods(Face):
    """Pipelines from files."""

    @operation
    def upload_pipeline(
        self,
        spec: Spec,
        pipeline: Ref | None = None,
        *,
        alias: str = "",
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        cache_policy: str = "",
        cache_max_age: Seconds = None,
    ) -> Operation[PipelineVersion]:
        """Add a version to a pipeline, which is made when it does not exist yet.

        `spec` is a path to a compiled pipeline, its text or its IR as a dict; without `pipeline` the name
        that stands in it is taken. The other values are the version's; `cache_policy` (DEFAULT,
        DISABLED or REFRESH) and `cache_max_age` are for those of its runs that name none. Raises InvalidArgumentError,
        UnimplementedError.
        """
        text = spec_text(spec)
        name = resource_name(self._namespace, "pipelines", pipeline or _name_in(text))
        version = PipelineVersion(
            spec=SpecMessage(text=text),
            alias=alias,
            display_name=display_name,
            description=description,
            labels=labels,
            cache_policy=policies.cache_policy(cache_policy),
            cache_max_age=duration(cache_max_age),
        )
        yield from _ensure_pipeline(name)
        request = pipeline_service_pb2.CreatePipelineVersionRequest(
            parent=name, pipeline_version=version, request_id=str(uuid.uuid4())
        )
        response = yield from invoke_repeatably(request, pipeline_service_pb2.CreatePipelineVersionResponse)
        return response.pipeline_version


def _ensure_pipeline(name: str) -> Operation[None]:
    try:
        request = pipeline_service_pb2.GetPipelineRequest(name=name)
        yield from invoke(request, pipeline_service_pb2.GetPipelineResponse)
    except NotFoundError:
        yield from _create_pipeline(name)


def _create_pipeline(name: str) -> Operation[None]:
    namespace, _, pipeline_id = name.partition("/pipelines/")
    request = pipeline_service_pb2.CreatePipelineRequest(
        parent=namespace_name(namespace),
        pipeline_id=pipeline_id,
        pipeline=Pipeline(),
        request_id=str(uuid.uuid4()),
    )
    try:
        yield from invoke_repeatably(request, pipeline_service_pb2.CreatePipelineResponse)
    except AlreadyExistsError:
        # Somebody made it meanwhile, which is as good.
        return


def _name_in(text: str) -> str:
    # Only needed here, and loading the YAML reader takes a tenth of the command line's time to start.
    from penstock.ir import pipeline_name

    name = pipeline_name(text)
    if name is None:
        raise ValueError("the spec has no pipelineInfo.name: say which pipeline to add the version to")
    return name
