"""What has to be there before a step can start: input artifacts and Python packages; or all that an importer does."""

from pathlib import Path

from penstock_server.launch import workspace
from penstock_server.launch.base import ArtifactTransfer, StepRequest
from penstock_server.launch.environments import EnvironmentBuildError
from penstock_server.launch.program import Program
from penstock_server.launch.scratch import AttemptFolder
from penstock_server.launch.workplace import Workplace
from penstock_server.model.errors import NotFound, PenstockError
from penstock_server.model.resources import TaskValues
from penstock_server.spec.imports import OUTPUT as IMPORTED


class PreparationError(Exception):
    """The step cannot start."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def prepare(program: Program, place: Workplace) -> None:
    """Bring the inputs of the step and build its environment. Raises PreparationError; repeating it is safe."""
    try:
        for uri, target in program.fetches:
            await _fetch(uri, target, place.artifacts)
        if program.requirements is not None:
            await place.environments.build(program.requirements)
    except EnvironmentBuildError as error:
        message = f"the step's Python packages could not be installed: {error}"
        raise PreparationError("ENVIRONMENT_FAILED", message) from error
    except PenstockError as error:
        message = f"an input artifact could not be fetched: {error.message}"
        raise PreparationError("INPUT_UNAVAILABLE", message) from error


async def bring_imported(request: StepRequest, folder: AttemptFolder, artifacts: ArtifactTransfer) -> TaskValues:
    """Bring the artifact of an importer to the workspace; its outputs. There is no process. Raises PreparationError."""
    (artifact,) = request.inputs.artifacts[IMPORTED]
    try:
        folder.append_log(f"penstock: bringing {artifact.uri} to the workspace")
        await workspace.bring(artifact.uri, folder.workspace, artifacts)
    except (PenstockError, OSError) as error:
        message = f"the artifact could not be brought to the workspace: {error}"
        raise PreparationError("INPUT_UNAVAILABLE", message) from error
    return TaskValues({}, {IMPORTED: (workspace.marked(artifact),)})


async def _fetch(uri: str, target: Path, artifacts: ArtifactTransfer) -> None:
    target.parent.mkdir(exist_ok=True)
    try:
        await artifacts.fetch(uri, target)
    except NotFound:
        # An artifact need not have content: some are metadata only. The step says itself what it misses.
        return
