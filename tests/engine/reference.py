"""What a program means, said as plainly as can be: no events, no order but the program's own, nothing is remembered.

Written from the rules in docs/guides/pipelines.md, apart from the engine, to be compared with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from penstock_server.model.json import Json
from tests.engine.programs import DEFAULT, ITEM, Given, Made, Node, Program, Scope

LOSSES_MAX = 3
Outcome: TypeAlias = Callable[[str, int], str]
"""How attempt number n at the step of that id ends: `ok`, `fail` or `lost`."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What a task comes to."""

    state: str
    attempts: int = 0
    n: Json = None
    """What it makes; None: nothing."""
    x: float | None = None
    """What it is given, if it runs."""
    told: str | None = None
    """The state in the final status that it is given."""


@dataclass(slots=True)
class Meaning:
    """What a program comes to."""

    state: str = ""
    tasks: dict[str, Meant] = field(default_factory=dict)
    """By id; all that ever come to be."""


_STATUSES = {"SUCCEEDED": "COMPLETE", "FAILED": "FAILED", "SKIPPED": "SKIPPED"}


def made_by(task: str) -> float:
    """What the step of that id makes, whenever it succeeds."""
    return float(sum(task.encode()) % 4)


def meaning(program: Program, outcome: Outcome) -> Meaning:
    """What the program comes to when its attempts end like that, and nobody meddles."""
    found = Meaning()
    found.state = _Interpreter(outcome, found.tasks).scope(program, {}, "", retries=0).state
    return found


class _Interpreter:
    def __init__(self, outcome: Outcome, tasks: dict[str, Meant]) -> None:
        self.outcome = outcome
        self.tasks = tasks

    def scope(self, scope: Scope, given: Mapping[str, float], path: str, retries: int) -> Meant:
        ended: dict[str, Meant] = {}
        for node in scope.nodes:
            id = f"{path}.{node.key}" if path else node.key
            ended[node.key] = self.tasks[id] = self.node(node, given, ended, id, retries)
        if any(each.state == "FAILED" for each in ended.values()):
            return Meant("FAILED")
        made = [ended[key].n for key in scope.makes if ended[key].n is not None]
        return Meant("SUCCEEDED", n=made[0] if made else None)

    def node(self, node: Node, given: Mapping[str, float], ended: Mapping[str, Meant], id: str, retries: int) -> Meant:
        before = [ended[key] for key in node.waits_for]
        if not node.is_exit and any(each.state != "SUCCEEDED" for each in before):
            return Meant("SKIPPED")
        x = self.number(node, given, ended)
        items = self.items(node, ended)
        for source, value in ((node.x, x), (node.loop and node.loop.items, items)):
            if value is None:
                assert isinstance(source, Made)
                return Meant("FAILED" if ended[source.key].state == "FAILED" else "SKIPPED")
        assert x is not None
        if node.above is not None and not x > node.above:
            return Meant("SKIPPED")
        retries = retries if node.retries is None else node.retries
        told = _STATUSES[ended[node.tells].state] if node.tells else None
        if node.loop is None:
            return self.body(node, {"x": x}, id, retries, told)
        return self.loop(node, x, items or [], id, retries, told)

    def loop(self, node: Node, x: float, items: list[Json], id: str, retries: int, told: str | None) -> Meant:
        passes: list[Meant] = []
        for index, item in enumerate(items):
            assert isinstance(item, float)
            one = self.tasks[f"{id}.{index}"] = self.body(node, {"x": x, ITEM: item}, f"{id}.{index}", retries, told)
            passes.append(one)
        if any(each.state == "FAILED" for each in passes):
            return Meant("FAILED", x=x)
        makes = node.scope is None or bool(node.scope.makes)
        return Meant("SUCCEEDED", n=[each.n for each in passes if each.n is not None] if makes else None, x=x)

    def body(self, node: Node, given: dict[str, float], id: str, retries: int, told: str | None) -> Meant:
        if node.scope is not None:
            held = self.scope(node.scope, given, id, retries)
            return Meant(held.state, n=held.n, x=given["x"])
        failures = losses = attempts = 0
        while True:
            attempts += 1
            match self.outcome(id, attempts):
                case "ok":
                    return Meant("SUCCEEDED", attempts, made_by(id), given["x"], told)
                case "lost":
                    losses += 1
                case _:
                    failures += 1
            if failures > retries or losses > LOSSES_MAX:
                return Meant("FAILED", attempts, None, given["x"], told)

    def items(self, node: Node, ended: Mapping[str, Meant]) -> list[Json] | None:
        """What it runs over; None where that was not made. No loop runs over nothing."""
        if node.loop is None:
            return []
        items = node.loop.items
        if not isinstance(items, Made):
            return list(items)
        made = ended[items.key].n
        assert made is None or isinstance(made, list)
        return made

    def number(self, node: Node, given: Mapping[str, float], ended: Mapping[str, Meant]) -> float | None:
        source = node.x
        if isinstance(source, float):
            return source
        found: Json = given[source.name] if isinstance(source, Given) else ended[source.key].n
        if found is None:
            return DEFAULT if node.has_default else None
        assert isinstance(found, float)
        return found
