"""The rules that the schema itself states (`buf.validate`), checked before a handler sees a request."""

import re
from collections.abc import Iterator, Sequence

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from protovalidate import Validator, ViolationPb

from penstock_server.model.errors import FieldViolation, InvalidArgument

VIOLATIONS_MAX = 50


_JSON_TYPES = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})

_EXPRESSIONS = {
    "[a-z]([a-z0-9-]{0,61}[a-z0-9])?": "{id}",
    "[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}": "{version}",
    "[1-9][0-9]{0,9}": "{number}",
    "[^/]{1,1000}": "{task}",
}
"""The expressions that patterns in the schema are made of."""
_NAME = re.compile(r"does not match regex pattern `\^([a-z/{}]+)\$`")
_ID_RULE = "an id being up to 63 lower-case letters, digits and hyphens that begins with a letter"


class Rules:
    """Checks requests against the rules beside their fields."""

    def __init__(self) -> None:
        self._validator = Validator()

    def check(self, request: Message) -> None:
        """Raise InvalidArgument with a violation for each rule that `request` breaks."""
        found = self._validator.collect_violations(request)
        if found:
            raise invalid([_told(violation.proto) for violation in found[:VIOLATIONS_MAX]])
        # No text may hold a NUL: Postgres cannot store one. Looking at the bytes first keeps this cheap.
        if b"\0" in request.SerializeToString():
            paths = list(_nul_paths(request, ""))
            if paths:
                raise invalid([FieldViolation(path, "must not hold a NUL character") for path in paths])


def invalid(violations: Sequence[FieldViolation]) -> InvalidArgument:
    """The error that tells of `violations`."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    message = f"{first.field}: {first.description}{more}"
    return InvalidArgument("INVALID_REQUEST", message, violations=violations)


def _told(violation: ViolationPb) -> FieldViolation:
    rule = violation.rule_id.replace(".", "_").replace("-", "_").upper() or "INVALID_FIELD"
    return FieldViolation(_path(violation), _readable(violation.message or violation.rule_id), rule)


def _readable(message: str) -> str:
    """The message, with names and ids in place of the expressions for them."""
    for expression, word in _EXPRESSIONS.items():
        message = message.replace(expression, word)
    name = _NAME.fullmatch(message)
    if name is None:
        return message
    return f"must look like {name[1]}" + (f", {_ID_RULE}" if "{id}" in name[1] else "")


def _path(violation: ViolationPb) -> str:
    """The field as a user would write it: `run.labels["team"]`, `names[2]`."""
    parts = []
    for element in violation.field.elements if violation.field is not None else ():
        parts.append(f".{element.field_name}")
        if element.subscript is not None:
            key = element.subscript.value
            parts.append(f'["{key}"]' if isinstance(key, str) else f"[{key}]")
    return "".join(parts).removeprefix(".")


def _nul_paths(message: Message, prefix: str) -> Iterator[str]:
    """Paths of texts with a NUL; JSON values are left to those who convert them."""
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        if field.type == FieldDescriptor.TYPE_STRING:
            texts = value if field.is_repeated else (value,)
            if any("\0" in text for text in texts):
                yield path
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            if any("\0" in text for item in value.items() for text in item if isinstance(text, str)):
                yield path
        elif field.message_type is not None and field.message_type.full_name not in _JSON_TYPES:
            for item in value if field.is_repeated else (value,):
                yield from _nul_paths(item, f"{path}.")
