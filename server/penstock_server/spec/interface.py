"""What a pipeline takes: its parameters, told and checked."""

from collections.abc import Mapping

from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.json import Json, JsonObject, with_integers
from penstock_server.spec.graph import ParameterInput, ParameterType, PipelineGraph
from penstock_server.spec.values import problem

_ENGINE_MADE = frozenset({ParameterType.TASK_FINAL_STATUS, ParameterType.TASK_CONFIG})


def interface(graph: PipelineGraph) -> tuple[JsonObject, ...]:
    """The root's parameters: name, type, optional, default_value where there is one, description, literals."""
    return tuple(_described(name, declared) for name, declared in graph.root.input_parameters.items())


def check_parameters(graph: PipelineGraph, given: Mapping[str, Json], field: str = "run.parameters") -> None:
    """Raise InvalidArgument for each parameter that is unknown, missing or of the wrong type, as `{field}.{name}`."""

    def violation(reason: str, name: str, description: str) -> FieldViolation:
        return FieldViolation(f"{field}.{name}", description, reason)

    declared = graph.root.input_parameters
    violations = [
        violation("UNKNOWN_PARAMETER", name, f"is not taken by the pipeline, which takes {_names(graph)}")
        for name in given
        if name not in declared
    ]
    for name, parameter in declared.items():
        if parameter.type in _ENGINE_MADE:
            description = "can only be given by the engine: the pipeline can be stored, but not run"
            violations.append(violation("PARAMETER_TYPE_MISMATCH", name, description))
        elif name not in given:
            if parameter.required:
                violations.append(violation("MISSING_PARAMETER", name, "has no default and has to be given"))
        elif wrong := problem(parameter, given[name]):
            violations.append(violation("PARAMETER_TYPE_MISMATCH", name, wrong))
    for name, artifact in graph.root.input_artifacts.items():
        if not artifact.optional:
            description = "is an artifact, which a run cannot be given: the pipeline can be stored, but not run"
            violations.append(violation("MISSING_PARAMETER", name, description))
    if violations:
        first = violations[0]
        message = "; ".join(f"parameter {v.field.rpartition('.')[2]} {v.description}" for v in violations[:5])
        raise InvalidArgument(first.reason, message, violations=violations)


def _described(name: str, declared: ParameterInput) -> JsonObject:
    described: JsonObject = {
        "name": name,
        "type": declared.type.value,
        "optional": declared.optional or declared.has_default,
        "description": declared.description,
        "literals": [with_integers(literal) for literal in declared.literals],
    }
    if declared.has_default:
        described["default_value"] = with_integers(declared.default)
    return described


def _names(graph: PipelineGraph) -> str:
    return ", ".join(sorted(graph.root.input_parameters)) or "none"
