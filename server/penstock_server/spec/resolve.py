"""Values for tasks: inputs from where they come from, constants with their placeholders, outputs of DAGs.

The order is that of the contract: resolve, select, check the type. What was not given and is optional is absent.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from penstock_server.model.json import Json, with_integers
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec import expressions
from penstock_server.spec.constants import RunConstants, filled, task_texts
from penstock_server.spec.graph import (
    ArtifactInput,
    Component,
    Constant,
    Container,
    Dag,
    DagInput,
    FinalStatus,
    ParameterBinding,
    ParameterInput,
    ParameterType,
    PipelineGraph,
    TaskOutput,
    TaskSpec,
)
from penstock_server.spec.pod_entries import SETTING_INVALID, SettingError
from penstock_server.spec.pod_reader import pod_settings
from penstock_server.spec.pod_settings import PodSettings
from penstock_server.spec.task_config import task_config
from penstock_server.spec.values import as_text, problem, read_back


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sibling ended, and what it made."""

    state: TaskState
    outputs: TaskValues | None
    """None unless it succeeded."""
    message: str


EndingOf = Callable[[str], Ending | None]
"""How the sibling with that key ended; None when there is none."""


class ResolutionError(Exception):
    """A task's values cannot be made; the task fails with this reason and message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class UpstreamSkipped(ResolutionError):
    """What the task needs was never made, since a task within its producer was skipped; the task is skipped too."""


def root_inputs(graph: PipelineGraph, given: Mapping[str, Json]) -> TaskValues:
    """Inputs of the root: what is given, else the default, else null for what is optional.

    Raises ResolutionError(INPUT_MISSING) for a required artifact, which nobody can give.
    """
    for name, artifact in graph.root.input_artifacts.items():
        if not artifact.optional:
            raise ResolutionError(
                "INPUT_MISSING", f"the pipeline needs the artifact {name}, which a run cannot be given"
            )
    found = {name: with_integers(value) for name, value in given.items()}
    return TaskValues(_all_of(graph.root.input_parameters, found))


@dataclass(frozen=True, slots=True)
class TaskInputs:
    """What a task is given."""

    values: TaskValues
    """Its inputs, as the component declares them; of a loop also the list that it runs over."""
    bound: TaskValues
    """Those, and what the task was bound to beyond them: for its condition, and for texts to be filled in."""


def task_inputs(
    component: Component, task: TaskSpec, dag_inputs: TaskValues, ending_of: EndingOf, constants: RunConstants
) -> TaskInputs:
    """Inputs of a task whose dependencies have ended. A sub-DAG gets a value for each of its parameters, null for an
    optional one without default; a step gets those that were given, and defaults. The input that a loop gives to each
    iteration is left out. Raises ResolutionError, of which UpstreamSkipped."""
    sources = _Sources(task, dag_inputs, ending_of, constants)
    bound = sources.parameters()
    own = own_inputs(component, task)
    found = {
        name: converted(task, name, declared, bound[name]) for name, declared in own.parameters.items() if name in bound
    }
    for name in config_inputs(component, own.parameters):
        if name not in found:
            found[name] = sources.config(component, {**bound, **completed(component, own.parameters, found)})
    for name, parameter in own.parameters.items():
        if parameter.required and name not in found:
            raise sources.missing(f"input {name}", task.parameters.get(name))
    parameters = completed(component, own.parameters, found)
    if (items := looped_parameter(task)) is not None and items in bound:
        parameters.setdefault(items, bound[items])
    artifacts = sources.artifacts()
    for name, artifact in own.artifacts.items():
        if not artifact.optional and name not in artifacts:
            raise sources.missing(f"input artifact {name}", task.artifacts.get(name))
    sources.check_items(parameters, artifacts)
    return TaskInputs(TaskValues(parameters, artifacts), TaskValues({**bound, **parameters}, artifacts))


def step_settings(
    component: Component,
    task: TaskSpec,
    dag_inputs: TaskValues,
    bound: TaskValues,
    ending_of: EndingOf,
    constants: RunConstants,
) -> PodSettings:
    """What a step asks of its pod; `bound` are its inputs and all else that its task is bound to.

    Raises ResolutionError(SETTING_INVALID).
    """
    return _Sources(task, dag_inputs, ending_of, constants).settings(component, bound.parameters)


def dag_outputs(dag: Dag, ending_of: EndingOf) -> TaskValues:
    """Outputs of a DAG all of whose tasks have ended. Of several candidates it is the first that was made; one of
    which none was made is absent."""
    parameters: dict[str, Json] = {}
    artifacts: dict[str, tuple[ArtifactValue, ...]] = {}
    for name, candidates in dag.outputs.parameters.items():
        for candidate in candidates:
            made = _made(ending_of(candidate.producer))
            if candidate.output in made.parameters:
                parameters[name] = made.parameters[candidate.output]
                break
    for name, candidates in dag.outputs.artifacts.items():
        for candidate in candidates:
            made = _made(ending_of(candidate.producer))
            if candidate.output in made.artifacts:
                artifacts[name] = made.artifacts[candidate.output]
                break
    return TaskValues(parameters, artifacts)


@dataclass(frozen=True, slots=True)
class OwnInputs:
    """What a component takes from its task, rather than from a loop around it."""

    parameters: Mapping[str, ParameterInput]
    artifacts: Mapping[str, ArtifactInput]


def own_inputs(component: Component, task: TaskSpec) -> OwnInputs:
    """All that the component declares, but for what each iteration is given."""
    if task.iterator is None:
        return OwnInputs(component.input_parameters, component.input_artifacts)
    item = task.iterator.item_input
    return OwnInputs(
        {name: declared for name, declared in component.input_parameters.items() if name != item},
        {name: declared for name, declared in component.input_artifacts.items() if name != item},
    )


def config_inputs(component: Component, declared: Mapping[str, ParameterInput]) -> list[str]:
    """The parameters of a step that take its own settings."""
    if not isinstance(component.body, Container):
        return []
    return [name for name, parameter in declared.items() if parameter.type is ParameterType.TASK_CONFIG]


def looped_parameter(task: TaskSpec) -> str | None:
    """The input parameter that holds the list which the task runs over, if a parameter does."""
    loop = task.iterator
    return (
        loop.items.name if loop is not None and not loop.over_artifacts and isinstance(loop.items, DagInput) else None
    )


def converted(task: TaskSpec, name: str, declared: ParameterInput, value: Json) -> Json:
    """The value as the component declares it: a STRING takes everything as text. Raises ResolutionError.

    The SDK makes a STRING of an item whose type it does not know. What became a text for that, on its way into a DAG,
    becomes what it was again within it.
    """
    if declared.type is ParameterType.STRING and not isinstance(value, str):
        value = as_text(value)
    elif isinstance(value, str) and name in task.parameters and isinstance(task.parameters[name].source, DagInput):
        value = read_back(declared.type, value)
    if wrong := problem(declared, value):
        raise ResolutionError("INPUT_TYPE", f"input {name} of {task.key} {wrong}")
    return value


def completed(
    component: Component, declared: Mapping[str, ParameterInput], found: Mapping[str, Json]
) -> dict[str, Json]:
    """The values with defaults. Within a DAG every parameter has a value, null at the least; a step is not given an
    optional one that nobody gave, so that it can tell."""
    if isinstance(component.body, Dag):
        return _all_of(declared, found)
    defaults = {
        name: with_integers(parameter.default)
        for name, parameter in declared.items()
        if parameter.has_default and not parameter.optional
    }
    return {**defaults, **found}


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where the inputs of one task come from."""

    task: TaskSpec
    dag_inputs: TaskValues
    ending_of: EndingOf
    constants: RunConstants

    def parameters(self) -> dict[str, Json]:
        """All that the task is bound to and that has a value."""
        found: dict[str, Json] = {}
        for name, binding in self.task.parameters.items():
            value = self._parameter(binding)
            if value is not None:
                found[name] = _selected(self.task, name, binding, value)
        texts = task_texts(self.task, self.constants)
        for name, binding in self.task.parameters.items():
            if isinstance(binding.source, Constant) and name in found:
                found[name] = filled(found[name], found, texts)
        return found

    def artifacts(self) -> dict[str, tuple[ArtifactValue, ...]]:
        """All artifacts that there are."""
        artifacts: dict[str, tuple[ArtifactValue, ...]] = {}
        for name, source in self.task.artifacts.items():
            if isinstance(source, DagInput):
                found = self.dag_inputs.artifacts.get(source.name)
            else:
                found = _made(self.ending_of(source.producer)).artifacts.get(source.output)
            if found is not None:
                artifacts[name] = found
        return artifacts

    def missing(self, what: str, bound: ParameterBinding | DagInput | TaskOutput | None) -> ResolutionError:
        """Why there is no value for what is required."""
        source = bound.source if isinstance(bound, ParameterBinding) else bound
        if isinstance(source, TaskOutput):
            ending = self.ending_of(source.producer)
            if ending is not None and ending.state in (TaskState.SUCCEEDED, TaskState.SKIPPED):
                message = f"{what} comes from {source.producer}, in which the task that makes it was skipped"
                return UpstreamSkipped("UPSTREAM_SKIPPED", message)
        return ResolutionError("INPUT_MISSING", f"{what} of {self.task.key} has no value and is required")

    def check_items(self, parameters: Mapping[str, Json], artifacts: Mapping[str, object]) -> None:
        """Raise ResolutionError, as for inputs, when what a loop runs over comes of a task that has not made it."""
        loop = self.task.iterator
        if loop is None or not isinstance(loop.items, DagInput):
            return
        name = loop.items.name
        given, bound = (artifacts, self.task.artifacts) if loop.over_artifacts else (parameters, self.task.parameters)
        binding = bound.get(name)
        source = binding.source if isinstance(binding, ParameterBinding) else binding
        if isinstance(source, TaskOutput) and given.get(name) is None:
            raise self.missing(f"the list {name}", source)

    def config(self, component: Component, inputs: Mapping[str, Json]) -> Json:
        """What a step is told of its own settings."""
        assert isinstance(component.body, Container)
        with _told_of(self.task):
            return task_config(component, component.body, inputs, self.setting)

    def settings(self, component: Component, inputs: Mapping[str, Json]) -> PodSettings:
        """What the step asks of its pod."""
        assert isinstance(component.body, Container)
        with _told_of(self.task):
            return pod_settings(component, component.body, inputs, self.setting)

    def setting(self, binding: ParameterBinding) -> Json:
        """The value at a place that a setting names."""
        value = self._parameter(binding)
        return None if value is None else _selected(self.task, "of a setting", binding, value)

    def _parameter(self, binding: ParameterBinding) -> Json:
        """The value; None where there is none."""
        match binding.source:
            case Constant(value):
                return with_integers(value)
            case DagInput(source):
                return self.dag_inputs.parameters.get(source)
            case TaskOutput(producer, output):
                return _made(self.ending_of(producer)).parameters.get(output)
            case FinalStatus(producer):
                return self._final_status(producer)

    def _final_status(self, producer: str) -> Json:
        """As KFP's PipelineTaskFinalStatus reads it (contract 3.9)."""
        ending = self.ending_of(producer)
        if ending is None:
            return None
        state, code = _FINAL_STATUSES[ending.state]
        return {
            "state": state,
            "pipelineJobResourceName": self.constants.job_resource_name,
            "pipelineTaskName": producer,
            "error": {"code": code, "message": ending.message} if code else {},
        }


_FINAL_STATUSES = {
    TaskState.SUCCEEDED: ("COMPLETE", 0),
    TaskState.FAILED: ("FAILED", 2),
    TaskState.CANCELLED: ("CANCELLED", 1),
    TaskState.SKIPPED: ("SKIPPED", 0),
}
"""What a step is told of a task's end: KFP's word, and the code of google.rpc.Code."""
_NOTHING = TaskValues()


def _made(ending: Ending | None) -> TaskValues:
    return _NOTHING if ending is None or ending.outputs is None else ending.outputs


@contextmanager
def _told_of(task: TaskSpec) -> Generator[None]:
    """A setting that cannot be used is the task's failure."""
    try:
        yield
    except SettingError as error:
        raise ResolutionError(SETTING_INVALID, f"the settings of {task.key}: {error}") from error


def _selected(task: TaskSpec, name: str, binding: ParameterBinding, value: Json) -> Json:
    if not binding.selector:
        return value
    try:
        return expressions.select(binding.selector, value)
    except expressions.ExpressionError as error:
        message = f"input {name} of {task.key}: {error}; the value was {as_text(value)[:200]}"
        raise ResolutionError("INPUT_SELECTOR", message) from error


def _all_of(declared: Mapping[str, ParameterInput], found: Mapping[str, Json]) -> dict[str, Json]:
    return {
        name: found.get(name, with_integers(parameter.default) if parameter.has_default else None)
        for name, parameter in declared.items()
    }
