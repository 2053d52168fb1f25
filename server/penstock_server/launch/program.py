"""What to run for an attempt: the command with its placeholders resolved to places in the attempt's folder.

Artifacts are handed to the step as plain absolute paths, which the KFP SDK takes for URIs that need no
mapping.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock_server.launch.base import ArtifactTransfer, StepRequest
from penstock_server.launch.platform import field_env, ignored_settings
from penstock_server.launch.scratch import AttemptFolder, file_name
from penstock_server.launch.surroundings import mark, step_environment
from penstock_server.launch.workspace import as_told, is_inside, place_of, rewritten
from penstock_server.model.resources import ArtifactValue
from penstock_server.spec.graph import Container
from penstock_server.spec.packages import Requirements, split_pip_prologue
from penstock_server.spec.step import StepPaths, executor_input, render_argv

OUTPUT_FILE = "output_metadata.json"
"""Name of the file that the KFP executor writes its results to, in the task directory."""


COMMAND_INVALID = "COMMAND_INVALID"
"""Reason of a step whose command no machine could start."""


class ProgramError(Exception):
    """The step has nothing that could be run; the message says why."""

    reason = COMMAND_INVALID


class ProgramNotFoundError(Exception):
    """The program is not on this machine."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and what has to be there before."""

    request: StepRequest
    folder: AttemptFolder
    argv: tuple[str, ...]
    requirements: Requirements | None
    """Python packages that the command asked for; None: it runs as written."""
    fetches: tuple[tuple[str, Path], ...]
    """URIs of input artifacts and the places they are expected at."""
    notices: tuple[tuple[str, str], ...]

    def environment(self, base: Mapping[str, str], python_env: Path | None) -> dict[str, str]:
        """The variables of the step; the component's own go over all but the marker."""
        env = step_environment(base, self.request, self.folder, python_env)
        container = _container(self.request)
        own = dict(container.env) | field_env(self.request, container)
        if self.request.has_workspace:
            own = {name: rewritten(text, self.folder.workspace) for name, text in own.items()}
        env.update(own)
        return mark(env, self.request)

    def resolved(self, env: Mapping[str, str]) -> tuple[str, ...]:
        """The command with the path of its program, so that no shell takes the name for one of its own
        commands.

        Raises ProgramNotFoundError.
        """
        name = self.argv[0]
        if os.sep in name:
            return self.argv
        found = shutil.which(name, path=env.get("PATH", ""))
        if found is None:
            raise ProgramNotFoundError(
                f"the program {name!r} was not found. Steps run as processes of this machine and their image"
                f" is not used: install the program here, on the PATH {env.get('PATH', '')}"
            )
        return (found, *self.argv[1:])


def plan_program(request: StepRequest, folder: AttemptFolder, artifacts: ArtifactTransfer) -> Program:
    """What to run for `request`. Raises ProgramError."""
    container = _container(request)
    inputs, fetches = input_paths(request, folder, artifacts)
    paths = step_paths(request, folder, inputs)
    given = executor_input(request.component, as_told(request.inputs), paths)
    rendered = render_argv(container, request.inputs, paths, given, _facts(request))
    if request.has_workspace:
        rendered = [rewritten(text, folder.workspace) for text in rendered]
    requirements, argv = split_pip_prologue(rendered)
    if not argv or not argv[0]:
        raise ProgramError(
            "the component has neither a command nor arguments. Steps run as processes, so the program that"
            " its image would start is not known: give the component a command"
        )
    return Program(request, folder, tuple(argv), requirements, fetches, _notices(container))


def step_paths(
    request: StepRequest, folder: AttemptFolder, inputs: Mapping[str, tuple[str, ...]] | None = None
) -> StepPaths:
    """Where the step finds its input artifacts and writes its outputs."""
    component = request.component
    return StepPaths(
        input_artifacts=inputs or {},
        output_parameters={name: f"{folder.parameters}/{file_name(name)}" for name in component.output_parameters},
        output_artifacts={name: f"{folder.outputs}/{file_name(name)}" for name in component.output_artifacts},
        output_file=f"{folder.outputs}/{OUTPUT_FILE}",
    )


def input_paths(
    request: StepRequest, folder: AttemptFolder, artifacts: ArtifactTransfer
) -> tuple[dict[str, tuple[str, ...]], tuple[tuple[str, Path], ...]]:
    """What the step is given as URIs of its input artifacts, and what has to be fetched for that.

    A plain path and a URI of a store that is not ours are given as they are: what lies there is the step's
    concern.
    """
    fetches: list[tuple[str, Path]] = []
    scheme = _scheme(request.output_root)

    def place(artifact: ArtifactValue, target: Path) -> str:
        if request.has_workspace and is_inside(artifact):
            return str(place_of(artifact.uri, folder.workspace))
        local = artifacts.local_path(artifact.uri)
        if local is not None:
            return str(local)
        if _scheme(artifact.uri) != scheme:
            return artifact.uri
        fetches.append((artifact.uri, target))
        return str(target)

    paths = {
        name: tuple(
            place(artifact, Path(folder.inputs, f"{file_name(name)}.{index}")) for index, artifact in enumerate(listed)
        )
        for name, listed in request.inputs.artifacts.items()
    }
    return paths, tuple(fetches)


def _facts(request: StepRequest) -> dict[str, str]:
    return request.facts.constants.placeholders(request.task_key, f"{request.facts.run_uid}.{request.task_key}")


def _scheme(uri: str) -> str:
    scheme, separator, _ = uri.partition("://")
    return scheme if separator else ""


def _container(request: StepRequest) -> Container:
    body = request.component.body
    assert isinstance(body, Container), "only steps are launched"
    return body


def _notices(container: Container) -> tuple[tuple[str, str], ...]:
    ignored = ignored_settings(container)
    if not ignored:
        return ()
    message = f"the step runs as a process of this machine, which does not honour {ignored}"
    return (("SETTINGS_IGNORED", message),)
