"""What is stored with a new run, so that it can be told without being read."""

from penstock_server.model.ids import TaskId
from penstock_server.model.resources import Event, EventSubject, Run, Task, TaskKind, TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec.compile import ROOT


def first_move(run: Run) -> Event:
    """How a run that was just made came to be."""
    return Event(
        run_uid=run.uid,
        sequence=1,
        transaction_id=0,
        time=run.create_time,
        subject=EventSubject.RUN,
        task_id=None,
        attempt=None,
        from_state=None,
        to_state=run.state,
        reason=run.reason,
        message=run.message,
    )


def root(run: Run) -> Task:
    """The outermost task of a run that was just made."""
    return Task(
        run_uid=run.uid,
        id=TaskId(ROOT),
        parent_id=None,
        key=ROOT,
        display_name="",
        kind=TaskKind.DAG,
        state=TaskState.PENDING,
        reason=run.reason,
        message=run.message,
        inputs=TaskValues(),
        outputs=TaskValues(),
        cache_key=None,
        cached_run_uid=None,
        cached_task_id=None,
        attempt_count=0,
        not_before=None,
        create_time=run.create_time,
        start_time=None,
        end_time=None,
    )
