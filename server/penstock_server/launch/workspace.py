"""The folder that the steps of a run share, in place of the volume that KFP mounts at `/kfp-workspace`.

Artifacts that an importer brings there lie below `.artifacts`, at the place that the KFP SDK derives from their URI.
"""

import asyncio
import os
import re
import shutil
import uuid
from dataclasses import replace
from pathlib import Path, PurePosixPath

from penstock_server.launch.base import ArtifactTransfer
from penstock_server.model.errors import NotFound
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.constants import WORKSPACE_PATH

IN_WORKSPACE = "_kfp_workspace"
"""Key of an artifact's metadata that says that its content lies in the workspace."""
_PATH = re.compile(rf"{WORKSPACE_PATH}(?![\w.-])")
_SHORT = {"gs": "gcs", "file": ""}


def rewritten(text: str, workspace: str) -> str:
    """`text` with the path that KFP mounts the workspace at replaced by its folder here."""
    return _PATH.sub(lambda _: workspace, text)


def is_inside(artifact: ArtifactValue) -> bool:
    """True for an artifact whose content was brought to the workspace."""
    return artifact.metadata.get(IN_WORKSPACE) is True


def marked(artifact: ArtifactValue) -> ArtifactValue:
    """The artifact as one whose content lies in the workspace."""
    return replace(artifact, metadata={**artifact.metadata, IN_WORKSPACE: True})


def unmarked(artifact: ArtifactValue) -> ArtifactValue:
    """The artifact without that mark, from which the SDK would derive a path that is not on this machine."""
    return replace(artifact, metadata={key: v for key, v in artifact.metadata.items() if key != IN_WORKSPACE})


def as_told(inputs: TaskValues) -> TaskValues:
    """The inputs as the step is told of them: without marks, since each artifact comes with its place."""
    artifacts = {name: tuple(map(unmarked, listed)) for name, listed in inputs.artifacts.items()}
    return replace(inputs, artifacts=artifacts)


def place_of(uri: str, workspace: str) -> Path:
    """Where in the workspace the content of an imported artifact lies."""
    scheme, separator, rest = uri.partition("://")
    mapped = f"{_SHORT.get(scheme, scheme)}/{rest}" if separator else uri
    parts = [part for part in PurePosixPath(mapped.lstrip("/")).parts if part != ".."]
    return Path(workspace, ".artifacts", *parts)


async def bring(uri: str, workspace: str, artifacts: ArtifactTransfer) -> None:
    """Bring the content of `uri`, a file or a folder, to its place in the workspace, whole or not at all.

    What is there already stays. Raises NotFound.
    """
    target = place_of(uri, workspace)
    if target.exists():
        return
    incoming = Path(workspace, ".incoming", uuid.uuid4().hex)
    incoming.parent.mkdir(parents=True, exist_ok=True)
    path = _path_on_machine(uri)
    if artifacts.local_path(uri) is None and path is not None and path.exists():
        await asyncio.to_thread(_copy, path, incoming)
    else:
        await artifacts.fetch(uri, incoming)
    target.parent.mkdir(parents=True, exist_ok=True)
    _put(incoming, target)


def _path_on_machine(uri: str) -> Path | None:
    path = uri.removeprefix("file://")
    return Path(path) if path.startswith("/") else None


def _copy(source: Path, target: Path) -> None:
    try:
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    except OSError as error:
        raise NotFound("ARTIFACT_NOT_FOUND", f"{source} cannot be read: {error.strerror or error}") from error


def _put(incoming: Path, target: Path) -> None:
    try:
        os.rename(incoming, target)
    except OSError:
        # Another importer of the same was faster: a folder is not replaced by a rename.
        if not target.exists():
            raise
        shutil.rmtree(incoming, ignore_errors=True)
