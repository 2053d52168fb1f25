"""Messages as proto JSON, whole numbers written as such: `2`, where protobuf's own printer says `2.0`."""

import json
import re
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from penstock_server.model.errors import InvalidArgument
from penstock_server.rpc.json_writer import JsonWriter

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_WRITER = JsonWriter()


def to_json(message: Message) -> bytes:
    """`message` as JSON, names in camelCase, defaults left out."""
    return _WRITER.write(message)


def dumps(document: Any) -> bytes:
    """A JSON value as compact text."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read_json(text: bytes) -> Any:
    """The JSON in `text`. Raises InvalidArgument REQUEST_UNREADABLE where `parse_json` raises ValueError."""
    try:
        return parse_json(text)
    except ValueError as error:
        raise _unreadable(str(error)) from error


def parse_json(text: bytes) -> Any:
    """The JSON in `text`. Raises ValueError, also for keys that occur twice and for text that is not Unicode."""
    try:
        document = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
        if _SURROGATE.search(text):
            # A half of a pair by itself is no text; protobuf breaks over it in ways of its own.
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    return document


def fill(message: Message, document: Any, *, ignore_unknown_fields: bool = False) -> None:
    """Set what `document` gives. Raises InvalidArgument REQUEST_UNREADABLE where it does not fit."""
    try:
        ParseDict(document, message, ignore_unknown_fields=ignore_unknown_fields)
    except ParseError as error:
        raise _unreadable(" ".join(str(error).split())) from error
    except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        # The library lets these out for values of a shape it did not reckon with.
        raise _unreadable(f"it does not fit {message.DESCRIPTOR.full_name}: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _unreadable(why: str) -> InvalidArgument:
    return InvalidArgument("REQUEST_UNREADABLE", f"the request's JSON cannot be read: {why}")
