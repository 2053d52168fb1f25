"""The way of a DAG: its tasks come to be, start as those before them succeed, and end it."""

from collections.abc import Collection

from penstock_server.engine import reasons, steps
from penstock_server.engine.effects import Finished
from penstock_server.engine.moves import create_task, move_run, move_task
from penstock_server.engine.state import LiveRun, LiveTask, new_child
from penstock_server.engine.values import dag_results, task_inputs
from penstock_server.model.resources import TaskKind
from penstock_server.model.states import RunState, TaskState
from penstock_server.spec.resolve import ResolutionError

NAMES_MAX = 10
"""So many tasks are named in a message; the rest is counted."""


def settle(run: LiveRun) -> None:
    """Do all that follows from tasks that ended or became ready, until nothing more follows."""
    while run.ended or run.ready:
        if run.ended:
            _tell(run, run.ended.popleft())
        else:
            _start(run, run.ready.popleft())


def recount(dag: LiveTask) -> None:
    """Set the counters of a DAG's children, and its own, from their states."""
    children = dag.children or {}
    for child in children.values():
        depends_on = child.spec.depends_on if child.spec is not None else ()
        child.waits_for = sum(not children[key].state.is_final for key in depends_on)
    dag.open_children = sum(not child.state.is_final for child in children.values())


def resume(run: LiveRun, dag: LiveTask) -> None:
    """Go on with a DAG that runs: start what is ready, skip what cannot be, end it when all has ended."""
    children = dag.children or {}
    for child in children.values():
        if child.state is TaskState.PENDING and child.spec is not None:
            before = [children[key] for key in sorted(child.spec.depends_on)]
            blocker = next((t for t in before if t.state.is_final and t.state is not TaskState.SUCCEEDED), None)
            if blocker is not None:
                _skip(run, child, blocker)
            elif child.waits_for == 0:
                run.ready.append(child)
    if dag.open_children == 0:
        _end(run, dag)


def why_pending(task: LiveTask) -> tuple[str, str]:
    """Reason and message of a task that has not been started."""
    if task.spec is None or not task.spec.depends_on:
        return reasons.READY, ""
    return reasons.WAITING_FOR_UPSTREAM, "waits for " + listed(task.spec.depends_on)


def listed(keys: Collection[str]) -> str:
    """The names in order, the first few of them when they are many."""
    names = sorted(keys)
    rest = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {rest} more" if rest > 0 else "")


def _start(run: LiveRun, task: LiveTask) -> None:
    if task.state is not TaskState.PENDING:
        return
    if task.kind is TaskKind.STEP:
        steps.queue(run, task)
    else:
        _open(run, task)


def _open(run: LiveRun, dag: LiveTask) -> None:
    try:
        inputs = task_inputs(run, dag)
    except ResolutionError as error:
        steps.fail(run, dag, error.reason, error.message)
        return
    move_task(run, dag, TaskState.RUNNING, reasons.STARTED, inputs=inputs)
    if dag.children is None:
        _create_children(run, dag)
    else:
        recount(dag)
        resume(run, dag)


def _create_children(run: LiveRun, dag: LiveTask) -> None:
    children: dict[str, LiveTask] = {}
    for spec in dag.dag.tasks.values():
        child = children[spec.key] = new_child(run.graph, dag, spec)
        child.reason, child.message = why_pending(child)
        create_task(run, child)
        if not child.waits_for:
            run.ready.append(child)
    dag.children = children
    dag.open_children = len(children)
    if not children:
        _end(run, dag)


def _tell(run: LiveRun, task: LiveTask) -> None:
    """Tell the siblings that wait for the task, and the DAG around it, that it has ended."""
    dag = task.parent
    if dag is None:
        _finish(run)
        return
    siblings = dag.children or {}
    for key in dag.dag.dependents.get(task.key, ()):
        sibling = siblings[key]
        sibling.waits_for -= 1
        if sibling.state is not TaskState.PENDING:
            continue
        if task.state is not TaskState.SUCCEEDED:
            _skip(run, sibling, task)
        elif sibling.waits_for == 0:
            run.ready.append(sibling)
    dag.open_children -= 1
    if dag.open_children == 0 and dag.state is TaskState.RUNNING:
        _end(run, dag)


def _skip(run: LiveRun, task: LiveTask, blocker: LiveTask) -> None:
    if blocker.state is TaskState.SKIPPED:
        task.cause = blocker.cause or blocker.message
        message = f"{blocker.key} was skipped since {task.cause}"
        move_task(run, task, TaskState.SKIPPED, reasons.UPSTREAM_SKIPPED, message)
    else:
        task.cause = f"{blocker.key} {blocker.state.lower()}"
        move_task(run, task, TaskState.SKIPPED, reasons.UPSTREAM_FAILED, task.cause)


def _end(run: LiveRun, dag: LiveTask) -> None:
    """All tasks of the DAG have ended, and so it does."""
    children = (dag.children or {}).values()
    failed = [child.key for child in children if child.state is TaskState.FAILED]
    if failed:
        move_task(run, dag, TaskState.FAILED, reasons.TASK_FAILED, listed(failed) + " failed")
    elif any(child.state is TaskState.CANCELLED for child in children):
        move_task(run, dag, TaskState.CANCELLED, run.task_end_reason)
    else:
        _succeed(run, dag)


def _succeed(run: LiveRun, dag: LiveTask) -> None:
    try:
        outputs = dag_results(dag)
    except ResolutionError as error:
        steps.fail(run, dag, error.reason, error.message)
    else:
        move_task(run, dag, TaskState.SUCCEEDED, reasons.COMPLETED, outputs=outputs)


def _finish(run: LiveRun) -> None:
    """The root has ended, and so does the run."""
    root = run.root
    if run.is_cancelling:
        to = RunState.FAILED if run.reason in reasons.DEADLINE_REASONS else RunState.CANCELLED
        move_run(run, to, run.reason, run.message)
    elif root.state is TaskState.SUCCEEDED:
        outputs = dict(root.outputs.parameters) if root.outputs is not None else {}
        move_run(run, RunState.SUCCEEDED, reasons.COMPLETED, outputs=outputs)
    else:
        failed = run.tasks[run.failed_task_id] if run.failed_task_id is not None else root
        reason = reasons.TASK_FAILED if failed is not root else root.reason
        move_run(run, RunState.FAILED, reason, f"task {failed.id} failed: {failed.message}")
    run.decisions.effects.append(Finished())
