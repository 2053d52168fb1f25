"""What CreateRun and RerunRun ask for, read from their requests."""

from dataclasses import dataclass, replace

from penstock.v1 import run_service_pb2 as pb
from penstock_server.api import names
from penstock_server.api.run_reader import RunReader, check_same, version_source, wrong
from penstock_server.engine.run_requests import NewRunRequest, RerunRequest
from penstock_server.rpc.call import Call
from penstock_server.rpc.json_values import from_value
from penstock_server.store.requested import RequestKey


@dataclass(frozen=True, slots=True)
class AskedRun:
    """A run to be made, but for its id."""

    request: NewRunRequest
    hints: tuple[str, ...]
    """What an id may be made of, the best first."""

    def with_id(self, id: str, key: RequestKey | None) -> NewRunRequest:
        """The whole request."""
        return replace(self.request, run_id=id, request=key)


async def new_run_request(request: pb.CreateRunRequest, call: Call, reader: RunReader) -> AskedRun:
    """What `request` asks for.

    Raises InvalidArgument, and Unimplemented COMPONENT_SOURCE_UNAVAILABLE for a component version.
    """
    (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
    fields = reader.fields(request.run, namespace, "run")
    source, hint = await reader.source(request.run, namespace, "run")
    asked = NewRunRequest(namespace=namespace, run_id="", source=source, traceparent=call.trace_context, **fields)
    return AskedRun(asked, (request.run.display_name, hint))


def rerun_request(request: pb.RerunRunRequest, call: Call, id: str, key: RequestKey | None) -> RerunRequest:
    """What `request` asks for, under the id `id`. Raises InvalidArgument."""
    namespace, old = names.RUN.parse(request.name)
    source = None
    if request.pipeline_version:
        where, pipeline, version = names.PIPELINE_VERSION.parse(request.pipeline_version, "pipeline_version")
        check_same(where, namespace, "pipeline_version")
        source = version_source(pipeline, version)
    for name in request.unset_parameters:
        if name in request.parameters:
            raise wrong("unset_parameters", f"names {name!r}, which has a value in parameters; say one of the two")
    return RerunRequest(
        namespace=namespace,
        rerun_of=old,
        run_id=id,
        display_name=request.display_name,
        parameters={name: from_value(value, f"parameters.{name}") for name, value in request.parameters.items()},
        unset_parameters=frozenset(request.unset_parameters),
        source=source,
        traceparent=call.trace_context,
        request=key,
    )
