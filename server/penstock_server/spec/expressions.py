"""CEL behind limits. The only module that knows the library.

`select` serves `parameterExpressionSelector`: its variables are the fields of `google.protobuf.Value`, with
`string_value` always holding the value's JSON text (a string as it is), and there is one function more, `parseJson`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from penstock_server.model.json import Json, with_integers
from penstock_server.model.resources import TaskValues
from penstock_server.spec.values import as_text, shown

SOURCE_BYTES_MAX = 4096
MACROS_MAX = 4
"""`all`, `exists`, `map` and the like, each of which is a loop: so many in one expression at most."""
_MACROS = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(")
_COMMENTS = re.compile(r"//[^\n]*")
_SHOWN_MAX = 200


class ExpressionError(ValueError):
    """The expression cannot be read, or has no value; the message says why."""


def check(source: str) -> None:
    """Raise ExpressionError for a selector that cannot be read or is beyond the limits."""
    _compiled(source)


def select(source: str, value: Json) -> Json:
    """The value of a selector over `value`. Raises ExpressionError."""
    expression = _compiled(source)
    try:
        result = expression.eval(data=_variables(value))
        if result.type() == cel.Type.ERROR:
            raise ExpressionError(f"{source[:_SHOWN_MAX]}: {str(result.value())[:_SHOWN_MAX]}")
        return with_integers(_plain(result.plain_value()))
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        # The library tells of an exhausted budget, and of text that it cannot hold, by exceptions.
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"{source[:_SHOWN_MAX]}: {str(error)[:_SHOWN_MAX]}") from error


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a condition has come to."""

    value: bool
    shown: str
    """The condition with the values it saw, for people."""


def evaluate(source: str, inputs: TaskValues) -> Evaluated:
    """Whether a condition holds. Raises ExpressionError, which tells the condition and the values it saw."""
    seen = _seen(source, inputs)
    try:
        result = _compiled_condition(source).eval(data=_view(inputs))
        if result.type() == cel.Type.ERROR:
            raise ExpressionError(str(result.value())[:_SHOWN_MAX])
        value = result.plain_value()
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise ExpressionError(f"{source[:_SHOWN_MAX]}{seen}: {str(error)[:_SHOWN_MAX]}") from error
    if not isinstance(value, bool):
        raise ExpressionError(f"{source[:_SHOWN_MAX]}{seen}: a condition has to be true or false")
    return Evaluated(value, source[:_SHOWN_MAX] + seen)


def _seen(source: str, inputs: TaskValues) -> str:
    told = [f"{name} = {shown(value)}" for name, value in inputs.parameters.items() if f"'{name}'" in source]
    return f" with {', '.join(told)}" if told else ""


def _view(inputs: TaskValues) -> dict[str, Any]:
    artifacts = {
        name: {"artifacts": [{"name": a.name, "uri": a.uri, "metadata": _doubles(dict(a.metadata))} for a in found]}
        for name, found in inputs.artifacts.items()
    }
    parameters = {name: _doubles(value) for name, value in inputs.parameters.items()}
    return {"inputs": {"parameter_values": parameters, "artifacts": artifacts}, "outputs": {}}


@lru_cache(maxsize=512)
def _compiled_condition(source: str) -> cel.Expression:
    _check_limits(source)
    parse = cel.Overload("parse_json_string", cel.Type.DYN, [cel.Type.STRING], False, _parse_json)
    functions = [cel.FunctionDecl("parseJson", [parse])]
    environment = cel.NewEnv(variables={"inputs": cel.Type.DYN, "outputs": cel.Type.DYN}, functions=functions)
    try:
        return environment.compile(source)
    except (ValueError, RuntimeError) as error:
        raise ExpressionError(f"{source[:_SHOWN_MAX]}: {str(error).strip()[:_SHOWN_MAX]}") from error


@lru_cache(maxsize=512)
def _compiled(source: str) -> cel.Expression:
    _check_limits(source)
    try:
        return _environment().compile(source)
    except (ValueError, RuntimeError) as error:
        raise ExpressionError(f"{source[:_SHOWN_MAX]}: {str(error).strip()[:_SHOWN_MAX]}") from error


def _check_limits(source: str) -> None:
    if len(source.encode(errors="surrogatepass")) > SOURCE_BYTES_MAX:
        raise ExpressionError(f"an expression may have {SOURCE_BYTES_MAX} bytes at most")
    if len(_MACROS.findall(_COMMENTS.sub("", source))) > MACROS_MAX:
        raise ExpressionError(f"an expression may have {MACROS_MAX} loops at most")


@lru_cache(maxsize=1)
def _environment() -> cel.Env:
    parse = cel.Overload("parse_json_string", cel.Type.DYN, [cel.Type.STRING], False, _parse_json)
    variables = {
        "string_value": cel.Type.STRING,
        "number_value": cel.Type.DYN,
        "bool_value": cel.Type.DYN,
        "list_value": cel.Type.DYN,
        "struct_value": cel.Type.DYN,
    }
    functions = [cel.FunctionDecl("parseJson", [parse])]
    return cel.NewEnv(variables=variables, functions=functions)


def _variables(value: Json) -> dict[str, Any]:
    kinds: list[tuple[str, Any]] = [
        ("bool_value", bool),
        ("number_value", int | float),
        ("list_value", list),
        ("struct_value", dict),
    ]
    fields: dict[str, Any] = {"string_value": as_text(value)}
    for name, kind in kinds:
        if isinstance(value, kind):
            fields[name] = _doubles(value)
            break
    return fields


def _parse_json(text: str) -> Any:
    return _doubles(json.loads(text))


def _doubles(value: Any) -> Any:
    """Numbers as CEL sees those of the IR."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, list):
        return [_doubles(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _doubles(item) for key, item in value.items()}
    return value


def _plain(value: Any) -> Json:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    raise ExpressionError(f"the expression's value is of no JSON kind: {type(value).__name__}")
