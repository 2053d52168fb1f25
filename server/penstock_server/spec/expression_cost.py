"""What the evaluation of an expression may cost at most, told before it is evaluated.

The library bounds how often loops go round, but not the text and the lists that they make: `map` copies its list in
each round, and `x + x` in a few nested loops fills any memory. So the size of each part is estimated from the values
that it is given, always upwards, and an expression that would go too far is not evaluated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock_server.spec.expression_tree import Node, NodeKind

COST_MAX = 40_000_000
"""Bytes or nanoseconds, about: 40 MB and 40 ms."""
COST_PER_INPUT_BYTE = 64
"""Large values may be gone through a few times, however large they are."""
ROUNDS_MAX = 10_000
"""Of all loops of an expression together; the library stops there."""
_NODE = 50
_ITEM = 16
"""Bytes of a value at least."""
_COPIED_ITEM = 32
_CALL_OF_MATCHES = 5_000
_PARSED_PER_BYTE = 20
_COMPARISONS = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
_GROWING = frozenset({"_+_", "string", "bytes", "dyn"})
_UNKNOWN = object()


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a value may be."""

    size: int
    """Bytes of the whole."""
    length: int
    """Items of a list or map."""
    item: int
    """Bytes of the largest item."""


_SMALL = Extent(_ITEM, 1, _ITEM)


def check_cost(root: Node, variables: Mapping[str, Any]) -> None:
    """Raise ValueError when the expression might cost too much over these values."""
    estimate = _Estimate(variables)
    result = estimate.of(root, {}, 1)
    spent = estimate.cost + result.size
    if spent > max(COST_MAX, COST_PER_INPUT_BYTE * estimate.input_size):
        raise ValueError("it would take too much time and memory over these values")


def size_of(value: Any) -> Extent:
    """The extent of a value that is there."""
    if isinstance(value, str | bytes):
        # Four bytes a character at most; nearly all text has one.
        return Extent(_ITEM + len(value) * (1 if isinstance(value, bytes) or value.isascii() else 4), 1, _ITEM)
    if isinstance(value, list):
        items = [size_of(item).size for item in value]
        return Extent(_ITEM + sum(items), len(items), max(items, default=0))
    if isinstance(value, Mapping):
        items = [size_of(part).size for pair in value.items() for part in pair]
        return Extent(_ITEM + sum(items), len(value), max(items, default=0))
    return _SMALL


Scope = Mapping[str, Extent]


class _Estimate:
    """Goes through one expression and adds up."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self.cost = 0
        self.input_size = 0
        """Bytes of the values that the expression uses."""

    def of(self, node: Node, scope: Scope, rounds: int) -> Extent:
        """The extent of the node's value; adds what it costs `rounds` times."""
        self.cost += _NODE * rounds
        value = self._known(node, scope)
        if value is not _UNKNOWN:
            extent = size_of(value)
            self.input_size += extent.size
            return extent
        match node.kind:
            case NodeKind.CONSTANT:
                return size_of(node.value)
            case NodeKind.NAME:
                return scope.get(node.name, _SMALL)
            case NodeKind.SELECT | NodeKind.HAS:
                return _child(self.of(node.parts[0], scope, rounds))
            case NodeKind.LIST | NodeKind.MAP:
                return _gathered([self.of(part, scope, rounds) for part in node.parts])
            case NodeKind.CALL:
                return self._call(node, scope, rounds)
            case NodeKind.LOOP:
                return self._loop(node, scope, rounds)

    def _known(self, node: Node, scope: Scope) -> Any:
        """What the node stands for, where it only goes into the variables by constant keys."""
        if node.kind is NodeKind.NAME:
            return _UNKNOWN if node.name in scope else self._variables.get(node.name, _UNKNOWN)
        if node.kind is NodeKind.SELECT:
            return _within(self._known(node.parts[0], scope), node.name)
        if node.kind is NodeKind.CALL and node.name == "_[_]" and node.parts[1].kind is NodeKind.CONSTANT:
            return _within(self._known(node.parts[0], scope), node.parts[1].value)
        return _UNKNOWN

    def _call(self, node: Node, scope: Scope, rounds: int) -> Extent:
        given = [self.of(part, scope, rounds) for part in node.parts]
        sizes = [extent.size for extent in given]
        cost, made = sum(sizes), _SMALL
        if node.name == "_[_]":
            cost, made = 0, _child(given[0])
        elif node.name == "_?_:_":
            cost, made = 0, _either(given[1:])
        elif node.name in _COMPARISONS:
            cost = min(sizes)
        elif node.name == "contains":
            cost += sizes[0] * sizes[-1] // 32
        elif node.name == "matches":
            cost = 16 * cost + _CALL_OF_MATCHES
        elif node.name == "parseJson":
            cost = _PARSED_PER_BYTE * cost
            made = Extent(cost, cost // _ITEM, cost)
        elif node.name in _GROWING:
            made = _joined(given)
        self.cost += cost * rounds
        return made

    def _loop(self, node: Node, scope: Scope, rounds: int) -> Extent:
        over, start, condition, step, result = node.parts
        extent = self.of(over, scope, rounds)
        within = min(rounds * extent.length, ROUNDS_MAX)
        gathers = start.kind is NodeKind.LIST
        inner = {**scope, node.name: _child(extent), node.accumulator: Extent(0, 0, 0) if gathers else _SMALL}
        self.of(condition, inner, within)
        grown = self.of(step, inner, within)
        if not gathers:
            return self.of(result, {**scope, node.accumulator: _SMALL}, rounds)
        made = Extent(extent.length * grown.size, extent.length, grown.item)
        # Each round copies the list that has been gathered so far.
        self.cost += _COPIED_ITEM * within * min(extent.length, ROUNDS_MAX) // 2
        return self.of(result, {**scope, node.accumulator: made}, rounds)


def _within(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(key, _UNKNOWN) if isinstance(key, str) else _UNKNOWN
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    return _UNKNOWN


def _child(extent: Extent) -> Extent:
    return Extent(extent.item, extent.item // _ITEM, extent.item)


def _gathered(parts: list[Extent]) -> Extent:
    sizes = [part.size for part in parts]
    return Extent(_ITEM + sum(sizes), len(parts), max(sizes, default=0))


def _joined(parts: list[Extent]) -> Extent:
    return Extent(sum(p.size for p in parts), sum(p.length for p in parts), max((p.item for p in parts), default=0))


def _either(parts: list[Extent]) -> Extent:
    return Extent(max(p.size for p in parts), max(p.length for p in parts), max(p.item for p in parts))
