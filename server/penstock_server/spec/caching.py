"""The key under which a step's results are looked for and offered."""

import hashlib
import json
from collections.abc import Callable

from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.graph import Component, Container, TaskSpec


def cache_key(component: Component, task: TaskSpec, inputs: TaskValues, pipeline: str, namespace: str) -> str:
    """`sha256:` and 64 hex digits over what decides a step's results, within the pipeline and the namespace.

    That is the component - interface, image, command, environment - and the values of its inputs. Neither the names of
    task and run nor the resources count. A key of the user's own replaces all of that.
    """
    subject: object = [component.name, task.cache_key] if task.cache_key else _subject(component, inputs, _identity)
    return _digest([namespace, pipeline, subject])


def result_key(component: Component, inputs: TaskValues, place: str) -> str:
    """The same for one run that repeats another: the step at `place` in the pipeline, whatever its name and namespace.

    The place counts since a step that does the same elsewhere may have ended otherwise, or be there for what it does
    besides. Iterations of a loop are one place.
    """
    return _digest(["result", place, _subject(component, inputs, _content)])


def importer_key(artifact: ArtifactValue, pipeline: str, namespace: str) -> str:
    """The same over an artifact that is imported: its URI, type and metadata."""
    subject = [artifact.uri, artifact.type, artifact.schema_version, dict(artifact.metadata)]
    return _digest([namespace, pipeline, "import", subject])


def _subject(component: Component, inputs: TaskValues, identity: Callable[[ArtifactValue], object]) -> object:
    body = component.body
    assert isinstance(body, Container)
    return {
        "parameters": dict(inputs.parameters),
        "artifacts": {name: [identity(a) for a in found] for name, found in inputs.artifacts.items()},
        "component": {
            "image": body.image,
            "command": [*body.command, *body.args],
            "env": body.env,
            "input_parameters": {n: p.type for n, p in component.input_parameters.items()},
            "defaults": {n: p.default for n, p in component.input_parameters.items() if p.has_default},
            "output_parameters": {n: p.type for n, p in component.output_parameters.items()},
            "output_artifacts": {n: [a.type, a.metadata] for n, a in component.output_artifacts.items()},
        },
    }


def _digest(subject: object) -> str:
    text = json.dumps(subject, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _identity(artifact: ArtifactValue) -> object:
    """What makes two artifacts the same: being the same one, or else the same content."""
    return [artifact.type, str(artifact.uid) if artifact.uid is not None else artifact.digest or artifact.uri]


def _content(artifact: ArtifactValue) -> object:
    """The same, but the content first: another run has made it again."""
    same = artifact.digest or (str(artifact.uid) if artifact.uid is not None else artifact.uri)
    return [artifact.type, same, dict(artifact.metadata)]
