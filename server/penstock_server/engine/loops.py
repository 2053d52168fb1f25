"""The way of a loop: one iteration for each item, so many at a time as its limit allows."""

from collections import deque
from collections.abc import Mapping

from penstock_server.engine import reasons, steps
from penstock_server.engine.moves import create_task, move_task
from penstock_server.engine.state import LiveRun, LiveTask, new_iteration
from penstock_server.engine.values import loop_items
from penstock_server.model.resources import TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec.extent import TASKS_MAX
from penstock_server.spec.resolve import ResolutionError


def begin(run: LiveRun, loop: LiveTask, inputs: TaskValues) -> None:
    """Make the iterations, and let the first of them start."""
    try:
        items = loop_items(run, loop, inputs)
    except ResolutionError as error:
        steps.fail(run, loop, error.reason, error.message)
        return
    if len(run.tasks) + len(items) > TASKS_MAX:
        message = f"{len(items)} iterations more than the run's {len(run.tasks)} tasks; a run may have {TASKS_MAX}"
        steps.fail(run, loop, reasons.TOO_MANY_TASKS, message)
        return
    loop.items = items
    move_task(run, loop, TaskState.RUNNING, reasons.STARTED, inputs=inputs)
    children = loop.children = loop.children or {}
    for index in range(len(children), len(items)):
        child = new_iteration(loop, index)
        child.reason, child.message = _why_pending(loop, index)
        create_task(run, child)
        children[child.key] = child
    # Counted before some are retired: those count as open until their end is told.
    loop.open_children = sum(not child.state.is_final for child in children.values())
    resume(run, loop)


def resume(run: LiveRun, loop: LiveTask) -> None:
    """Let as many iterations start as the limit allows beside those under way."""
    children = loop.children or {}
    _retire(run, loop, children)
    loop.held_back = deque(child for child in children.values() if child.state is TaskState.PENDING)
    under_way = sum(child.state in (TaskState.QUEUED, TaskState.RUNNING) for child in children.values())
    for _ in range(min(len(loop.held_back), _limit(loop) - under_way)):
        _start_next(run, loop)


def iteration_ended(run: LiveRun, loop: LiveTask, iteration: LiveTask) -> None:
    """Let the next iteration start in the place of the one that has ended."""
    if iteration.reason != reasons.NO_ITEM:
        _start_next(run, loop)


def _limit(loop: LiveTask) -> int:
    assert loop.spec is not None
    assert loop.spec.iterator is not None
    return loop.spec.iterator.parallelism or len(loop.items)


def _start_next(run: LiveRun, loop: LiveTask) -> None:
    if loop.held_back:
        run.ready.append(loop.held_back.popleft())


def _retire(run: LiveRun, loop: LiveTask, children: Mapping[str, LiveTask]) -> None:
    """Iterations of an earlier time, for which there is no item now: the list was made again, and is shorter."""
    for index in range(len(loop.items), len(children)):
        child = children[str(index)]
        if child.state is TaskState.PENDING:
            move_task(run, child, TaskState.SKIPPED, reasons.NO_ITEM, f"the list has {len(loop.items)} items now")


def _why_pending(loop: LiveTask, index: int) -> tuple[str, str]:
    limit = _limit(loop)
    if index < limit:
        return reasons.READY, ""
    return reasons.WAITING_FOR_PARALLELISM, f"waits for others of the loop to end: {limit} run at a time"
