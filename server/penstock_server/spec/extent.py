"""How large a pipeline is once all its DAGs are unfolded.

A component may be used many times, in DAGs that are themselves used many times: a short document can stand for more
tasks than any server can hold, and for ids of tasks longer than an index takes.
"""

from collections.abc import Iterator, Mapping

from penstock_server.spec.graph import Component, Dag, PipelineGraph
from penstock_server.spec.violations import Violations

TASKS_MAX = 100_000
TASK_ID_LENGTH_MAX = 1_000


def check_extent(graph: PipelineGraph, violations: Violations) -> None:
    """Note a pipeline that unfolds to too much. No component of it may contain itself."""
    extents: dict[str, tuple[int, int]] = {}
    for component in _inner_first(graph):
        extents[component.name] = _extent(component, extents)
    tasks, length = _extent(graph.root, extents)
    if tasks > TASKS_MAX:
        description = f"unfolds to more than {TASKS_MAX} tasks: its DAGs contain each other too often"
        violations.add("root.dag", description)
    if length > TASK_ID_LENGTH_MAX:
        description = (
            f"has a task whose path of keys is longer than {TASK_ID_LENGTH_MAX}: nest less or shorten the keys"
        )
        violations.add("root.dag", description)


def _extent(component: Component, extents: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Tasks within the component, and the length of the longest path of keys to one of them."""
    if not isinstance(component.body, Dag):
        return 0, 0
    tasks, longest = 0, 0
    for key, task in component.body.tasks.items():
        within, length = extents[task.component]
        # Kept small on the way up: the product of many levels is a number of many digits.
        tasks = min(tasks + 1 + within, TASKS_MAX + 1)
        longest = max(longest, len(key) + (length and length + 1))
    return tasks, longest


def _inner_first(graph: PipelineGraph) -> Iterator[Component]:
    """The components in use, each after those it uses. Without recursion: nesting may be deep."""
    seen: set[str] = set()
    pending: list[tuple[Component, bool]] = [(graph.root, False)]
    while pending:
        component, leaving = pending.pop()
        if leaving:
            yield component
            continue
        if component is not graph.root:
            # Seen when it is entered, not when it is put aside: whoever uses it may be entered before.
            if component.name in seen:
                continue
            seen.add(component.name)
            pending.append((component, True))
        if isinstance(component.body, Dag):
            names = dict.fromkeys(task.component for task in component.body.tasks.values())
            pending += [(graph.components[name], False) for name in names if name not in seen]
