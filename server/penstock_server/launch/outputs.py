"""What an attempt has made: its output parameters, read from its files, and its output artifacts, to be
stored."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from penstock_server.launch.base import ArtifactTransfer, Published, StepRequest
from penstock_server.launch.program import input_paths, step_paths
from penstock_server.launch.scratch import AttemptFolder
from penstock_server.model.json import Json
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.step import OutputError, StepArtifact, read_outputs

BYTES_MAX = 16 * 1024 * 1024
"""Of the executor's output file and of each parameter's file; what is larger belongs into an artifact."""


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
    read = read_outputs(
        request.component,
        paths,
        executor_output=_read_text(paths.output_file),
        parameter_texts={name: _read_text(path) for name, path in paths.output_parameters.items()},
    )
    places = _Places(request, folder, paths.output_artifacts, _known_inputs(request, folder, artifacts))
    to_publish: dict[str, Path] = {}
    placed = {
        name: tuple(places.place(name, artifact, to_publish) for artifact in listed)
        for name, listed in read.artifacts.items()
    }
    return CollectedOutputs(read.parameters, placed, to_publish)


@dataclass(frozen=True, slots=True)
class _Places:
    """Turns the places that the step wrote to into URIs that outlive it."""

    request: StepRequest
    folder: AttemptFolder
    declared: Mapping[str, str]
    """For each output artifact the path that the step was given for it."""
    inputs: Mapping[str, ArtifactValue]
    """Input artifacts by the path the step was given for them: it may hand one on."""

    def place(self, name: str, made: StepArtifact, to_publish: dict[str, Path]) -> ArtifactValue:
        """The artifact as it will be recorded; what it is made of is added to `to_publish`."""
        declared = self.request.component.output_artifacts[name]
        value = ArtifactValue(
            name=made.name or name,
            type=declared.type,
            uri=made.uri,
            metadata=made.metadata,
            schema_version=declared.schema_version,
        )
        if made.uri in self.inputs:
            handed_on = self.inputs[made.uri]
            return replace(value, uri=handed_on.uri, digest=handed_on.digest, size_bytes=handed_on.size_bytes)
        uri = self._lasting_uri(name, made.uri)
        if uri is None:
            return value
        content = Path(self.folder.work, made.custom_path or made.uri or self.declared[name])
        if content.exists():
            to_publish[uri] = content
        return replace(value, uri=uri)

    def _lasting_uri(self, name: str, given: str) -> str | None:
        """Where the content of an artifact at `given` is to be stored; None where it lies elsewhere for
        good."""
        declared = self.declared[name]
        if not given or given == declared:
            return self.request.output_uris[name]
        path = os.path.normpath(given)
        if path.startswith(f"{declared}/"):
            return self.request.output_uris[name] + quote(path.removeprefix(declared))
        outputs, live = f"{self.folder.outputs}/", f"{self.folder.live}/"
        if path.startswith(outputs):
            return f"{self.request.output_root}/{quote(path.removeprefix(outputs))}"
        if path.startswith(live):
            return f"{self.request.output_root}/{quote(path.removeprefix(live))}"
        return None


def _known_inputs(request: StepRequest, folder: AttemptFolder, artifacts: ArtifactTransfer) -> dict[str, ArtifactValue]:
    places, _ = input_paths(request, folder, artifacts)
    return {
        path: artifact
        for name, listed in request.inputs.artifacts.items()
        for path, artifact in zip(places[name], listed, strict=True)
    }


def _read_text(path: str) -> str | None:
    """The text of a file that the step may have written; None without one. Raises OutputError."""
    name = os.path.basename(path)
    try:
        # Without waiting: a step may have left a pipe there.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError("OUTPUT_INVALID", f"{name} cannot be read: {error.strerror}") from error
    try:
        _check_file(fd, name)
        with open(fd, "rb", closefd=False) as file:
            return file.read().decode()
    except UnicodeDecodeError as error:
        raise OutputError("OUTPUT_INVALID", f"{name} is not UTF-8 text: {error}") from error
    finally:
        os.close(fd)


def _check_file(fd: int, name: str) -> None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise OutputError("OUTPUT_INVALID", f"{name} is not a file")
    if status.st_size > BYTES_MAX:
        message = f"{name} has {status.st_size} bytes, more than {BYTES_MAX}: make it an artifact"
        raise OutputError("OUTPUT_INVALID", message)
