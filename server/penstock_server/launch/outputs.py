"""What an attempt has made: its output parameters, read from its files, and its output artifacts, to be
stored."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from penstock_agent.content import ContentError
from penstock_agent.places import Places, ToldArtifact
from penstock_agent.plan import OutputArtifact, StagePlan
from penstock_agent.report import StepReport
from penstock_agent.texts import read_text
from penstock_server.launch.base import ArtifactTransfer, Published, StepRequest
from penstock_server.launch.program import input_paths, step_paths
from penstock_server.launch.scratch import AttemptFolder
from penstock_server.model.json import Json
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.step import OutputError, StepArtifact, StepOutputs, StepPaths, read_outputs


@dataclass(frozen=True, slots=True)
class CollectedOutputs:
    """Outputs whose artifacts may still have to be stored."""

    parameters: Mapping[str, Json]
    artifacts: Mapping[str, tuple[ArtifactValue, ...]]
    """With the URIs they will have."""
    to_publish: Mapping[str, Path]
    """What is to be stored, under the URI to store it at."""

    def values(self, published: Mapping[str, Published]) -> TaskValues:
        """All outputs, with what is known of the stored ones."""

        def complete(artifact: ArtifactValue) -> ArtifactValue:
            stored = published.get(artifact.uri)
            if stored is None:
                return artifact
            return replace(artifact, digest=stored.digest, size_bytes=stored.size_bytes)

        artifacts = {name: tuple(map(complete, listed)) for name, listed in self.artifacts.items()}
        return TaskValues(self.parameters, artifacts)


def collect(request: StepRequest, folder: AttemptFolder, artifacts: ArtifactTransfer) -> CollectedOutputs:
    """What the attempt has made. Raises OutputError."""
    paths = step_paths(request, folder)
    inputs, _ = input_paths(request, folder, artifacts)
    read = read_outputs(
        request.component,
        paths,
        executor_output=_read_text(paths.output_file),
        parameter_texts={name: _read_text(path) for name, path in paths.output_parameters.items()},
    )
    places = Places(
        declared={
            name: OutputArtifact(path, request.output_uris[name]) for name, path in paths.output_artifacts.items()
        },
        output_root=request.output_root,
        outputs=folder.outputs,
        live=folder.live,
        work=folder.work,
    )
    outputs = _placed(request, read, places, inputs)
    present = {uri: path for uri, path in outputs.to_publish.items() if path.exists()}
    return replace(outputs, to_publish=present)


def outputs_of_report(request: StepRequest, plan: StagePlan, report: StepReport) -> TaskValues:
    """What a step has made in a pod. Raises OutputError.

    `plan` is that of the attempt, made anew or remembered.
    """
    if report.faults:
        raise OutputError("OUTPUT_INVALID", "; ".join(report.faults))
    paths = StepPaths(
        input_artifacts=plan.inputs,
        output_parameters=plan.parameters,
        output_artifacts={name: artifact.path for name, artifact in plan.artifacts.items()},
        output_file=plan.output_file,
    )
    read = read_outputs(
        request.component, paths, executor_output=report.executor_output, parameter_texts=report.parameters
    )
    outputs = _placed(request, read, Places.of(plan), plan.inputs)
    stored = {uri: Published(content.digest, content.size_bytes) for uri, content in report.stored.items()}
    return outputs.values(stored)


def _placed(
    request: StepRequest, read: StepOutputs, places: Places, inputs: Mapping[str, tuple[str, ...]]
) -> CollectedOutputs:
    """The outputs with artifacts at places that outlive the step; `inputs` are the places of its input artifacts."""
    handed_in = {
        path: artifact
        for name, listed in request.inputs.artifacts.items()
        for path, artifact in zip(inputs[name], listed, strict=True)
    }
    to_publish: dict[str, Path] = {}

    def placed(name: str, made: StepArtifact) -> ArtifactValue:
        declared = request.component.output_artifacts[name]
        value = ArtifactValue(
            name=made.name or name,
            type=declared.type,
            uri=made.uri,
            metadata=made.metadata,
            schema_version=declared.schema_version,
        )
        if (input_artifact := handed_in.get(made.uri)) is not None:
            uri, digest, size_bytes = input_artifact.uri, input_artifact.digest, input_artifact.size_bytes
            return replace(value, uri=uri, digest=digest, size_bytes=size_bytes)
        place = places.place(name, ToldArtifact(made.uri, made.custom_path))
        if place.content:
            to_publish[place.uri] = Path(place.content)
        return replace(value, uri=place.uri)

    artifacts = {name: tuple(placed(name, artifact) for artifact in listed) for name, listed in read.artifacts.items()}
    return CollectedOutputs(read.parameters, artifacts, to_publish)


def _read_text(path: str) -> str | None:
    """The text of a file that the step may have written; None without one. Raises OutputError."""
    try:
        return read_text(path)
    except (ContentError, OSError) as error:
        raise OutputError("OUTPUT_INVALID", f"{os.path.basename(path)} cannot be read: {error}") from error
