"""What CreateRun asks for, read from its request."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from penstock.v1 import run_pb2
from penstock.v1 import run_service_pb2 as pb
from penstock_server.api import names
from penstock_server.api.json_values import from_value
from penstock_server.api.specs import Specs
from penstock_server.engine.new_runs import InlineSpec, NewRunRequest, RerunRequest, VersionSource
from penstock_server.model.errors import FieldViolation, InvalidArgument, Unimplemented
from penstock_server.model.resources import CachePolicy
from penstock_server.rpc.call import Call
from penstock_server.store import experiments
from penstock_server.store.requested import RequestKey

NUMBER_DIGITS_MAX = 10
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")


@dataclass(frozen=True, slots=True)
class AskedRun:
    """A run to be made, but for its id."""

    request: NewRunRequest
    hints: tuple[str, ...]
    """What an id may be made of, the best first."""

    def with_id(self, id: str, key: RequestKey | None) -> NewRunRequest:
        """The whole request."""
        return replace(self.request, run_id=id, request=key)


async def new_run_request(request: pb.CreateRunRequest, call: Call, specs: Specs) -> AskedRun:
    """What `request` asks for.

    Raises InvalidArgument, and Unimplemented COMPONENT_SOURCE_UNAVAILABLE for a component version.
    """
    (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
    run = request.run
    source, hint = await _source(run, namespace, specs)
    asked = NewRunRequest(
        namespace=namespace,
        run_id="",
        source=source,
        experiment_id=_experiment(run.experiment, namespace),
        display_name=run.display_name,
        description=run.description,
        labels=dict(run.labels),
        parameters={name: from_value(value, f"run.parameters.{name}") for name, value in run.parameters.items()},
        cache_policy=cache_policy(run.cache_policy),
        cache_max_age_s=seconds(run, "cache_max_age"),
        deadline_s=seconds(run, "deadline"),
        priority=run.priority,
        max_parallel_tasks=run.max_parallel_tasks or None,
        task_timeout_s=seconds(run, "task_timeout"),
        queue_timeout_s=seconds(run, "queue_timeout"),
        artifact_root=run.artifact_root,
        traceparent=_trace_context(call),
    )
    return AskedRun(asked, (run.display_name, hint))


def rerun_request(request: pb.RerunRunRequest, call: Call, id: str, key: RequestKey | None) -> RerunRequest:
    """What `request` asks for, under the id `id`. Raises InvalidArgument."""
    namespace, old = names.RUN.parse(request.name)
    source = None
    if request.pipeline_version:
        where, pipeline, version = names.PIPELINE_VERSION.parse(request.pipeline_version, "pipeline_version")
        _check_same(where, namespace, "pipeline_version")
        source = version_source(pipeline, version)
    for name in request.unset_parameters:
        if name in request.parameters:
            raise _wrong("unset_parameters", f"names {name!r}, which has a value in parameters; say one of the two")
    return RerunRequest(
        namespace=namespace,
        rerun_of=old,
        run_id=id,
        display_name=request.display_name,
        parameters={name: from_value(value, f"parameters.{name}") for name, value in request.parameters.items()},
        unset_parameters=frozenset(request.unset_parameters),
        source=source,
        traceparent=_trace_context(call),
        request=key,
    )


def cache_policy(policy: run_pb2.Run.CachePolicy.ValueType) -> CachePolicy | None:
    """The policy; None where none is named."""
    if policy == run_pb2.Run.CACHE_POLICY_UNSPECIFIED:
        return None
    return CachePolicy(run_pb2.Run.CachePolicy.Name(policy).removeprefix("CACHE_POLICY_"))


def seconds(message: Message, field: str) -> float | None:
    """The duration in that field; None where it is not set."""
    duration: Duration = getattr(message, field)
    return duration.ToTimedelta().total_seconds() if message.HasField(field) else None


def check_artifact_root(root: str, stores: Callable[[str], bool]) -> None:
    """Raise InvalidArgument for a root that no artifact could be stored under."""
    if root and not stores(f"{root.rstrip('/')}/x"):
        raise _wrong("run.artifact_root", "lies outside of the server's artifact store; leave it out for the default")


async def _source(run: run_pb2.Run, namespace: str, specs: Specs) -> tuple[VersionSource | InlineSpec, str]:
    """What the run executes, and a word for its id."""
    match run.WhichOneof("source"):
        case "inline_spec":
            checked = await specs.check(run.inline_spec, "run.inline_spec")
            return InlineSpec(checked.digest, checked.canonical, checked.graph), checked.graph.name
        case "pipeline_version":
            where, pipeline, version = names.PIPELINE_VERSION.parse(run.pipeline_version, "run.pipeline_version")
            _check_same(where, namespace, "run.pipeline_version")
            return version_source(pipeline, version), pipeline
        case "component_version":
            raise Unimplemented(
                "COMPONENT_SOURCE_UNAVAILABLE",
                "runs of component versions are not served here; use run.pipeline_version or run.inline_spec",
            )
        case _:
            raise _wrong("run", "needs pipeline_version or inline_spec")


def version_source(pipeline: str, version: str) -> VersionSource:
    """The version of a pipeline that a name means by a number, an alias or `latest`."""
    if version == "latest":
        return VersionSource(pipeline)
    if version.isdecimal() and len(version) <= NUMBER_DIGITS_MAX:
        return VersionSource(pipeline, number=int(version))
    return VersionSource(pipeline, alias=version)


def _trace_context(call: Call) -> str | None:
    given = call.traceparent
    return given if given is not None and _TRACEPARENT.match(given) else None


def _experiment(name: str, namespace: str) -> str:
    if not name:
        return experiments.DEFAULT
    where, id = names.EXPERIMENT.parse(name, "run.experiment")
    _check_same(where, namespace, "run.experiment")
    return id


def _check_same(where: str, namespace: str, field: str) -> None:
    if where != namespace:
        raise _wrong(field, f"must lie in the run's own namespace, {names.NAMESPACE.format(namespace)}")


def _wrong(field: str, description: str) -> InvalidArgument:
    return InvalidArgument("INVALID_REQUEST", f"{field} {description}", violations=[FieldViolation(field, description)])
