"""What a loop runs over, what each iteration is given, and what is gathered from them."""

import json
from collections.abc import Sequence
from typing import TypeAlias

from penstock_server.model.json import Json, with_integers
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.constants import RunConstants, filled, task_texts
from penstock_server.spec.graph import Component, Constant, Iterator, TaskSpec
from penstock_server.spec.resolve import ResolutionError, completed, converted, own_inputs
from penstock_server.spec.values import check_holdable, shown

Items: TypeAlias = Sequence[Json] | Sequence[ArtifactValue]
ITEMS_MAX = 100_000
"""So many iterations a loop may have."""


def loop_items(task: TaskSpec, inputs: TaskValues, constants: RunConstants) -> Items:
    """The items of a loop whose inputs are resolved. Raises ResolutionError(LOOP_ITEMS_INVALID)."""
    loop = _loop(task)
    if loop.over_artifacts:
        assert not isinstance(loop.items, Constant)
        return inputs.artifacts.get(loop.items.name, ())
    if isinstance(loop.items, Constant):
        value = filled(_parsed(task, loop.items.value), inputs.parameters, task_texts(task, constants))
    else:
        value = _parsed(task, inputs.parameters.get(loop.items.name))
    if not isinstance(value, list):
        raise _invalid(task, f"have to be a list and are {shown(value)}")
    if len(value) > ITEMS_MAX:
        raise _invalid(task, f"are {len(value)}; at most {ITEMS_MAX} are allowed")
    return value


def iteration_inputs(
    component: Component, task: TaskSpec, inputs: TaskValues, item: "Json | ArtifactValue"
) -> TaskValues:
    """What one iteration is given: the inputs of the loop that the component declares, and its item.

    Raises ResolutionError(INPUT_TYPE).
    """
    loop = _loop(task)
    own = own_inputs(component, task)
    parameters = {name: value for name, value in inputs.parameters.items() if name in own.parameters}
    artifacts = {name: found for name, found in inputs.artifacts.items() if name in own.artifacts}
    if isinstance(item, ArtifactValue):
        return TaskValues(parameters, {**artifacts, loop.item_input: (item,)})
    declared = component.input_parameters.get(loop.item_input)
    if declared is not None:
        given = {} if item is None else {loop.item_input: converted(task, loop.item_input, declared, item)}
        parameters |= completed(component, {loop.item_input: declared}, given)
    return TaskValues(parameters, artifacts)


def collected(component: Component, iterations: Sequence[TaskValues]) -> TaskValues:
    """Outputs of a loop: for each output of its iterations the list of those that were made, in order.

    So a parameter that comes out of two loops is a list of lists: components in use declare `List[List[int]]` there.
    Artifacts are one list however many loops they come out of.
    """
    parameters: dict[str, Json] = {
        name: [made.parameters[name] for made in iterations if name in made.parameters]
        for name in component.output_parameters
    }
    artifacts = {
        name: tuple(artifact for made in iterations for artifact in made.artifacts.get(name, ()))
        for name in component.output_artifacts
    }
    return TaskValues(parameters, artifacts)


def _loop(task: TaskSpec) -> Iterator:
    assert task.iterator is not None
    return task.iterator


def _parsed(task: TaskSpec, value: Json) -> Json:
    """Lists may come as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        read: Json = json.loads(value)
        check_holdable(read)
    except (ValueError, RecursionError) as error:
        raise _invalid(task, f"have to be a list, or a JSON list as text, and are {shown(value)}: {error}") from error
    return with_integers(read)


def _invalid(task: TaskSpec, problem: str) -> ResolutionError:
    return ResolutionError("LOOP_ITEMS_INVALID", f"the items of {task.key} {problem}")
