"""Taking over single resources of a KFP installation: `client.kfp_imports`. `kfp_walk` takes over all there is."""

from collections.abc import Mapping, Sequence

from google.protobuf.struct_pb2 import Struct

from penstock.effects import Operation
from penstock.faces import Asynchronous, Blocking, Face, operation
from penstock.names import Ref, namespace_name, resource_name
from penstock.resuming import Backoff, invoke_repeatably
from penstock.v1 import kfp_import_service_pb2 as pb
from penstock.values import Json, to_value

KfpResource = Mapping[str, Json]
"""As KFP's REST API tells it."""
_PATIENCE = Backoff(first_s=0.2, longest_s=5.0, patience_s=60.0)
"""Each may be repeated, and there may be many thousands: a server that starts anew does not end that."""


class KfpImportMethods(Face):
    """Resources as KFP's REST API (v2beta1) tells them; each call may be repeated."""

    @operation
    def find(self, ids: Sequence[str]) -> Operation[pb.FindImportedResponse]:
        """What of these is here already: names by KFP's ids, and those of other namespaces; at most 1,000 at a time."""
        request = pb.FindImportedRequest(parent=namespace_name(self._namespace), ids=ids)
        return (yield from invoke_repeatably(request, pb.FindImportedResponse, _PATIENCE))

    @operation
    def experiment(
        self, experiment: KfpResource, *, validate_only: bool = False
    ) -> Operation[pb.ImportExperimentResponse]:
        """An experiment; one of its name that is there is that one."""
        request = pb.ImportExperimentRequest(
            parent=namespace_name(self._namespace), experiment=_struct(experiment), validate_only=validate_only
        )
        return (yield from invoke_repeatably(request, pb.ImportExperimentResponse, _PATIENCE))

    @operation
    def pipeline(self, pipeline: KfpResource, *, validate_only: bool = False) -> Operation[pb.ImportPipelineResponse]:
        """A pipeline without its versions; one of its name that is there is that one."""
        request = pb.ImportPipelineRequest(
            parent=namespace_name(self._namespace), pipeline=_struct(pipeline), validate_only=validate_only
        )
        return (yield from invoke_repeatably(request, pb.ImportPipelineResponse, _PATIENCE))

    @operation
    def pipeline_version(
        self, pipeline: Ref, version: KfpResource, *, validate_only: bool = False
    ) -> Operation[pb.ImportPipelineVersionResponse]:
        """A version of `pipeline`, as its newest. Raises InvalidArgumentError for a spec that is none."""
        request = pb.ImportPipelineVersionRequest(
            parent=resource_name(self._namespace, "pipelines", pipeline),
            pipeline_version=_struct(version),
            validate_only=validate_only,
        )
        return (yield from invoke_repeatably(request, pb.ImportPipelineVersionResponse, _PATIENCE))

    @operation
    def run(
        self,
        run: KfpResource,
        origin: str,
        *,
        experiment: Ref = "",
        pipeline_version: Ref = "",
        pipeline_spec: KfpResource | None = None,
        validate_only: bool = False,
    ) -> Operation[pb.ImportRunResponse]:
        """A run that has ended, as history; `origin` says where it ran.

        `experiment` and `pipeline_version` are whole names of what is here; `pipeline_spec` is what it executed where
        its version is not. Raises FailedPreconditionError for one that is under way.
        """
        request = pb.ImportRunRequest(
            parent=namespace_name(self._namespace),
            run=_struct(run),
            origin=origin,
            experiment=_whole(experiment),
            pipeline_version=_whole(pipeline_version),
            pipeline_spec=None if pipeline_spec is None else _struct(pipeline_spec),
            validate_only=validate_only,
        )
        return (yield from invoke_repeatably(request, pb.ImportRunResponse, _PATIENCE))

    @operation
    def recurring_run(
        self,
        recurring_run: KfpResource,
        *,
        experiment: Ref = "",
        pipeline_version: Ref = "",
        enable: bool = False,
        validate_only: bool = False,
    ) -> Operation[pb.ImportRecurringRunResponse]:
        """A recurring run, as a job that is disabled until `enable` is set, now or in a repeat."""
        request = pb.ImportRecurringRunRequest(
            parent=namespace_name(self._namespace),
            recurring_run=_struct(recurring_run),
            experiment=_whole(experiment),
            pipeline_version=_whole(pipeline_version),
            enable=enable,
            validate_only=validate_only,
        )
        return (yield from invoke_repeatably(request, pb.ImportRecurringRunResponse, _PATIENCE))


class BlockingKfpImports(KfpImportMethods, Blocking):
    """`client.kfp_imports`."""


class AsynchronousKfpImports(KfpImportMethods, Asynchronous):
    """`client.kfp_imports` for asyncio."""


def _struct(resource: KfpResource) -> Struct:
    return to_value(resource).struct_value


def _whole(name: Ref) -> str:
    return name if isinstance(name, str) else name.name
