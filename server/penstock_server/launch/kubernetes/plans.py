"""What the agent in a pod is told to do: made of the request alone, the same whenever it is asked for."""

from collections.abc import Iterable

from penstock_agent.plan import PLAN_URI_VARIABLE, PLAN_VARIABLE, Fetch, OutputArtifact, StagePlan
from penstock_server.launch.base import StepRequest
from penstock_server.launch.kubernetes import places
from penstock_server.launch.kubernetes.frame import Frame
from penstock_server.launch.kubernetes.records import Records
from penstock_server.spec.constants import WORKSPACE_PATH
from penstock_server.spec.graph import Importer


def stage_plan(request: StepRequest, records: Records, frame: Frame) -> StagePlan:
    """The plan of an attempt."""
    where = places.places(request)
    paths, component = where.paths, request.component
    brought = tuple(_fetches(request, where.fetches))
    imports = isinstance(component.body, Importer)
    return StagePlan(
        attempt=str(request.attempt),
        report_uri=records.report_uri(request.attempt),
        closed_uri=records.closed_uri(request.attempt),
        output_root=request.output_root,
        shared=places.ROOT,
        outputs=places.OUTPUTS,
        output_file=paths.output_file,
        grace_s=frame.grace_of(request),
        folders=(places.INPUTS, places.OUTPUTS, places.PARAMETERS),
        fetches=() if imports else brought,
        downloads=brought if imports else (),
        inputs=dict(paths.input_artifacts),
        parameters={} if imports else dict(paths.output_parameters),
        artifacts={}
        if imports
        else {
            name: OutputArtifact(path, request.output_uris[name], component.output_artifacts[name].is_list)
            for name, path in paths.output_artifacts.items()
        },
        workspace=WORKSPACE_PATH if request.has_workspace else "",
    )


async def plan_variables(plan: StagePlan, request: StepRequest, records: Records) -> dict[str, str]:
    """The variables that carry the plan; one that is too long for that is stored. Raises Unavailable."""
    text = plan.to_variable()
    if text is not None:
        return {PLAN_VARIABLE: text}
    uri = records.plan_uri(request.attempt)
    await records.store.write(uri, plan.to_json().encode())
    return {PLAN_URI_VARIABLE: uri}


def _fetches(request: StepRequest, brought: Iterable[tuple[str, str]]) -> Iterable[Fetch]:
    digests = {a.uri: a.digest or "" for listed in request.inputs.artifacts.values() for a in listed}
    return (Fetch(uri, path, digests.get(uri, "")) for uri, path in brought)
