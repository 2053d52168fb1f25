"""Uploads of packages: a file in a form, and what there is to say of it in the query."""

from dataclasses import dataclass, field

from penstock.kfp.v2beta1 import pipeline_pb2 as pb
from penstock_server.compat.dialect import plain_failure, write
from penstock_server.compat.new_pipelines import Described, NewPipelines
from penstock_server.compat.packages import BYTES_MAX
from penstock_server.compat.pipeline_messages import PipelineMessages
from penstock_server.compat.refusals import wrong
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.upload_forms import read_file
from penstock_server.compat.version_sources import VersionSources
from penstock_server.engine.specs import CheckedSpec
from penstock_server.model.errors import InvalidArgument, PenstockError
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.call import Call
from penstock_server.rpc.dialect import Failure
from penstock_server.rpc.plain import PlainAnswer, PlainRequest, PlainRoute
from penstock_server.rpc.proto_json import read_json
from penstock_server.store import kfp_views
from penstock_server.store.database import Database

TIME_MAX_S = 300.0
AT_ONCE_MAX = 8
"""Each holds its file in memory, twice while the form is taken apart."""
JSON_TYPE = "application/json"
_SERVICE = pb.DESCRIPTOR.services_by_name["PipelineService"].full_name


@dataclass(frozen=True, slots=True)
class Uploads:
    """Serves the uploads beside KFP's PipelineService."""

    database: Database
    spaces: Spaces
    new: NewPipelines
    sources: VersionSources
    messages: PipelineMessages
    room: Admission = field(default_factory=lambda: Admission(AT_ONCE_MAX, "uploads"))

    def routes(self) -> tuple[PlainRoute, ...]:
        """The paths that files are sent to."""
        return (
            PlainRoute(
                f"{_SERVICE}/UploadPipeline",
                "POST",
                "/apis/v2beta1/pipelines/upload",
                self.pipeline,
                lambda error: _failure("Failed to upload pipeline", error),
                TIME_MAX_S,
            ),
            PlainRoute(
                f"{_SERVICE}/UploadPipelineVersion",
                "POST",
                "/apis/v2beta1/pipelines/upload_version",
                self.version,
                lambda error: _failure("Failed to upload pipeline version", error),
                TIME_MAX_S,
            ),
        )

    async def pipeline(self, request: PlainRequest, call: Call) -> PlainAnswer:
        """A new pipeline and its first version, called alike; the tags are the pipeline's."""
        namespace = self.spaces.shared(request.query.get("namespace", ""), call)
        described = _described(request)
        name, spec = await self._package(request)
        described = described.named(name)
        made, _version = await self.new.with_version(namespace, described, described.of_version(), spec)
        return PlainAnswer(write(self.messages.pipeline(made)), JSON_TYPE)

    async def version(self, request: PlainRequest, call: Call) -> PlainAnswer:
        """A further version of a pipeline."""
        pipeline_id = request.query.get("pipelineid", "")
        if not pipeline_id:
            raise wrong("pipelineid", "has to be in the query")
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            pipeline = await kfp_views.get_pipeline(connection, namespace, pipeline_id)
        described = _described(request)
        name, spec = await self._package(request)
        made = await self.new.version(pipeline, described.named(name), spec)
        async with self.database.connection() as connection:
            return PlainAnswer(write(await self.messages.version(connection, made)), JSON_TYPE)

    async def _package(self, request: PlainRequest) -> tuple[str, CheckedSpec]:
        """The name of the file and what it holds. Raises ResourceExhausted SERVER_BUSY, before anything is read."""
        with self.room:
            file = await read_file(request, BYTES_MAX)
            return file.name, await self.sources.package(file.name, file.content)


def _described(request: PlainRequest) -> Described:
    query = request.query
    return Described(
        name=query.get("name", ""),
        display_name=query.get("display_name", ""),
        description=query.get("description", ""),
        tags=_tags(query.get("tags", "")),
        code_source_url=query.get("code_source_url", ""),
    )


def _tags(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        tags = read_json(text.encode())
    except InvalidArgument:
        tags = None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise wrong("tags", "has to be a JSON object of texts")
    return tags


def _failure(what: str, error: PenstockError) -> Failure:
    """Clients look for `what` in the message."""
    told = plain_failure(error)
    return Failure(told.status, {**told.document, "error_message": f"{what}: {error.message}"})
