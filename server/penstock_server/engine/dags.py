"""The way of a task that holds others: they come to be, start as those before them end, and end it."""

from collections.abc import Collection

from penstock_server.engine import importers, loops, reasons, steps
from penstock_server.engine.effects import Finished, GoOn
from penstock_server.engine.moves import create_task, move_run, move_task
from penstock_server.engine.state import LiveRun, LiveTask, new_child
from penstock_server.engine.values import dag_results, task_inputs
from penstock_server.model.resources import TaskKind, TaskValues
from penstock_server.model.states import RunState, TaskState
from penstock_server.spec import expressions
from penstock_server.spec.resolve import ResolutionError, TaskInputs, UpstreamSkipped

NAMES_MAX = 10
"""So many tasks are named in a message; the rest is counted."""
STARTS_MAX = 500
"""So many tasks are started at one go; then other runs have their turn."""


def settle(run: LiveRun) -> None:
    """Do what follows from tasks that ended or became ready, until nothing more follows or it becomes much."""
    starts = 0
    while run.ended or run.ready:
        if run.ended:
            _tell(run, run.ended.popleft())
        elif starts < STARTS_MAX:
            starts += 1
            _start(run, run.ready.popleft())
        else:
            run.decisions.asks.append(GoOn())
            return


def recount(dag: LiveTask) -> None:
    """Set the counters of a task's children, and its own, from their states."""
    children = dag.children or {}
    for child in children.values():
        child.waits_for = sum(not children[key].state.is_final for key in child.depends_on)
    dag.open_children = sum(not child.state.is_final for child in children.values())


def resume(run: LiveRun, dag: LiveTask) -> None:
    """Go on with a task that runs: start what is ready, skip what cannot be, end it when all has ended."""
    if dag.kind is TaskKind.LOOP:
        loops.resume(run, dag)
    else:
        _resume_children(run, dag.children or {})
    if dag.open_children == 0:
        _end(run, dag)


def why_pending(task: LiveTask) -> tuple[str, str]:
    """Reason and message of a task that has not been started."""
    if not task.depends_on:
        return reasons.READY, ""
    return reasons.WAITING_FOR_UPSTREAM, "waits for " + listed(task.depends_on)


def listed(keys: Collection[str]) -> str:
    """The names in order, the first few of them when they are many."""
    names = sorted(keys)
    rest = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {rest} more" if rest > 0 else "")


def _resume_children(run: LiveRun, children: "dict[str, LiveTask]") -> None:
    for child in children.values():
        if child.state is not TaskState.PENDING:
            continue
        before = [children[key] for key in sorted(child.depends_on)]
        blocker = next((t for t in before if t.state.is_final and t.state is not TaskState.SUCCEEDED), None)
        if blocker is not None and child.waits_for_success:
            _skip(run, child, blocker)
        elif child.waits_for == 0:
            run.ready.append(child)


def _start(run: LiveRun, task: LiveTask) -> None:
    """All that the task depends on has ended as it has to: resolve its inputs, ask its condition, begin."""
    if task.state is not TaskState.PENDING:
        return
    try:
        inputs = task_inputs(run, task)
    except UpstreamSkipped as skipped:
        task.cause = skipped.message
        move_task(run, task, TaskState.SKIPPED, reasons.UPSTREAM_SKIPPED, skipped.message)
    except ResolutionError as error:
        steps.fail(run, task, error.reason, error.message)
    else:
        if _meets_condition(run, task, inputs):
            _begin(run, task, inputs)


def _meets_condition(run: LiveRun, task: LiveTask, inputs: TaskInputs) -> bool:
    """False when the task ends here, skipped or failed."""
    condition = "" if task.spec is None or task.index is not None else task.spec.condition
    if not condition:
        return True
    try:
        evaluated = expressions.evaluate(condition, inputs.bound)
    except expressions.ExpressionError as error:
        steps.fail(run, task, reasons.CONDITION_ERROR, str(error))
        return False
    if not evaluated.value:
        task.cause = f"its condition is false: {evaluated.shown}"
        message = f"the condition is false: {evaluated.shown}"
        move_task(run, task, TaskState.SKIPPED, reasons.CONDITION_FALSE, message, inputs=inputs.values)
    return evaluated.value


def _begin(run: LiveRun, task: LiveTask, inputs: TaskInputs) -> None:
    match task.kind:
        case TaskKind.STEP:
            steps.begin(run, task, inputs)
        case TaskKind.IMPORTER:
            importers.begin(run, task, inputs)
        case TaskKind.LOOP:
            loops.begin(run, task, inputs.values)
        case TaskKind.DAG | TaskKind.ITERATION:
            _open(run, task, inputs.values)
    if task.state is TaskState.RUNNING and task.open_children == 0 and task.children is not None:
        _end(run, task)


def _open(run: LiveRun, dag: LiveTask, inputs: TaskValues) -> None:
    move_task(run, dag, TaskState.RUNNING, reasons.STARTED, inputs=inputs)
    if dag.children is None:
        _create_children(run, dag)
    else:
        recount(dag)
        _resume_children(run, dag.children)


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


def _tell(run: LiveRun, task: LiveTask) -> None:
    """Tell the siblings that wait for the task, and the one around it, that it has ended."""
    _leave(run, task)
    holder = task.parent
    if holder is None:
        _finish(run)
        return
    if holder.kind is TaskKind.LOOP:
        loops.iteration_ended(run, holder, task)
    else:
        _tell_siblings(run, holder, task)
    holder.open_children -= 1
    if holder.open_children == 0 and holder.state is TaskState.RUNNING:
        _end(run, holder)


def _leave(run: LiveRun, holder: LiveTask) -> None:
    """What waited within a task that has ended without being opened is not run: it was made when a retry began."""
    for child in (holder.children or {}).values():
        if child.state is TaskState.PENDING:
            move_task(
                run, child, TaskState.SKIPPED, reasons.HOLDER_NOT_RUN, f"{holder.key}, which holds it, did not run"
            )


def _tell_siblings(run: LiveRun, dag: LiveTask, task: LiveTask) -> None:
    siblings = dag.children or {}
    for key in dag.dag.dependents.get(task.key, ()):
        sibling = siblings[key]
        sibling.waits_for -= 1
        if sibling.state is not TaskState.PENDING:
            continue
        if task.state is not TaskState.SUCCEEDED and sibling.waits_for_success:
            _skip(run, sibling, task)
        elif sibling.waits_for == 0:
            run.ready.append(sibling)


def _skip(run: LiveRun, task: LiveTask, blocker: LiveTask) -> None:
    if blocker.state is TaskState.SKIPPED:
        task.cause = blocker.cause or blocker.message
        message = f"{blocker.key} was skipped since {task.cause}"
        move_task(run, task, TaskState.SKIPPED, reasons.UPSTREAM_SKIPPED, message)
    else:
        task.cause = f"{blocker.key} {blocker.state.lower()}"
        move_task(run, task, TaskState.SKIPPED, reasons.UPSTREAM_FAILED, task.cause)


def _end(run: LiveRun, dag: LiveTask) -> None:
    """All tasks within have ended, and so does the one around them."""
    children = (dag.children or {}).values()
    failed = [child.key for child in children if child.state is TaskState.FAILED]
    if failed:
        of_loop = "iteration " if dag.kind is TaskKind.LOOP else ""
        move_task(run, dag, TaskState.FAILED, reasons.TASK_FAILED, f"{of_loop}{listed(failed)} failed")
    elif any(child.state is TaskState.CANCELLED for child in children):
        move_task(run, dag, TaskState.CANCELLED, run.task_end_reason)
    else:
        move_task(run, dag, TaskState.SUCCEEDED, reasons.COMPLETED, outputs=dag_results(dag))


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
