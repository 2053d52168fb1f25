"""The JSON of a filter as KFP's predicates; what does not fit is told in words of filters, not of a JSON library."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.kfp.v2beta1.filter_pb2 import Predicate
from penstock_server.model.errors import InvalidArgument
from penstock_server.rpc.proto_json import fill, parse_json

OPERATIONS = ", ".join(name for name, number in Predicate.Operation.items() if number)
_EXPECTED: Mapping[str, str] = {
    "key": "text",
    "operation": OPERATIONS,
    "int_value": "a whole number of 32 bits",
    "long_value": "a whole number of 64 bits",
    "string_value": "text",
    "timestamp_value": "a time such as 2026-01-31T12:00:00Z",
    "int_values": 'as {"values": [1, 2]}',
    "long_values": 'as {"values": [1, 2]}',
    "string_values": 'as {"values": ["a"]}',
}
"""What each field of a predicate has to be."""
_FIELDS = {name: field.name for field in Predicate.DESCRIPTOR.fields for name in (field.name, field.json_name)}
"""The fields by either of their spellings."""


def predicates_in(text: str) -> Sequence[Predicate]:
    """The predicates of a filter. Raises ValueError that says what the filter is, has, or has to be."""
    try:
        document = parse_json(text.encode())
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("has to be a JSON object with `predicates`")
    for name in document.keys() - {"predicates"}:
        raise ValueError(f"has the field {name[:100]!r}, and there is only `predicates`")
    given = document.get("predicates")
    if not isinstance(given, list | None):
        raise ValueError("has to have a list as `predicates`")
    return [_predicate(index, one) for index, one in enumerate(given or [], 1)]


def _predicate(index: int, given: Any) -> Predicate:
    message = Predicate()
    try:
        fill(message, given)
    except InvalidArgument:
        raise ValueError(f"is wrong in predicate {index}: {_misfit(given)}") from None
    return message


def _misfit(given: Any) -> str:
    """What is wrong with a predicate: the first of its fields that does not fit by itself, or that there are too
    many."""
    if not isinstance(given, dict):
        return "it has to be an object with key, operation and a value"
    for name, value in given.items():
        if name not in _FIELDS:
            return f"there is no field {name[:100]!r}; there are {', '.join(_EXPECTED)}"
        try:
            fill(Predicate(), {name: value})
        except InvalidArgument:
            return f"{name} has to be {_EXPECTED[_FIELDS[name]]}"
    return "it has more than one value"
