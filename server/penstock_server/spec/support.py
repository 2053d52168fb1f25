"""What of the IR this server runs. The rest is refused when a version or a run is made, never half run."""

from collections.abc import Iterator

from penstock_server.model.errors import FieldViolation, Unimplemented
from penstock_server.spec.graph import (
    Component,
    Container,
    Dag,
    FinalStatus,
    Importer,
    ParameterType,
    PipelineGraph,
    TaskSpec,
    TriggerStrategy,
)

PATHS_SHOWN = 3


def check_supported(graph: PipelineGraph) -> None:
    """Raise Unimplemented(SPEC_UNSUPPORTED) naming the path of everything that this server does not run."""
    wanted = [*_unsupported_settings(graph)]
    for where, component in _used(graph):
        wanted += _unsupported(where, component)
    found = [FieldViolation(path, description, "SPEC_UNSUPPORTED") for path, description in wanted]
    if found:
        told = "; ".join(f"{violation.field}: {violation.description}" for violation in found[:PATHS_SHOWN])
        more = f"; and {len(found) - PATHS_SHOWN} more" if len(found) > PATHS_SHOWN else ""
        message = f"the pipeline uses what this server does not run: {told}{more}"
        raise Unimplemented("SPEC_UNSUPPORTED", message, violations=found)


def _unsupported_settings(graph: PipelineGraph) -> Iterator[tuple[str, str]]:
    for platform, settings in graph.pipeline_config.items():
        if settings.get("workspace"):
            yield f"platforms.{platform}.pipelineConfig.workspace", "workspaces are not made"


def _used(graph: PipelineGraph) -> Iterator[tuple[str, Component]]:
    """The components that a run would reach, each once; one that nothing uses does no harm."""
    yield "root", graph.root
    seen: set[str] = set()
    pending = [graph.root]
    while pending:
        body = pending.pop().body
        if not isinstance(body, Dag):
            continue
        for task in body.tasks.values():
            if task.component not in seen:
                seen.add(task.component)
                pending.append(graph.components[task.component])
                yield f"components.{task.component}", graph.components[task.component]


def _unsupported(path: str, component: Component) -> Iterator[tuple[str, str]]:
    for name, parameter in component.input_parameters.items():
        if parameter.type is ParameterType.TASK_CONFIG:
            yield f"{path}.inputDefinitions.parameters.{name}", "task configurations are not passed on"
        if parameter.type is ParameterType.TASK_FINAL_STATUS:
            yield f"{path}.inputDefinitions.parameters.{name}", "final statuses are not given"
    body = component.body
    if isinstance(body, Importer):
        yield f"deploymentSpec.executors.{body.label}.importer", "importers are not run"
    elif isinstance(body, Container):
        if body.image.startswith("argostub/"):
            yield f"deploymentSpec.executors.{body.label}.container.image", "volumes are not made or deleted"
    else:
        for name in sorted(body.outputs.one_of):
            yield f"{path}.dag.outputs.{name}", "OneOf outputs are not chosen"
        for key, task in body.tasks.items():
            for place, description in _unsupported_task(task):
                yield f"{path}.dag.tasks.{key}.{place}", description


def _unsupported_task(task: TaskSpec) -> Iterator[tuple[str, str]]:
    if task.condition:
        yield "triggerPolicy.condition", "conditions are not evaluated"
    if task.strategy is TriggerStrategy.ALL_COMPLETED:
        yield "triggerPolicy.strategy", "exit tasks are not run"
    if task.iterator is not None:
        yield (
            ("artifactIterator" if task.iterator.over_artifacts else "parameterIterator"),
            "loops are not run",
        )
    for name, binding in task.parameters.items():
        if isinstance(binding.source, FinalStatus):
            yield f"inputs.parameters.{name}.taskFinalStatus", "final statuses are not given"
