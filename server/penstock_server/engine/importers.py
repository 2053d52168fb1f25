"""The way of an importer: without an attempt, unless its artifact is to be brought to the workspace."""

from penstock_server.engine import reasons, steps
from penstock_server.engine.moves import move_task
from penstock_server.engine.state import LiveRun, LiveTask
from penstock_server.engine.values import imported_artifact, importer_key
from penstock_server.model.resources import TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec.graph import Importer
from penstock_server.spec.imports import OUTPUT
from penstock_server.spec.resolve import ResolutionError, TaskInputs
from penstock_server.store.values import identified


def begin(run: LiveRun, task: LiveTask, inputs: TaskInputs) -> None:
    """Bring the artifact in: by an attempt that downloads it, as one that was imported before, or as a new one."""
    try:
        artifact = imported_artifact(run, task, inputs)
    except ResolutionError as error:
        steps.fail(run, task, error.reason, error.message)
        return
    # The artifact stands among the inputs, so that it is known however often the task is loaded.
    given = TaskValues(inputs.values.parameters, {**inputs.values.artifacts, OUTPUT: (artifact,)})
    if _importer(task).download_to_workspace:
        steps.queue(run, task, given)
    elif _importer(task).reimport:
        move_task(run, task, TaskState.SUCCEEDED, reasons.COMPLETED, inputs=given, outputs=_outputs(run, task, given))
    else:
        key = importer_key(run, artifact)
        move_task(run, task, TaskState.QUEUED, reasons.LOOKING_UP, inputs=given, cache_key=key)
        steps.ask(run, task)


def take_new(run: LiveRun, task: LiveTask) -> None:
    """No such artifact was imported before."""
    outputs = _outputs(run, task, task.inputs or TaskValues())
    move_task(run, task, TaskState.SUCCEEDED, reasons.COMPLETED, outputs=outputs)


def _importer(task: LiveTask) -> Importer:
    body = task.component.body
    assert isinstance(body, Importer)
    return body


def _outputs(run: LiveRun, task: LiveTask, inputs: TaskValues) -> TaskValues:
    return identified(TaskValues({}, {OUTPUT: inputs.artifacts[OUTPUT]}), run.uid, task.id)
