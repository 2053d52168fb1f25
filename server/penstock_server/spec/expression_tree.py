"""The tree of a CEL expression, read from the standard's own message (cel.expr.ParsedExpr) as the library writes it.

The message is read by field numbers, which the standard fixes: no Python package brings its classes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet


class NodeKind(StrEnum):
    """What a node of an expression is."""

    CONSTANT = "CONSTANT"
    NAME = "NAME"
    """A variable, or a type."""
    SELECT = "SELECT"
    """`parts[0].name`"""
    HAS = "HAS"
    """`has(parts[0].name)`"""
    CALL = "CALL"
    """A function or an operator, such as `_+_`; the object of a method is the first part."""
    LIST = "LIST"
    MAP = "MAP"
    """Its keys and values by turns; also a message, with its type as the name."""
    LOOP = "LOOP"
    """What a macro becomes; of which `accumulator` tells."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression."""

    kind: NodeKind
    name: str = ""
    """Of the variable, field, function, message type or loop variable."""
    parts: tuple["Node", ...] = ()
    value: Any = None
    """Of a constant: text, bytes, number, boolean or None."""
    accumulator: str = ""
    """Of a loop: the variable that gathers its result. Its parts are range, start, condition, step and result."""


def read_tree(parsed: bytes) -> Node:
    """The tree of a parsed expression."""
    message = AnyMessage.FromString(parsed)
    return _node(_fields(message.value)[2][0])


def all_nodes(root: Node) -> Iterator[Node]:
    """Each node of the tree, a node before its parts."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += reversed(node.parts)


Fields = dict[int, list[Any]]


def _fields(message: bytes) -> Fields:
    found: Fields = {}
    fields: Any = UnknownFieldSet(Empty.FromString(message))
    for field in fields:
        found.setdefault(field.field_number, []).append(field.data)
    return found


def _node(message: bytes) -> Node:
    fields = _fields(message)
    for number, read in _READERS.items():
        if number in fields:
            return read(_fields(fields[number][0]))
    return Node(NodeKind.CONSTANT)


def _text(fields: Fields, number: int) -> str:
    return str(fields[number][0], "utf-8") if number in fields else ""


def _nodes(fields: Fields, *numbers: int) -> tuple[Node, ...]:
    return tuple(_node(message) for number in numbers for message in fields.get(number, ()))


def _constant(fields: Fields) -> Node:
    value: Any = None
    for number, data in ((number, found[0]) for number, found in fields.items()):
        if number == 2:
            value = bool(data)
        elif number == 3:
            value = data - (1 << 64) if data >= 1 << 63 else data
        elif number == 5:
            value = struct.unpack("<d", struct.pack("<Q", data))[0]
        elif number == 6:
            value = str(data, "utf-8")
        elif number in (4, 7):
            value = data
    return Node(NodeKind.CONSTANT, value=value)


def _name(fields: Fields) -> Node:
    return Node(NodeKind.NAME, _text(fields, 1))


def _select(fields: Fields) -> Node:
    return Node(NodeKind.HAS if 3 in fields else NodeKind.SELECT, _text(fields, 2), _nodes(fields, 1))


def _call(fields: Fields) -> Node:
    return Node(NodeKind.CALL, _text(fields, 2), _nodes(fields, 1, 3))


def _list(fields: Fields) -> Node:
    return Node(NodeKind.LIST, "", _nodes(fields, 1))


def _map(fields: Fields) -> Node:
    entries = [_fields(message) for message in fields.get(2, ())]
    return Node(NodeKind.MAP, _text(fields, 1), tuple(node for entry in entries for node in _nodes(entry, 3, 4)))


def _loop(fields: Fields) -> Node:
    parts = _nodes(fields, 2, 4, 5, 6, 7)
    return Node(NodeKind.LOOP, _text(fields, 1), parts, accumulator=_text(fields, 3))


_READERS = {3: _constant, 4: _name, 5: _select, 6: _call, 7: _list, 8: _map, 9: _loop}
"""By the field of cel.expr.Expr that holds the node."""
