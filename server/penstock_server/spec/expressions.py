"""CEL behind limits: the only module that knows the library.

`evaluate` serves conditions: its variables are `inputs` and `outputs`, as KFP's ExecutorInput has them. `select` serves
`parameterExpressionSelector`: its variables are the fields of `google.protobuf.Value`, with `string_value` always
holding the value's JSON text (a string as it is). Both have one function more, `parseJson`.

Types are not checked beforehand: the checker refuses to compare doubles with integers, which KFP allows, and takes
nothing of an unknown type for a list. Names are checked here instead.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from penstock_server.model.json import Json, JsonObject, with_integers
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.expression_cost import check_cost
from penstock_server.spec.expression_tree import Node, NodeKind, all_nodes, read_tree
from penstock_server.spec.values import as_text, check_holdable, shown

SOURCE_BYTES_MAX = 4096
LOOPS_MAX = 4
"""`all`, `exists`, `map` and the like, each of which is a loop: so many in one expression at most."""
EXPLAINED_MAX = 500
"""Characters of an expression with its values, as people are told."""
_SOURCE_SHOWN_MAX = 300
_SELECTOR_VARIABLES = ("string_value", "number_value", "bool_value", "list_value", "struct_value")
_CONDITION_VARIABLES = ("inputs", "outputs")
_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})
_OPERATORS = "_&&_ _||_ !_ -_ _?_:_ _[_] _+_ _-_ _*_ _/_ _%_ _==_ _!=_ _<_ _<=_ _>_ _>=_ @in @not_strictly_false"
_FUNCTIONS = (
    "bool bytes contains double duration dyn endsWith getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear"
    " getHours getMilliseconds getMinutes getMonth getSeconds int matches parseJson size startsWith string timestamp"
    " type uint"
)
_KNOWN_CALLS = frozenset(f"{_OPERATORS} {_FUNCTIONS}".split())
_STATUS = re.compile(r"\A[A-Z_]+: (ERROR: )?(<input>:\d+:\d+: )?|\s*\[[A-Z_]+\]\Z")


class ExpressionError(ValueError):
    """The expression cannot be read, or has no value; the message tells it and says why."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a condition has come to."""

    value: bool
    shown: str
    """The condition with the values it saw, for people; `EXPLAINED_MAX` characters at most."""


def check(source: str) -> None:
    """Raise ExpressionError for a selector that cannot be read or is beyond the limits."""
    _compiled(source, _SELECTOR_VARIABLES)


def check_condition(source: str) -> None:
    """Raise ExpressionError for a condition that cannot be read or is beyond the limits."""
    _compiled(source, _CONDITION_VARIABLES)


def select(source: str, value: Json) -> Json:
    """The value of a selector over `value`. Raises ExpressionError."""
    expression = _compiled(source, _SELECTOR_VARIABLES)
    try:
        selected = with_integers(_plain(expression.value(_value_view(value))))
        check_holdable(selected)
    except ValueError as error:
        raise ExpressionError(f"{_cut(source, _SOURCE_SHOWN_MAX)}: {_reason(error)}") from error
    return selected


def evaluate(source: str, inputs: TaskValues) -> Evaluated:
    """Whether a condition holds. Raises ExpressionError, which tells the condition and the values it saw."""
    expression = _compiled(source, _CONDITION_VARIABLES)
    told = _explained(source, expression.mentioned, inputs)
    try:
        value = expression.value(_view(inputs, expression.mentioned))
        if not isinstance(value, bool):
            raise ValueError(f"a condition has to be true or false and this is {_cut(repr(value), 80)}")
    except ValueError as error:
        raise ExpressionError(f"{told}: {_reason(error)}") from error
    return Evaluated(value, told)


@dataclass(frozen=True, slots=True)
class _Expression:
    """A compiled expression."""

    program: cel.Expression
    tree: Node
    mentioned: frozenset[str] | None
    """The constant keys in it, of which names of inputs are some; None: it may ask for any."""

    def value(self, variables: Mapping[str, Any]) -> Any:
        """Its value over the variables, as Python has it. Raises ValueError."""
        check_cost(self.tree, variables)
        try:
            result = self.program.eval(data=variables)
            if result.type() == cel.Type.ERROR:
                raise ValueError(str(result.value()))
            return result.plain_value()
        except (RuntimeError, TypeError, OverflowError) as error:
            # The library tells of an exhausted budget, and of text that it cannot hold, by exceptions.
            raise ValueError(str(error)) from error


@lru_cache(maxsize=1024)
def _compiled(source: str, variables: tuple[str, ...]) -> _Expression:
    told = _cut(source, _SOURCE_SHOWN_MAX)
    if len(source.encode(errors="surrogatepass")) > SOURCE_BYTES_MAX:
        raise ExpressionError(f"an expression may have {SOURCE_BYTES_MAX} bytes at most: {told}")
    try:
        program = _environment(variables).compile(source, disable_check=True)
        tree = read_tree(program.serialize())
    except (ValueError, RuntimeError, TypeError) as error:
        # Text that is no Unicode is told by a TypeError.
        raise ExpressionError(f"{told}: {_reason(error)}") from error
    loops = sum(node.kind is NodeKind.LOOP for node in all_nodes(tree))
    if loops > LOOPS_MAX:
        raise ExpressionError(f"an expression may have {LOOPS_MAX} loops at most: {told}")
    unknown = next(_unknown_names(tree, frozenset(variables) | _TYPES), "")
    if unknown:
        known = f"variables are {', '.join(variables)}; functions those of CEL's standard, and parseJson"
        raise ExpressionError(f"{told}: {unknown} is unknown; {known}")
    return _Expression(program, tree, _mentioned(tree))


@lru_cache(maxsize=2)
def _environment(variables: tuple[str, ...]) -> cel.Env:
    parse = cel.Overload("parse_json_string", cel.Type.DYN, [cel.Type.STRING], False, _parse_json)
    functions = [cel.FunctionDecl("parseJson", [parse])]
    return cel.NewEnv(variables=dict.fromkeys(variables, cel.Type.DYN), functions=functions)


def _parse_json(text: str) -> Any:
    return _doubles(json.loads(text))


def _unknown_names(node: Node, known: frozenset[str]) -> Iterator[str]:
    if node.kind is NodeKind.NAME and node.name.removeprefix(".") not in known:
        yield node.name
    if node.kind is NodeKind.MAP and node.name:
        yield f"the message {node.name}"
    if node.kind is NodeKind.CALL and node.name not in _KNOWN_CALLS:
        yield f"{node.name}()"
    if node.kind is NodeKind.LOOP:
        known = known | {node.name, node.accumulator}
    for part in node.parts:
        yield from _unknown_names(part, known)


def _mentioned(tree: Node) -> frozenset[str] | None:
    """The names of the inputs that the expression uses; None when it takes them as a whole, or by computed names."""
    names: set[str] = set()
    pending = [tree]
    while pending:
        node = pending.pop()
        path = _path(node)
        if path is None:
            pending += node.parts
        elif len(path) < 2:
            return None
        else:
            names.add(str(path[1]))
    return frozenset(names)


def _path(node: Node) -> tuple[Any, ...] | None:
    """The constant keys that lead from `inputs` to what the node stands for; None for all else."""
    if node.kind is NodeKind.NAME:
        return () if node.name == "inputs" else None
    if node.kind in (NodeKind.SELECT, NodeKind.HAS):
        key: Any = node.name
    elif node.kind is NodeKind.CALL and node.name == "_[_]" and node.parts[1].kind is NodeKind.CONSTANT:
        key = node.parts[1].value
    else:
        return None
    above = _path(node.parts[0])
    return None if above is None else (*above, key)


def _explained(source: str, mentioned: frozenset[str] | None, inputs: TaskValues) -> str:
    """The expression, and the values of the inputs that it uses."""
    told = [f"{name} = {shown(value)}" for name, value in inputs.parameters.items() if _uses(mentioned, name)]
    told += [
        f"{name} = {shown([artifact.uri for artifact in found])}"
        for name, found in inputs.artifacts.items()
        if _uses(mentioned, name)
    ]
    source = _cut(source, _SOURCE_SHOWN_MAX)
    return _cut(f"{source} with {', '.join(told)}", EXPLAINED_MAX) if told else source


def _uses(mentioned: frozenset[str] | None, name: str) -> bool:
    return mentioned is None or name in mentioned


def _view(inputs: TaskValues, mentioned: frozenset[str] | None) -> dict[str, Any]:
    """The ExecutorInput as conditions see it; of the inputs those that may be asked for."""
    parameters = {name: value for name, value in inputs.parameters.items() if _uses(mentioned, name)}
    artifacts = {name: found for name, found in inputs.artifacts.items() if _uses(mentioned, name)}
    return {
        "inputs": {
            "parameter_values": _doubles(parameters),
            "parameters": {name: _old_value(value) for name, value in parameters.items()},
            "artifacts": {name: {"artifacts": [_artifact_view(a) for a in found]} for name, found in artifacts.items()},
        },
        "outputs": {"parameters": {}, "artifacts": {}, "output_file": ""},
    }


def _old_value(value: Json) -> JsonObject:
    """A value as SDKs before 2.0 asked for it."""
    told: JsonObject = {"string_value": as_text(value)}
    if isinstance(value, int | float) and not isinstance(value, bool):
        told["double_value"] = float(value)
        if float(value).is_integer() and abs(value) < 2**63:
            told["int_value"] = int(value)
    return told


def _artifact_view(artifact: ArtifactValue) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "uri": artifact.uri,
        "metadata": _doubles(dict(artifact.metadata)),
        "type": {"schema_title": artifact.type, "schema_version": artifact.schema_version},
    }


def _value_view(value: Json) -> dict[str, Any]:
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
    raise ValueError(f"the value is of no JSON kind: {type(value).__name__}")


def _reason(error: Exception) -> str:
    """What the library says, in one line and without its own codes."""
    first = str(error).partition("\n")[0]
    return _cut(_STATUS.sub("", first), 200)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
