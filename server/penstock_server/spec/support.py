"""What of the IR this server does not run. It is refused when a version or a run is made, never half run."""

from collections.abc import Collection, Iterator

from penstock_server.model.errors import FieldViolation, Unimplemented
from penstock_server.spec.graph import Component, Container, Dag, PipelineGraph

PATHS_SHOWN = 3
CREATE_CLAIM = "argostub/createpvc"
DELETE_CLAIM = "argostub/deletepvc"
VOLUME_IMAGES = (CREATE_CLAIM, DELETE_CLAIM)
"""Images that are none: the launcher makes or deletes a volume claim, by the inputs of the step."""
_NO_IMAGE = "argostub/"


def check_supported(graph: PipelineGraph, *, volumes: bool = False) -> None:
    """Raise Unimplemented(SPEC_UNSUPPORTED) naming the path of everything that this server does not run.

    `volumes`: its launcher makes and deletes volume claims.
    """
    able = VOLUME_IMAGES if volumes else ()
    wanted = [violation for component in _used(graph) for violation in _unsupported(component, able)]
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


def _unsupported(component: Component, able: Collection[str]) -> Iterator[tuple[str, str]]:
    body = component.body
    if not isinstance(body, Container) or not body.image.startswith(_NO_IMAGE) or _untagged(body.image) in able:
        return
    path = f"deploymentSpec.executors.{body.label}.container.image"
    if _untagged(body.image) in VOLUME_IMAGES:
        yield path, "volumes are not made or deleted by processes; steps have to run as pods for that"
    else:
        yield path, f"{body.image} is none of the images that stand for what is done without one"


def _untagged(image: str) -> str:
    return image.partition(":")[0]


def volume_image(component: Component) -> str:
    """Which of `VOLUME_IMAGES` the step has; empty for any other step."""
    body = component.body
    image = _untagged(body.image) if isinstance(body, Container) else ""
    return image if image in VOLUME_IMAGES else ""
