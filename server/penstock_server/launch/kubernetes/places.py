"""Where things lie in a step's pod: what stage-in brings, what the step is told, where stage-out looks.

The places are the same in all three containers: an `emptyDir` is mounted at `/penstock` in each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.launch.base import StepRequest
from penstock_server.launch.scratch import file_name
from penstock_server.launch.workspace import as_told, is_inside, place_of
from penstock_server.model.json import JsonObject
from penstock_server.model.resources import ArtifactValue
from penstock_server.spec.constants import WORKSPACE_PATH
from penstock_server.spec.graph import Container
from penstock_server.spec.imports import OUTPUT
from penstock_server.spec.step import StepPaths, executor_input, render_command

ROOT = "/penstock"
INPUTS = f"{ROOT}/inputs"
OUTPUTS = f"{ROOT}/outputs"
PARAMETERS = f"{ROOT}/parameters"
OUTPUT_FILE = f"{OUTPUTS}/output_metadata.json"
"""Where the KFP executor writes its results."""


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one attempt."""

    paths: StepPaths
    """As the step is told of them, with what a store of another kind holds by its URI."""
    fetches: tuple[tuple[str, str], ...]
    """URIs of what stage-in brings, and the places it is expected at, in the order of the inputs."""


@dataclass(frozen=True, slots=True)
class Command:
    """What the step's container runs. Without `command` the entrypoint of its image, with `args`."""

    command: tuple[str, ...]
    args: tuple[str, ...]


def places(request: StepRequest) -> Places:
    """Where the inputs and outputs of the attempt lie in its pod."""
    component = request.component
    inputs, fetches = _inputs(request)
    return Places(
        StepPaths(
            input_artifacts=inputs,
            output_parameters={name: f"{PARAMETERS}/{file_name(name)}" for name in component.output_parameters},
            output_artifacts={name: f"{OUTPUTS}/{file_name(name)}" for name in component.output_artifacts},
            output_file=OUTPUT_FILE,
        ),
        fetches,
    )


def told(request: StepRequest, paths: StepPaths) -> JsonObject:
    """The ExecutorInput that the step is given."""
    return executor_input(request.component, as_told(request.inputs), paths)


def command(request: StepRequest, paths: StepPaths) -> Command:
    """Command and arguments of the step, whose component is a Container, with all placeholders resolved."""
    body = request.component.body
    assert isinstance(body, Container)
    constants = request.facts.constants
    facts = constants.placeholders(request.task_key, f"{request.facts.run_uid}.{request.task_key}")
    rendered = render_command(body, request.inputs, paths, told(request, paths), facts)
    return Command(*map(tuple, rendered))


def _inputs(request: StepRequest) -> tuple[Mapping[str, tuple[str, ...]], tuple[tuple[str, str], ...]]:
    fetches: list[tuple[str, str]] = []
    store = _scheme(request.output_root)
    imports = not isinstance(request.component.body, Container)

    def place(artifact: ArtifactValue, target: str) -> str:
        in_workspace = str(place_of(artifact.uri, WORKSPACE_PATH))
        if request.has_workspace and is_inside(artifact):
            return in_workspace
        if _scheme(artifact.uri) != store:
            return artifact.uri
        fetches.append((artifact.uri, target))
        return target

    if imports:
        brought = [(a.uri, str(place_of(a.uri, WORKSPACE_PATH))) for a in request.inputs.artifacts.get(OUTPUT, ())]
        return {}, tuple(brought)
    found = {
        name: tuple(place(artifact, f"{INPUTS}/{file_name(name)}.{index}") for index, artifact in enumerate(listed))
        for name, listed in request.inputs.artifacts.items()
    }
    return found, tuple(fetches)


def _scheme(uri: str) -> str:
    scheme, separator, _ = uri.partition("://")
    return scheme if separator else ""
