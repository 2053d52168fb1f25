"""What a Run message asks for, wherever a request holds one: CreateRun, and the run of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from penstock.v1 import run_pb2
from penstock_server.api import names
from penstock_server.api.specs import check_spec
from penstock_server.engine.artifact_roots import Stores, checked_root
from penstock_server.engine.run_requests import InlineSpec, VersionSource
from penstock_server.engine.specs import Specs
from penstock_server.model.errors import FieldViolation, InvalidArgument, Unimplemented
from penstock_server.model.json import Json
from penstock_server.model.resources import CachePolicy
from penstock_server.rpc.json_values import from_value
from penstock_server.store import experiments

NUMBER_DIGITS_MAX = 10


class RunFields(TypedDict):
    """All that is asked of a run but for its source, under the names of `NewRunRequest` and `JobRun`."""

    experiment_id: str
    display_name: str
    description: str
    labels: Mapping[str, str]
    parameters: Mapping[str, Json]
    cache_policy: CachePolicy | None
    cache_max_age_s: float | None
    deadline_s: float | None
    priority: int
    max_parallel_tasks: int | None
    task_timeout_s: float | None
    queue_timeout_s: float | None
    artifact_root: str


@dataclass(frozen=True, slots=True)
class RunReader:
    """Reads Run messages. `field` is the path of the message in the request."""

    specs: Specs
    stores: Stores

    def fields(self, run: run_pb2.Run, namespace: str, field: str) -> RunFields:
        """What is asked beside the source. Raises InvalidArgument."""
        return RunFields(
            experiment_id=_experiment(run.experiment, namespace, f"{field}.experiment"),
            display_name=run.display_name,
            description=run.description,
            labels=dict(run.labels),
            parameters={name: from_value(each, f"{field}.parameters.{name}") for name, each in run.parameters.items()},
            cache_policy=cache_policy(run.cache_policy),
            cache_max_age_s=seconds(run, "cache_max_age"),
            deadline_s=seconds(run, "deadline"),
            priority=run.priority,
            max_parallel_tasks=run.max_parallel_tasks or None,
            task_timeout_s=seconds(run, "task_timeout"),
            queue_timeout_s=seconds(run, "queue_timeout"),
            artifact_root=checked_root(run.artifact_root, self.stores, f"{field}.artifact_root"),
        )

    async def source(self, run: run_pb2.Run, namespace: str, field: str) -> tuple[VersionSource | InlineSpec, str]:
        """What the run executes, and a word for ids.

        Raises InvalidArgument, and Unimplemented COMPONENT_SOURCE_UNAVAILABLE for a component version.
        """
        match run.WhichOneof("source"):
            case "inline_spec":
                checked = await check_spec(self.specs, run.inline_spec, f"{field}.inline_spec")
                return InlineSpec(checked.digest, checked.canonical, checked.graph), checked.graph.name
            case "pipeline_version":
                path = f"{field}.pipeline_version"
                where, pipeline, version = names.PIPELINE_VERSION.parse(run.pipeline_version, path)
                check_same(where, namespace, path)
                return version_source(pipeline, version), pipeline
            case "component_version":
                raise Unimplemented(
                    "COMPONENT_SOURCE_UNAVAILABLE",
                    f"runs of component versions are not served here; use {field}.pipeline_version or "
                    f"{field}.inline_spec",
                )
            case _:
                raise wrong(field, "needs pipeline_version or inline_spec")


def version_source(pipeline: str, version: str) -> VersionSource:
    """The version of a pipeline that a name means by a number, an alias or `latest`."""
    if version == "latest":
        return VersionSource(pipeline)
    if version.isdecimal() and len(version) <= NUMBER_DIGITS_MAX:
        return VersionSource(pipeline, number=int(version))
    return VersionSource(pipeline, alias=version)


def cache_policy(policy: run_pb2.Run.CachePolicy.ValueType) -> CachePolicy | None:
    """The policy; None where none is named."""
    if policy == run_pb2.Run.CACHE_POLICY_UNSPECIFIED:
        return None
    return CachePolicy(run_pb2.Run.CachePolicy.Name(policy).removeprefix("CACHE_POLICY_"))


def seconds(message: Message, field: str) -> float | None:
    """The duration in that field; None where it is not set."""
    duration: Duration = getattr(message, field)
    return duration.ToTimedelta().total_seconds() if message.HasField(field) else None


def check_same(where: str, namespace: str, field: str) -> None:
    """Raise InvalidArgument when the resource named in `field` lies in another namespace."""
    if where != namespace:
        raise wrong(field, f"must lie in the same namespace, {names.NAMESPACE.format(namespace)}")


def wrong(field: str, description: str) -> InvalidArgument:
    """INVALID_REQUEST for one field."""
    return InvalidArgument("INVALID_REQUEST", f"{field} {description}", violations=[FieldViolation(field, description)])


def _experiment(name: str, namespace: str, field: str) -> str:
    if not name:
        return experiments.DEFAULT
    where, id = names.EXPERIMENT.parse(name, field)
    check_same(where, namespace, field)
    return id
