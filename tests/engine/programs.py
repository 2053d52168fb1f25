"""Random programs over the whole language: a tree of their own, and the pipelines that say the same.

Every task takes a number `x` and makes a number `n`; a loop makes the list of what its iterations make.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeAlias

from penstock_server.spec.graph import (
    Component,
    Constant,
    DagInput,
    FinalStatus,
    Iterator,
    ParameterBinding,
    ParameterType,
    PipelineGraph,
    TaskOutput,
    TaskSpec,
)
from tests.engine.language import at_the_end, giving, number, parameter, taking, when
from tests.engine.world import dag, pipeline, spec, step

ITEM = "item"
DEFAULT = 7.0
"""Of inputs that have one."""
NODES_MAX = 6
"""Tasks of one scope."""
DEPTH_MAX = 3
ITEMS_MAX = 3


@dataclass(frozen=True, slots=True)
class Given:
    """An input of the scope: `x` or `item`."""

    name: str


@dataclass(frozen=True, slots=True)
class Made:
    """What another task of the scope makes."""

    key: str


@dataclass(frozen=True, slots=True)
class Loop:
    """Runs over these items, so many at a time; 0: all."""

    items: "tuple[float, ...] | Made"
    parallelism: int


@dataclass(frozen=True, slots=True)
class Node:
    """A task."""

    key: str
    scope: "Scope | None"
    """What it holds; None: it is a step."""
    x: "float | Given | Made"
    has_default: bool
    """It does without `x`."""
    after: frozenset[str]
    """What it waits for beside what its inputs name."""
    is_exit: bool
    above: float | None
    """It runs only if `x` is above that."""
    loop: Loop | None
    retries: int | None
    """None: those of the scope around it."""
    tells: str | None
    """An exit task is given the final status of that task."""

    @property
    def waits_for(self) -> frozenset[str]:
        """All that has to end before it."""
        named = {source.key for source in (self.x, self.loop and self.loop.items) if isinstance(source, Made)}
        return self.after | named | ({self.tells} if self.tells else set())

    @property
    def depth(self) -> int:
        """0 when it makes a number, 1 a list of them, 2 a list of lists ..."""
        inner = 0 if self.scope is None else self.scope.depth
        return inner + (self.loop is not None)


@dataclass(frozen=True, slots=True)
class Scope:
    """Tasks, each after those that it waits for."""

    nodes: tuple[Node, ...]
    makes: tuple[str, ...]
    """Keys of the tasks whose `n` may be its own: the first that there is. Empty: it makes none."""

    @property
    def depth(self) -> int:
        """As of nodes."""
        return next((node.depth for node in self.nodes if node.key in self.makes), 0)


Program: TypeAlias = Scope


def random_program(random: Random) -> Program:
    """Any program."""
    return _scope(random, 0, looped=False)


def _scope(random: Random, level: int, *, looped: bool) -> Scope:
    nodes: list[Node] = []
    for index in range(random.randint(1, NODES_MAX - level)):
        nodes.append(_node(random, f"t{index}", nodes, level, looped=looped))
    first = random.choice(nodes)
    alike = [node.key for node in nodes if node.depth == first.depth and (node.scope is None or node.scope.makes)]
    makes = random.sample(alike, min(len(alike), random.randint(1, 3))) if level else []
    return Scope(tuple(nodes), tuple(makes))


def _node(random: Random, key: str, before: Sequence[Node], level: int, *, looped: bool) -> Node:
    holds = level < DEPTH_MAX and random.random() < 0.35
    loop = _loop(random, before) if random.random() < 0.3 else None
    is_exit = bool(before) and random.random() < 0.2
    return Node(
        key,
        _scope(random, level + 1, looped=loop is not None) if holds else None,
        _number(random, before, level, looped=looped),
        has_default=holds or random.random() < 0.4,
        after=frozenset(node.key for node in before if random.random() < (0.6 if is_exit else 0.25)),
        is_exit=is_exit,
        above=float(random.randint(0, 2)) if random.random() < 0.3 else None,
        loop=loop,
        retries=random.choice([None, None, 0, 1, 2]),
        tells=random.choice(before).key if is_exit and not holds and random.random() < 0.6 else None,
    )


def _loop(random: Random, before: Sequence[Node]) -> Loop:
    lists = [node.key for node in before if node.depth == 1 and (node.scope is None or node.scope.makes)]
    if lists and random.random() < 0.6:
        return Loop(Made(random.choice(lists)), random.randint(0, 2))
    items = tuple(float(random.randint(0, 3)) for _ in range(random.randint(0, ITEMS_MAX)))
    return Loop(items, random.randint(0, 2))


def _number(random: Random, before: Sequence[Node], level: int, *, looped: bool) -> "float | Given | Made":
    numbers = [node.key for node in before if node.depth == 0 and (node.scope is None or node.scope.makes)]
    sources: list[float | Given | Made] = [float(random.randint(0, 3))]
    sources += [Given("x")] if level else []
    sources += [Given(ITEM)] * 2 if looped else []
    sources += [Made(key) for key in numbers[-2:]] * 2
    return random.choice(sources)


def graph_of(program: Program) -> PipelineGraph:
    """The pipeline that says the same."""
    components: list[Component] = []
    root = _holder("root", program, components)
    return pipeline(root, *components)


def _holder(name: str, scope: Scope, components: list[Component]) -> Component:
    """The component behind a task that holds others; theirs are added to `components`."""
    tasks = [_task(f"{name}-{node.key}", node, components) for node in scope.nodes]
    outputs = {"n": "|".join(f"{key}.n" for key in scope.makes)} if scope.makes else {}
    kind = ParameterType.NUMBER_DOUBLE if scope.depth == 0 else ParameterType.LIST
    return giving(dag(name, *tasks), kind, **outputs)


def _task(name: str, node: Node, components: list[Component]) -> TaskSpec:
    takes = {"x": number(default=DEFAULT) if node.has_default else number()}
    takes |= {ITEM: number()} if node.loop else {}
    takes |= {"status": parameter(ParameterType.STRUCT)} if node.tells else {}
    held = replace(step(gives=["n"]), name=name) if node.scope is None else _holder(name, node.scope, components)
    components.append(taking(held, **takes))
    bound = {"x": ParameterBinding(_source(node.x))}
    bound |= {"status": ParameterBinding(FinalStatus(node.tells))} if node.tells else {}
    task = spec(node.key, name, node.waits_for, retries=node.retries, parameters=bound)
    if node.above is not None:
        task = when(task, f"inputs.parameter_values['x'] > {node.above}")
    if node.loop is not None:
        task = _looped(task, node.loop)
    return at_the_end(task) if node.is_exit else task


def _looped(task: TaskSpec, loop: Loop) -> TaskSpec:
    if isinstance(loop.items, Made):
        parameters = {**task.parameters, "items": ParameterBinding(_source(loop.items))}
        iterator = Iterator(DagInput("items"), ITEM, False, loop.parallelism)
        return replace(task, parameters=parameters, iterator=iterator)
    return replace(task, iterator=Iterator(Constant(list(loop.items)), ITEM, False, loop.parallelism))


def _source(source: "float | Given | Made") -> Constant | DagInput | TaskOutput:
    match source:
        case Given(name):
            return DagInput(name)
        case Made(key):
            return TaskOutput(key, "n")
        case _:
            return Constant(source)
