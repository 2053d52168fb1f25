"""What a retry of an ended run starts again: what failed, was cancelled or never ran, and what follows from that."""

from collections.abc import Iterator

from penstock_server.engine import reasons
from penstock_server.engine.state import LiveTask
from penstock_server.model.resources import TaskKind
from penstock_server.model.states import TaskState

_KEPT_SKIPS = frozenset({reasons.CONDITION_FALSE, reasons.UPSTREAM_SKIPPED, reasons.NO_ITEM})
"""Of tasks that were skipped for what the pipeline says, not since something failed."""


def tasks_to_restart(root: LiveTask) -> Iterator[LiveTask]:
    """The tasks that have to wait again, those around others first.

    A task that succeeded is kept, unless something that it waited for starts again: then it does, with all within it,
    since it may be given something else. So exit tasks run again, and what comes after them.
    """
    pending = [(root, False)]
    while pending:
        task, whole = pending.pop()
        if not (whole or _starts_again(task)):
            continue
        yield task
        children = task.children or {}
        again = {} if whole or task.kind is TaskKind.LOOP else _followers(task)
        pending += [(child, whole or key in again) for key, child in children.items()]


def _starts_again(task: LiveTask) -> bool:
    if task.state is TaskState.SKIPPED:
        return task.reason not in _KEPT_SKIPS
    return task.state is not TaskState.SUCCEEDED


def _followers(dag: LiveTask) -> dict[str, None]:
    """Keys of the tasks that wait, directly or through others, for one that starts again."""
    children = dag.children or {}
    found: dict[str, None] = {}
    pending = [key for key, child in children.items() if _starts_again(child)]
    while pending:
        for key in dag.dag.dependents.get(pending.pop(), ()):
            if key not in found:
                found[key] = None
                pending.append(key)
    return found
