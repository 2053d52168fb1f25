"""Values for tasks: inputs from where they come from, constants with their placeholders, outputs of DAGs.

The order is that of the contract: resolve, select, check the type. What was not given and is optional is absent.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock_server.model.json import Json, with_integers
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec import expressions
from penstock_server.spec.graph import (
    Component,
    Constant,
    Dag,
    DagInput,
    ParameterBinding,
    ParameterInput,
    ParameterType,
    PipelineGraph,
    TaskOutput,
    TaskSpec,
)
from penstock_server.spec.values import as_text, problem

OutputsOf = Callable[[str], TaskValues | None]
"""Outputs of a sibling by its key; None when it has none."""

WORKSPACE_PATH = "/kfp-workspace"
_FILLED = re.compile(r"\{\{\$\.inputs\.parameters\[(?:'([^']*)'|\"([^\"]*)\")\]\}\}|\{\{\$\.workspace_path\}\}")


class ResolutionError(Exception):
    """A task's values cannot be made; the task fails with this reason and message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class RunConstants:
    """What placeholders tell of the run."""

    job_name: str
    """The run's display name."""
    job_resource_name: str
    """Begins with the pipeline's name and a hyphen."""
    job_uuid: str
    create_time_utc: str
    """RFC 3339."""
    schedule_time_utc: str

    def placeholders(self, task_key: str, task_uuid: str) -> dict[str, str]:
        """Each placeholder, as it stands in constants and commands, with its text."""
        return {
            "{{$.pipeline_job_name}}": self.job_name,
            "{{$.pipeline_job_resource_name}}": self.job_resource_name,
            "{{$.pipeline_job_uuid}}": self.job_uuid,
            "{{$.pipeline_task_name}}": task_key,
            "{{$.pipeline_task_uuid}}": task_uuid,
            "{{$.pipeline_job_create_time_utc}}": self.create_time_utc,
            "{{$.pipeline_job_schedule_time_utc}}": self.schedule_time_utc,
            "{{$.workspace_path}}": WORKSPACE_PATH,
        }


def root_inputs(graph: PipelineGraph, given: Mapping[str, Json]) -> TaskValues:
    """Inputs of the root: what is given, else the default, else null for what is optional.

    Raises ResolutionError(INPUT_MISSING) for a required artifact, which nobody can give.
    """
    for name, artifact in graph.root.input_artifacts.items():
        if not artifact.optional:
            raise ResolutionError(
                "INPUT_MISSING", f"the pipeline needs the artifact {name}, which a run cannot be given"
            )
    return TaskValues(_completed(graph.root, {name: with_integers(value) for name, value in given.items()}))


def task_inputs(
    graph: PipelineGraph,
    component: Component,
    task: TaskSpec,
    dag_inputs: TaskValues,
    outputs_of: OutputsOf,
    constants: RunConstants,
) -> TaskValues:
    """Inputs of a task whose dependencies have ended. A sub-DAG gets a value for each of its parameters, null for an
    optional one without default; a step gets those that were given, and defaults. Raises ResolutionError."""
    found: dict[str, Json] = {}
    for name, binding in task.parameters.items():
        value = _Source(task, dag_inputs, outputs_of).parameter(name, binding)
        if value is not None:
            found[name] = _selected(task, name, binding, value)
    texts = constants.placeholders(task.key, f"{constants.job_uuid}.{task.key}")
    for name, binding in task.parameters.items():
        if isinstance(binding.source, Constant) and name in found:
            found[name] = _filled(found[name], found, texts)
    # What the component does not declare was only there to fill constants with.
    found = {
        name: _converted(task, name, declared, found[name])
        for name, declared in component.input_parameters.items()
        if name in found
    }
    _require(task, component, found)
    parameters = _completed(component, found) if isinstance(component.body, Dag) else _with_defaults(component, found)
    return TaskValues(parameters, _artifacts(task, component, dag_inputs, outputs_of))


def dag_outputs(dag: Dag, outputs_of: OutputsOf) -> TaskValues:
    """Outputs of a DAG all of whose tasks have ended; those of tasks that did not run are absent."""
    parameters: dict[str, Json] = {}
    artifacts: dict[str, tuple[ArtifactValue, ...]] = {}
    for name, candidates in dag.outputs.parameters.items():
        for candidate in candidates:
            made = outputs_of(candidate.producer)
            if made is not None and candidate.output in made.parameters:
                parameters[name] = made.parameters[candidate.output]
                break
    for name, candidates in dag.outputs.artifacts.items():
        for candidate in candidates:
            made = outputs_of(candidate.producer)
            if made is not None and candidate.output in made.artifacts:
                artifacts[name] = made.artifacts[candidate.output]
                break
    return TaskValues(parameters, artifacts)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the inputs of one task come from."""

    task: TaskSpec
    dag_inputs: TaskValues
    outputs_of: OutputsOf

    def parameter(self, name: str, binding: ParameterBinding) -> Json:
        """The value; None where there is none."""
        match binding.source:
            case Constant(value):
                return with_integers(value)
            case DagInput(source):
                return self.dag_inputs.parameters.get(source)
            case TaskOutput(producer, output):
                made = self.outputs_of(producer)
                return None if made is None else made.parameters.get(output)
        raise ResolutionError("INPUT_UNSUPPORTED", f"input {name} of {self.task.key} comes from a final status")


def _selected(task: TaskSpec, name: str, binding: ParameterBinding, value: Json) -> Json:
    if not binding.selector:
        return value
    try:
        return expressions.select(binding.selector, value)
    except expressions.ExpressionError as error:
        message = f"input {name} of {task.key}: {error}; the value was {as_text(value)[:200]}"
        raise ResolutionError("INPUT_SELECTOR", message) from error


def _filled(value: Json, inputs: Mapping[str, Json], texts: Mapping[str, str]) -> Json:
    """A constant with its placeholders replaced in one pass: what is put in is not looked at again."""
    if isinstance(value, list):
        return [_filled(item, inputs, texts) for item in value]
    if isinstance(value, dict):
        # The SDK formats keys as well as values.
        return {str(_filled(key, inputs, texts)): _filled(item, inputs, texts) for key, item in value.items()}
    if not isinstance(value, str) or "{{$" not in value:
        return value
    if value in texts:
        return texts[value]

    def text_of(match: "re.Match[str]") -> str:
        name = match.group(1) or match.group(2) or ""
        if match.group(0) == "{{$.workspace_path}}":
            return WORKSPACE_PATH
        return as_text(inputs[name]) if name in inputs else match.group(0)

    return _FILLED.sub(text_of, value)


def _converted(task: TaskSpec, name: str, declared: ParameterInput, value: Json) -> Json:
    if declared.type is ParameterType.STRING and not isinstance(value, str):
        value = as_text(value)
    if wrong := problem(declared, value):
        raise ResolutionError("INPUT_TYPE", f"input {name} of {task.key} {wrong}")
    return value


def _require(task: TaskSpec, component: Component, found: Mapping[str, Json]) -> None:
    for name, declared in component.input_parameters.items():
        if declared.required and name not in found:
            raise ResolutionError("INPUT_MISSING", f"input {name} of {task.key} has no value and is required")


def _with_defaults(component: Component, found: Mapping[str, Json]) -> dict[str, Json]:
    """A step's own: an optional parameter that was not given stays away, so that the step can tell."""
    defaults = {
        name: with_integers(declared.default)
        for name, declared in component.input_parameters.items()
        if declared.has_default and not declared.optional
    }
    return {**defaults, **found}


def _completed(component: Component, found: Mapping[str, Json]) -> dict[str, Json]:
    """A DAG's: every parameter has a value, null at the least."""
    return {
        name: found.get(name, with_integers(declared.default) if declared.has_default else None)
        for name, declared in component.input_parameters.items()
    }


def _artifacts(
    task: TaskSpec, component: Component, dag_inputs: TaskValues, outputs_of: OutputsOf
) -> dict[str, tuple[ArtifactValue, ...]]:
    artifacts: dict[str, tuple[ArtifactValue, ...]] = {}
    for name, source in task.artifacts.items():
        if isinstance(source, DagInput):
            found = dag_inputs.artifacts.get(source.name)
        else:
            made = outputs_of(source.producer)
            found = None if made is None else made.artifacts.get(source.output)
        if found is not None:
            artifacts[name] = found
    for name, declared in component.input_artifacts.items():
        if name not in artifacts and not declared.optional:
            raise ResolutionError("INPUT_MISSING", f"input artifact {name} of {task.key} is missing and is required")
    return artifacts
