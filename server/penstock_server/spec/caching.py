"""The key under which a step's results are looked for and offered."""

import hashlib
import json

from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.graph import Component, Container, TaskSpec


def cache_key(component: Component, task: TaskSpec, inputs: TaskValues, pipeline: str, namespace: str) -> str:
    """`sha256:` and 64 hex digits over what decides a step's results, within the pipeline and the namespace.

    That is the component - interface, image, command, environment - and the values of its inputs. Neither the names of
    task and run nor the resources count. A key of the user's own replaces all of that.
    """
    body = component.body
    assert isinstance(body, Container)
    if task.cache_key:
        subject: object = [component.name, task.cache_key]
    else:
        subject = {
            "parameters": dict(inputs.parameters),
            "artifacts": {name: [_identity(a) for a in found] for name, found in inputs.artifacts.items()},
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
    text = json.dumps([namespace, pipeline, subject], sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _identity(artifact: ArtifactValue) -> list[str]:
    """What makes two artifacts the same: being the same one, or else the same content."""
    return [artifact.type, str(artifact.uid) if artifact.uid is not None else artifact.digest or artifact.uri]
