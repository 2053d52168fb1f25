"""What a step is given and what it gives back: ExecutorInput, command, output files.

Placeholders are replaced in one pass from left to right, so that text which comes from users is never read as a
placeholder itself.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock_agent.places import told_artifacts, told_place
from penstock_server.model.json import Json, JsonObject, with_integers
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.graph import Component, Container
from penstock_server.spec.values import as_text, check_holdable, describe, fits, from_text, shown

STRUCTURE_DEPTH_MAX = 50
"""Levels of Concat, IfPresent and their lists in an element of a command."""


class OutputError(Exception):
    """What a step has left as its outputs cannot be used; the task fails with this reason and message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class StepPaths:
    """Places on the machine that a step runs on."""

    input_artifacts: Mapping[str, tuple[str, ...]]
    """For each input the places of its artifacts, in their order."""
    output_parameters: Mapping[str, str]
    output_artifacts: Mapping[str, str]
    output_file: str
    """Where the KFP executor writes its results, in the folder of the outputs."""


@dataclass(frozen=True, slots=True)
class StepArtifact:
    """An output artifact as the step left it."""

    name: str
    uri: str
    """As declared to the step, or as the step has changed it."""
    metadata: JsonObject
    custom_path: str = ""
    """Where the content lies instead, as the step says; empty: at the URI."""


@dataclass(frozen=True, slots=True)
class StepOutputs:
    """All that a step has made."""

    parameters: Mapping[str, Json] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[StepArtifact, ...]] = field(default_factory=dict)


def executor_input(component: Component, inputs: TaskValues, paths: StepPaths) -> JsonObject:
    """The ExecutorInput message as JSON; empty parts are left out, defaults of absent parameters filled in."""
    parameters = {
        name: with_integers(declared.default)
        for name, declared in component.input_parameters.items()
        if declared.has_default and name not in inputs.parameters
    }
    parameters |= {name: with_integers(value) for name, value in inputs.parameters.items()}
    given: JsonObject = _present(
        parameterValues=parameters,
        artifacts={
            name: {"artifacts": [_runtime_artifact(a, p) for a, p in zip(found, places, strict=True)]}
            for name, found in inputs.artifacts.items()
            for places in [paths.input_artifacts.get(name, tuple(a.uri for a in found))]
        },
    )
    made: JsonObject = _present(
        parameters={name: {"outputFile": path} for name, path in paths.output_parameters.items()},
        artifacts={
            name: {"artifacts": [_declared_artifact(component, name, path)]}
            for name, path in paths.output_artifacts.items()
        },
        outputFile=paths.output_file,
    )
    return _present(inputs=given, outputs=made)


def render_argv(
    container: Container,
    inputs: TaskValues,
    paths: StepPaths,
    given: JsonObject,
    facts: Mapping[str, str] | None = None,
) -> list[str]:
    """Command and arguments in one, as `render_command` makes them."""
    command, args = render_command(container, inputs, paths, given, facts)
    return [*command, *args]


def render_command(
    container: Container,
    inputs: TaskValues,
    paths: StepPaths,
    given: JsonObject,
    facts: Mapping[str, str] | None = None,
) -> tuple[list[str], list[str]]:
    """Command and arguments with all placeholders replaced; `given` is the ExecutorInput, `facts` are whole
    placeholders that tell of the run, with their texts."""
    renderer = _Renderer(inputs, paths, given, facts or {})
    return renderer.elements(container.command), renderer.elements(container.args)


def read_outputs(
    component: Component,
    paths: StepPaths,
    *,
    executor_output: str | None,
    parameter_texts: Mapping[str, str | None],
) -> StepOutputs:
    """What a step that ended well has made, from the texts of its files (None: not written).

    Raises OutputError(OUTPUT_MISSING | OUTPUT_INVALID).
    """
    written = _executor_output(executor_output)
    values: Any = written.get("parameterValues", {})
    parameters = {
        name: _output_parameter(component, name, values, parameter_texts.get(name))
        for name in component.output_parameters
    }
    told: Any = written.get("artifacts", {})
    artifacts = {
        name: _output_artifacts(component, name, path, told.get(name)) for name, path in paths.output_artifacts.items()
    }
    return StepOutputs(parameters, artifacts)


def _present(**parts: Json) -> JsonObject:
    return {name: part for name, part in parts.items() if part}


def _runtime_artifact(artifact: ArtifactValue, place: str) -> JsonObject:
    return _present(
        name=artifact.name,
        type={"schemaTitle": artifact.type, "schemaVersion": artifact.schema_version},
        uri=place,
        metadata=with_integers(dict(artifact.metadata)),
    )


def _declared_artifact(component: Component, name: str, path: str) -> JsonObject:
    declared = component.output_artifacts[name]
    return _present(
        name=name,
        type={"schemaTitle": declared.type, "schemaVersion": declared.schema_version},
        uri=path,
        metadata=with_integers(dict(declared.metadata)),
    )


_KEY = r"\[(?:'([^']*)'|\"([^\"]*)\")\]"
_PLACEHOLDER = re.compile(
    r"\{\{\$(?P<escape>\.json_escape\[1\])?\}\}"
    rf"|\{{\{{\$\.(?P<side>inputs|outputs)\.(?P<kind>parameters|artifacts){_KEY}"
    rf"(?P<part>\.uri|\.path|\.output_file|\.metadata(?:{_KEY})?)?\}}\}}"
    r"|(?P<file>\{\{\$\.outputs\.output_file\}\}|\{\{\$\.outputMetadataUri\}\})"
    r"|(?P<fact>\{\{\$\.[a-z_]+\}\})"
)


class _Renderer:
    """Replaces the placeholders of one step."""

    def __init__(self, inputs: TaskValues, paths: StepPaths, given: JsonObject, facts: Mapping[str, str]) -> None:
        self._inputs = inputs
        self._paths = paths
        self._given = given
        self._facts = facts
        told: Any = given.get("inputs", {})
        self._parameters: Mapping[str, Json] = told.get("parameterValues", {})
        self._artifacts: Mapping[str, Any] = told.get("artifacts", {})
        made: Any = given.get("outputs", {})
        self._made: Mapping[str, Any] = made.get("artifacts", {})

    def elements(self, elements: tuple[str, ...]) -> list[str]:
        """What the elements of a command, or of its arguments, become."""
        return [piece for element in elements for piece in self._element(element)]

    def _element(self, element: str) -> list[str]:
        structure = _structure(element)
        return [self._text(element)] if structure is None else self._pieces(structure)

    def _pieces(self, part: Any) -> list[str]:
        if isinstance(part, str):
            return [self._text(part)]
        if isinstance(part, list):
            return [piece for item in part for piece in self._pieces(item)]
        if "Concat" in part:
            return ["".join(piece for item in part["Concat"] for piece in self._pieces(item))]
        condition = part["IfPresent"]
        chosen = condition.get("Then" if self._is_given(condition["InputName"]) else "Else")
        return [] if chosen is None else self._pieces(chosen)

    def _is_given(self, name: str) -> bool:
        """Supplied by the pipeline: a default does not count."""
        return self._inputs.parameters.get(name) is not None or bool(self._inputs.artifacts.get(name))

    def _text(self, text: str) -> str:
        return _PLACEHOLDER.sub(self._replacement, text)

    def _replacement(self, match: "re.Match[str]") -> str:
        if match["file"]:
            return self._paths.output_file
        if match["fact"]:
            return self._facts.get(match["fact"], match[0])
        if match["side"]:
            return self._value(match)
        whole = json.dumps(self._given, ensure_ascii=False)
        return json.dumps(whole, ensure_ascii=False)[1:-1] if match["escape"] else whole

    def _value(self, match: "re.Match[str]") -> str:
        """Text of an input or output; what is not there stays as it is written."""
        keys = match.groups()
        name = next((key for key in keys[3:5] if key is not None), "")
        part = match["part"] or ""
        of: dict[tuple[str, str], Callable[[], str | None]] = {
            ("inputs", "parameters"): lambda: self._input_parameter(name),
            ("outputs", "parameters"): lambda: self._paths.output_parameters.get(name),
            ("inputs", "artifacts"): lambda: _artifact_text(self._artifacts.get(name), match),
            ("outputs", "artifacts"): lambda: _artifact_text(self._made.get(name), match),
        }
        if match["kind"] == "parameters" and part != ("" if match["side"] == "inputs" else ".output_file"):
            return match[0]
        text = of[match["side"], match["kind"]]()
        return match[0] if text is None else text

    def _input_parameter(self, name: str) -> str | None:
        return as_text(self._parameters[name]) if name in self._parameters else None


def _artifact_text(found: Any, match: "re.Match[str]") -> str | None:
    if not found or not found["artifacts"]:
        return None
    part = match["part"]
    if part is None:
        return as_text(found["artifacts"])
    first = found["artifacts"][0]
    if part in (".uri", ".path"):
        return str(first["uri"])
    if not part.startswith(".metadata"):
        return None
    metadata = first.get("metadata", {})
    key = next((k for k in match.groups()[6:8] if k is not None), None)
    if key is None:
        return as_text(metadata)
    return as_text(metadata[key]) if key in metadata else None


def _structure(element: str) -> Any:
    """The Concat or IfPresent that an element holds as JSON; None when it is plain text."""
    if not element.startswith(("{", " ", "\n")) or not ('"IfPresent"' in element or '"Concat"' in element):
        return None
    try:
        parsed = json.loads(element)
    except (ValueError, RecursionError):
        # Text that only looks like a structure, or one that no compiler writes: it stays as it is.
        return None
    return parsed if isinstance(parsed, dict) and _is_structure(parsed, STRUCTURE_DEPTH_MAX) else None


def _is_structure(part: Any, depth: int) -> bool:
    if isinstance(part, str):
        return True
    if depth == 0:
        return False
    if isinstance(part, list):
        return all(_is_structure(item, depth - 1) for item in part)
    if not isinstance(part, dict) or len(part) != 1:
        return False
    if isinstance(part.get("Concat"), list):
        return _is_structure(part["Concat"], depth - 1)
    condition = part.get("IfPresent")
    return (
        isinstance(condition, dict)
        and isinstance(condition.get("InputName"), str)
        and all(_is_structure(condition[key], depth - 1) for key in ("Then", "Else") if condition.get(key) is not None)
    )


def _executor_output(text: str | None) -> JsonObject:
    if text is None or not text.strip():
        return {}
    try:
        # NaN and the infinities, which Python writes, are read as well.
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OutputError("OUTPUT_INVALID", f"the executor's output is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise OutputError("OUTPUT_INVALID", "the executor's output is no JSON object")
    try:
        check_holdable(parsed)
    except ValueError as error:
        raise OutputError("OUTPUT_INVALID", f"the executor's output cannot be kept: {error}") from error
    for name in ("parameterValues", "artifacts"):
        if not isinstance(parsed.get(name, {}), dict):
            raise OutputError("OUTPUT_INVALID", f"{name} in the executor's output is no JSON object")
    return parsed


def _output_parameter(component: Component, name: str, values: Mapping[str, Json], text: str | None) -> Json:
    kind = component.output_parameters[name].type
    if name in values:
        value = with_integers(values[name])
        if not fits(kind, value):
            message = f"output parameter {name} has to be {describe(kind)} and is {shown(value)}"
            raise OutputError("OUTPUT_INVALID", message)
        return value
    if text is None:
        raise OutputError("OUTPUT_MISSING", f"the step has not written its output parameter {name}")
    try:
        return from_text(kind, text)
    except (ValueError, RecursionError) as error:
        message = f"output parameter {name} has to be {describe(kind)} and is {shown(text)}: {error}"
        raise OutputError("OUTPUT_INVALID", message) from error


def _output_artifacts(component: Component, name: str, path: str, told: Any) -> tuple[StepArtifact, ...]:
    declared = component.output_artifacts[name]
    try:
        listed = told_artifacts(told, is_list=declared.is_list)
    except ValueError as error:
        raise OutputError("OUTPUT_INVALID", f"the executor's output for artifact {name}: {error}") from error
    return tuple(_step_artifact(name, path, dict(declared.metadata), item) for item in listed)


def _step_artifact(name: str, path: str, declared: JsonObject, told: Mapping[str, Any]) -> StepArtifact:
    metadata = told.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise OutputError("OUTPUT_INVALID", f"the metadata of artifact {name} is no JSON object")
    merged = with_integers({**declared, **metadata})
    assert isinstance(merged, dict)
    place = told_place(told, path)
    return StepArtifact(str(told.get("name") or name), place.uri, merged, place.custom_path)
