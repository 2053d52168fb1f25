"""What of the IR this server does not run. It is refused when a version or a run is made, never half run."""

from collections.abc import Iterator

from penstock_server.model.errors import FieldViolation, Unimplemented
from penstock_server.spec.graph import Component, Container, Dag, PipelineGraph

PATHS_SHOWN = 3


def check_supported(graph: PipelineGraph) -> None:
    """Raise Unimplemented(SPEC_UNSUPPORTED) naming the path of everything that this server does not run."""
    wanted = [violation for component in _used(graph) for violation in _unsupported(component)]
    found = [FieldViolation(path, description, "SPEC_UNSUPPORTED") for path, description in wanted]
    if found:
        told = "; ".join(f"{violation.field}: {violation.description}" for violation in found[:PATHS_SHOWN])
        more = f"; and {len(found) - PATHS_SHOWN} more" if len(found) > PATHS_SHOWN else ""
        message = f"the pipeline uses what this server does not run: {told}{more}"
        raise Unimplemented("SPEC_UNSUPPORTED", message, violations=found)


def _used(graph: PipelineGraph) -> Iterator[Component]:
    """The components that a run would reach, each once; one that nothing uses does no harm."""
    yield graph.root
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
                yield graph.components[task.component]


def _unsupported(component: Component) -> Iterator[tuple[str, str]]:
    body = component.body
    if isinstance(body, Container) and body.image.startswith("argostub/"):
        yield f"deploymentSpec.executors.{body.label}.container.image", "volumes are not made or deleted"
