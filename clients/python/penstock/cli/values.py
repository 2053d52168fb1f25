"""`-p name=value`: values read by the declared types of the parameters."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.cli.failures import UsageError
from penstock.spec_source import read_file

if TYPE_CHECKING:
    from penstock.v1.parameter_pb2 import ParameterDefinition

_MACRO = re.compile(r"\$\{(slot|run)\.|\[\[|\{\{\$")
_EXAMPLES = {
    "NUMBER_INTEGER": "5",
    "NUMBER_DOUBLE": "0.5",
    "BOOLEAN": "true",
    "LIST": '\'["a", "b"]\'',
    "STRUCT": "'{\"key\": 1}'",
}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


def read_parameters(assignments: Sequence[str], types: Mapping[str, str], *, macros: bool = False) -> dict[str, Any]:
    """The values of `name=value` assignments, each read by the type that `types` declares for its name.

    A STRING is taken as it is, everything else is JSON. `name=@file` reads the value from a file,
    `name=@@text` means a text that begins with `@`. With `macros` a value of another type may be a text that holds
    one, as in `n=${slot.index}`. Raises UsageError, OSError for a file.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator or not name:
            raise UsageError(f"-p {assignment}: expected NAME=VALUE")
        if name in values:
            raise UsageError(f"-p {name}: given twice")
        if name not in types:
            raise UsageError(_unknown(name, types))
        values[name] = _read(name, types[name], _resolved(text), macros=macros)
    return values


def _read(name: str, declared: str, text: str, *, macros: bool) -> Any:
    try:
        return read_value(name, declared, text)
    except UsageError:
        if macros and _MACRO.search(text):
            return text  # The server writes it out for each slot, and says what is wrong with it.
        raise


def read_value(name: str, declared: str, text: str) -> Any:
    """One value by its declared type, such as NUMBER_INTEGER. Raises UsageError."""
    if declared == "STRING":
        return text
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(_expected(name, declared, text)) from error
    if declared == "NUMBER_INTEGER" and isinstance(value, float) and value.is_integer():
        value = int(value)
    kinds = _KINDS.get(declared)
    if kinds is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        raise UsageError(_expected(name, declared, text))
    return value


def type_name(parameter: "ParameterDefinition") -> str:
    """The declared type of a parameter, such as NUMBER_INTEGER."""
    return type(parameter).Type.Name(parameter.type).removeprefix("TYPE_")


def _resolved(text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    return read_file(Path(text[1:])) if text.startswith("@") else text


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _expected(name: str, declared: str, text: str) -> str:
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    example = _EXAMPLES.get(declared)
    hint = f", such as -p {name}={example}" if example else ""
    return f"-p {name}={shown}: the parameter is a {declared or 'value of unknown type'}: give it as JSON{hint}"


def _unknown(name: str, types: Mapping[str, str]) -> str:
    from difflib import get_close_matches

    if not types:
        return f"-p {name}: the pipeline takes no parameters"
    near = get_close_matches(name, types, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    known = ", ".join(f"{known} ({types[known]})" for known in sorted(types))
    return f"-p {name}: the pipeline has no such parameter; {meant}It takes {known}"
