"""The key under which a step's results are looked for and offered."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from penstock_server.model.json import Json
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.graph import Component, Container, TaskSpec

SHOWN_MAX = 60
"""So much is shown of a value that differs."""


def cache_key(
    component: Component,
    task: TaskSpec,
    inputs: TaskValues,
    pipeline: str,
    namespace: str,
    claims: Sequence[str] = (),
) -> str:
    """`sha256:` and 64 hex digits over what decides a step's results, within the pipeline and the namespace.

    That is the component - interface, image, command, environment -, the values of its inputs, and which volume
    `claims` it mounts. Neither the names of
    task and run nor the resources count. A key of the user's own replaces all of that.
    """
    own = [component.name, task.cache_key] if task.cache_key else None
    return _digest([namespace, pipeline, own or _subject(component, inputs, _identity, claims)])


def result_key(component: Component, inputs: TaskValues, place: str, claims: Sequence[str] = ()) -> str:
    """The same for one run that repeats another: the step at `place` in the pipeline, whatever its name and namespace.

    The place counts since a step that does the same elsewhere may have ended otherwise, or be there for what it does
    besides. Iterations of a loop are one place.
    """
    return _digest(["result", place, _subject(component, inputs, _content, claims)])


def step_key(task_id: str, pipeline: str, namespace: str) -> str:
    """The same over which step it is of which pipeline, whatever it does and is given."""
    return _digest([namespace, pipeline, "step", task_id])


def differences(
    component: Component,
    place: str,
    inputs: TaskValues,
    earlier: TaskValues,
    earlier_result_key: str | None,
    claims: Sequence[str] = (),
) -> list[str]:
    """What differs between a step and an earlier one of the same place, in words, the component first.

    `earlier` and `earlier_result_key` are the other one's. The key tells whether the component has changed: with the
    same one it would be that of this component with those inputs.
    """
    changed = earlier_result_key is not None and earlier_result_key != result_key(component, earlier, place, claims)
    found = ["the component has changed (image, command, environment, claims or interface)"] if changed else []
    for name in sorted(inputs.parameters.keys() | earlier.parameters.keys()):
        now, before = (_shown(values.parameters, name) for values in (inputs, earlier))
        if now != before:
            found.append(f"parameter {name} is {_cut(now)} and was {_cut(before)}")
    for name in sorted(inputs.artifacts.keys() | earlier.artifacts.keys()):
        now_made, before_made = ([_identity(a) for a in v.artifacts.get(name, ())] for v in (inputs, earlier))
        if now_made != before_made:
            found.append(f"artifact {name} is another one")
    return found


def _shown(parameters: Mapping[str, Json], name: str) -> str:
    return json.dumps(parameters[name], sort_keys=True, ensure_ascii=False) if name in parameters else "not given"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}... ({len(text):,} characters)"


def importer_key(artifact: ArtifactValue, pipeline: str, namespace: str) -> str:
    """The same over an artifact that is imported: its URI, type and metadata."""
    subject = [artifact.uri, artifact.type, artifact.schema_version, dict(artifact.metadata)]
    return _digest([namespace, pipeline, "import", subject])


def _subject(
    component: Component, inputs: TaskValues, identity: Callable[[ArtifactValue], object], claims: Sequence[str]
) -> object:
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
        **({"claims": list(claims)} if claims else {}),
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
