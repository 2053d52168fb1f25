"""Compiles the interfaces of components: the parameters and artifacts they take and make."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from penstock_server.model.json import JsonObject, with_integers
from penstock_server.spec.graph import (
    ArtifactInput,
    ArtifactOutput,
    ParameterInput,
    ParameterOutput,
    ParameterType,
)
from penstock_server.spec.values import fits, problem
from penstock_server.spec.violations import Violations

T = TypeVar("T")
_LEGACY = {"INT": "NUMBER_INTEGER", "DOUBLE": "NUMBER_DOUBLE", "STRING": "STRING"}


class Interfaces:
    """Reads definitions of inputs and outputs."""

    def __init__(self, violations: Violations) -> None:
        self._violations = violations

    def input_parameters(self, path: str, component: JsonObject) -> dict[str, ParameterInput]:
        """What a component takes as parameters."""
        return self._each(f"{path}.inputDefinitions.parameters", component, self._input_parameter)

    def input_artifacts(self, path: str, component: JsonObject) -> dict[str, ArtifactInput]:
        """What a component takes as artifacts."""
        return self._each(f"{path}.inputDefinitions.artifacts", component, self._input_artifact)

    def output_parameters(self, path: str, component: JsonObject) -> dict[str, ParameterOutput]:
        """What a component makes as parameters."""
        return self._each(f"{path}.outputDefinitions.parameters", component, self._output_parameter)

    def output_artifacts(self, path: str, component: JsonObject) -> dict[str, ArtifactOutput]:
        """What a component makes as artifacts."""
        return self._each(f"{path}.outputDefinitions.artifacts", component, self._output_artifact)

    def _each(
        self, path: str, component: JsonObject, read: "Callable[[str, Mapping[str, Any]], T | None]"
    ) -> dict[str, T]:
        _, definitions, kind = path.rsplit(".", 2)
        section: Any = component.get(definitions, {})
        found = {name: read(f"{path}.{name}", declared) for name, declared in section.get(kind, {}).items()}
        return {name: value for name, value in found.items() if value is not None}

    def _type(self, path: str, declared: Mapping[str, Any]) -> ParameterType | None:
        name = str(declared.get("parameterType") or _LEGACY.get(str(declared.get("type", ""))))
        if name not in ParameterType.__members__:
            self._violations.add(path, "parameterType is missing; name one, such as STRING")
            return None
        return ParameterType(name)

    def _input_parameter(self, path: str, declared: Mapping[str, Any]) -> ParameterInput | None:
        kind = self._type(path, declared)
        if kind is None:
            return None
        default = with_integers(declared.get("defaultValue"))
        parameter = ParameterInput(
            type=kind,
            optional=bool(declared.get("isOptional", False)),
            has_default=default is not None,
            default=default,
            description=str(declared.get("description", "")),
            literals=tuple(with_integers(literal) for literal in declared.get("literals", [])),
        )
        for literal in parameter.literals:
            if not fits(kind, literal):
                self._violations.add(f"{path}.literals", f"holds a value that is no {kind}")
        if parameter.has_default and (wrong := problem(parameter, default)):
            self._violations.add(f"{path}.defaultValue", wrong)
        return parameter

    def _input_artifact(self, path: str, declared: Mapping[str, Any]) -> ArtifactInput:
        title, version = artifact_type(declared.get("artifactType"))
        return ArtifactInput(
            type=title,
            schema_version=version,
            is_list=bool(declared.get("isArtifactList", False)),
            optional=bool(declared.get("isOptional", False)),
            description=str(declared.get("description", "")),
        )

    def _output_parameter(self, path: str, declared: Mapping[str, Any]) -> ParameterOutput | None:
        kind = self._type(path, declared)
        return None if kind is None else ParameterOutput(kind, str(declared.get("description", "")))

    def _output_artifact(self, path: str, declared: Mapping[str, Any]) -> ArtifactOutput:
        title, version = artifact_type(declared.get("artifactType"))
        metadata = with_integers(dict(declared.get("metadata", {})))
        assert isinstance(metadata, dict)
        return ArtifactOutput(
            type=title,
            schema_version=version,
            is_list=bool(declared.get("isArtifactList", False)),
            metadata=metadata,
            description=str(declared.get("description", "")),
        )


def artifact_type(schema: Any) -> tuple[str, str]:
    """Title and version of an artifact type; what has no title is a plain artifact."""
    given: Mapping[str, Any] = schema or {}
    title = given.get("schemaTitle") or given.get("schemaUri") or "system.Artifact"
    return str(title), str(given.get("schemaVersion") or "0.0.1")
