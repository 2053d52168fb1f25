"""A run in memory, made from its rows: the same whether it is new, taken over or loaded again."""

from collections.abc import Sequence
from datetime import datetime

from penstock_server.engine.dags import recount
from penstock_server.engine.requested import run_constants, run_facts
from penstock_server.engine.state import LiveAttempt, LiveRun, LiveTask, new_child, new_iteration, new_root
from penstock_server.engine.values import loop_items
from penstock_server.model.changes import RunLimits
from penstock_server.model.ids import ROOT_TASK, TaskId, child_task_id
from penstock_server.model.resources import Attempt, Run, Task, TaskKind, TaskValues
from penstock_server.model.states import AttemptState, TaskState
from penstock_server.spec.graph import Dag, PipelineGraph


def restore(
    run: Run,
    tasks: Sequence[Task],
    attempts: Sequence[Attempt],
    now: datetime,
    graph: PipelineGraph,
    *,
    fence: int,
    launcher: str,
    makes_pods: bool = False,
) -> LiveRun:
    """The run as its rows tell; `now` is the database's time.

    `attempts` holds at least all those of tasks that have not ended.
    """
    rows = {row.id: row for row in tasks}
    live = new_live_run(run, graph, fence=fence, launcher=launcher, makes_pods=makes_pods)
    live.failed_task_id = run.failed_task_id or _first_failed(tasks)
    live.elapsed_s = (now - run.start_time).total_seconds() if run.start_time is not None else 0.0
    _fill(live.root, rows[ROOT_TASK], now)
    _grow(live, rows, now)
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        _add_attempt(live, attempt)
    return live


def new_live_run(run: Run, graph: PipelineGraph, *, fence: int, launcher: str, makes_pods: bool = False) -> LiveRun:
    """A run with nothing but its root task, PENDING, as it is when it was made."""
    root = new_root(graph)
    return LiveRun(
        record=run,
        graph=graph,
        constants=run_constants(run, graph),
        facts=run_facts(run, graph.name),
        fence=fence,
        event_sequence=run.event_sequence,
        launcher=launcher,
        makes_pods=makes_pods,
        root=root,
        tasks={ROOT_TASK: root},
        state=run.state,
        reason=run.reason,
        message=run.message,
        failed_task_id=None,
        limits=RunLimits(run.priority, run.max_parallel_tasks),
        is_paused=run.pause_time is not None,
    )


def _grow(live: LiveRun, rows: dict[TaskId, Task], now: datetime) -> None:
    """Make the children of each task that was opened, parents first, in the document's order."""
    iterations: dict[TaskId, list[int]] = {}
    for row in rows.values():
        if row.parent_id is not None and rows[row.parent_id].kind is TaskKind.LOOP:
            iterations.setdefault(row.parent_id, []).append(int(row.key))
    growing = [live.root]
    while growing:
        holder = growing.pop()
        if holder.kind is TaskKind.LOOP:
            children = [new_iteration(holder, index) for index in sorted(iterations.get(holder.id, ()))]
        elif isinstance(holder.component.body, Dag) and holder.kind is not TaskKind.STEP:
            specs = [s for s in holder.dag.tasks.values() if child_task_id(holder.id, s.key) in rows]
            children = [new_child(live.graph, holder, spec) for spec in specs]
        else:
            continue
        if not children and holder.state is not TaskState.RUNNING:
            # It was never opened; a retry has to make them.
            continue
        holder.children = {child.key: child for child in children}
        for child in children:
            _fill(child, rows[child.id], now)
            live.tasks[child.id] = child
            growing.append(child)
        if holder.kind is TaskKind.LOOP and holder.state is TaskState.RUNNING:
            holder.items = loop_items(live, holder, holder.inputs or TaskValues())
        recount(holder)


def _fill(task: LiveTask, row: Task, now: datetime) -> None:
    task.state, task.reason, task.message = row.state, row.reason, row.message
    started = row.state not in (TaskState.PENDING, TaskState.SKIPPED)
    task.inputs = row.inputs if started else None
    task.outputs = row.outputs if row.state is TaskState.SUCCEEDED else None
    task.cache_key = row.cache_key
    task.attempt_count = row.attempt_count
    task.result_key = row.result_key
    if row.state is TaskState.QUEUED and row.queue_time is not None:
        task.queued_s = (now - row.queue_time).total_seconds()
    if row.state is TaskState.QUEUED and row.not_before is not None and row.not_before > now:
        task.delay_s = (row.not_before - now).total_seconds()


def _add_attempt(live: LiveRun, row: Attempt) -> None:
    """Count the attempt if it was made since the run was last started; the newest one is the task's."""
    task = live.tasks[row.task_id]
    task.attempt = LiveAttempt(row.number, row.state, waits_for=(row.reason, row.message, row.host))
    start = live.record.start_time
    if start is None or row.create_time < start:
        return
    if row.failure_class is not None and row.failure_class.is_own:
        task.failures += 1
    elif row.state.is_final and row.state is not AttemptState.SUCCEEDED:
        task.losses += 1


def _first_failed(tasks: Sequence[Task]) -> TaskId | None:
    """The task that failed first by itself: a step, or a DAG of which nothing failed."""
    failed = [row for row in tasks if row.state is TaskState.FAILED]
    blamed = {row.parent_id for row in failed}
    own = [row for row in failed if row.kind is TaskKind.STEP or row.id not in blamed]
    return min(own, key=lambda row: (row.end_time or row.create_time, row.id)).id if own else None
