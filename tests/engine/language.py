"""Parts of pipelines with the whole language, as graph values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from penstock_server.model.json import Json, JsonObject
from penstock_server.spec.graph import (
    Component,
    Constant,
    Dag,
    DagInput,
    DagOutputs,
    FinalStatus,
    Importer,
    Iterator,
    ParameterBinding,
    ParameterInput,
    ParameterOutput,
    ParameterType,
    TaskOutput,
    TaskSpec,
    TriggerStrategy,
)
from tests.engine.world import dag, spec, step

ITEM = "item"


def number(*, optional: bool = False, default: float | None = None) -> ParameterInput:
    """A number that a component takes."""
    return ParameterInput(ParameterType.NUMBER_DOUBLE, optional, default is not None, default, "", ())


def parameter(kind: ParameterType, *, optional: bool = False) -> ParameterInput:
    """A parameter that a component takes."""
    return ParameterInput(kind, optional, False, None, "", ())


def taking(component: Component, **parameters: ParameterInput) -> Component:
    """The component with input parameters."""
    return replace(component, input_parameters=parameters)


def giving(component: Component, kind: ParameterType = ParameterType.NUMBER_DOUBLE, **outputs: str) -> Component:
    """The DAG component with output parameters: name to `task.output`, of several candidates joined by `|`."""
    body = component.body
    assert isinstance(body, Dag)
    leaving = {
        name: tuple(TaskOutput(*candidate.split(".")) for candidate in source.split("|"))
        for name, source in outputs.items()
    }
    declared = {name: ParameterOutput(kind, "") for name in outputs}
    one_of = frozenset(name for name, source in outputs.items() if "|" in source)
    return replace(component, body=replace(body, outputs=DagOutputs(leaving, {}, one_of)), output_parameters=declared)


def given(**sources: str | float | list[Json] | JsonObject) -> dict[str, ParameterBinding]:
    """Bindings: `task.output`, `<name` for an input of the DAG, `?task` for a final status, else a constant."""
    return {name: ParameterBinding(_source(source)) for name, source in sources.items()}


def _source(source: "str | float | list[Json] | JsonObject") -> TaskOutput | DagInput | FinalStatus | Constant:
    if not isinstance(source, str):
        return Constant(source)
    if source.startswith("<"):
        return DagInput(source[1:])
    if source.startswith("?"):
        return FinalStatus(source[1:])
    return TaskOutput(*source.split(".")) if "." in source else Constant(source)


def when(task: TaskSpec, condition: str) -> TaskSpec:
    """The task under a condition."""
    return replace(task, condition=condition)


def at_the_end(task: TaskSpec) -> TaskSpec:
    """The task as an exit task."""
    return replace(task, strategy=TriggerStrategy.ALL_COMPLETED)


def over(task: TaskSpec, items: "Sequence[Json] | str", *, parallelism: int = 0) -> TaskSpec:
    """The task run over a list: a constant one, or that of one of its inputs."""
    source: Constant | DagInput = DagInput(items) if isinstance(items, str) else Constant(list(items))
    return replace(task, iterator=Iterator(source, ITEM, False, parallelism))


def importer(uri: str = "s3://b/k", *, reimport: bool = False, download: bool = False) -> Component:
    """A component that brings an artifact in."""
    body = Importer("exec-importer", Constant(uri), "system.Dataset", "0.0.1", {}, reimport, download)
    return Component("importer", {}, {}, {}, {}, body)


def body(name: str = "body", *tasks: TaskSpec, takes: Iterable[str] = (ITEM,)) -> Component:
    """A DAG to be run over numbers."""
    return taking(dag(name, *(tasks or (spec("work"),))), **{key: number() for key in takes})


def producer(*outputs: str) -> Component:
    """A step that makes numbers."""
    return replace(step(gives=outputs), name="producer")


def states_of(states: Mapping[str, str], *keys: str) -> list[str]:
    """The states of some tasks."""
    return [states[key] for key in keys]
