"""What is stored with a new run, so that it can be told without being read."""

from penstock_server.model.ids import TaskId
from penstock_server.model.resources import Run, TaskKind, TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec.compile import ROOT
from penstock_server.store.kfp_histories import History, KfpTask, Move


def beginning(run: Run) -> History:
    """Of a run that was just made: how it came to be, and the outermost of its tasks, which is made with it."""
    root = KfpTask(
        state=TaskState.PENDING,
        reason=run.reason,
        message=run.message,
        create_time=run.create_time,
        kind=TaskKind.DAG,
        inputs=TaskValues(),
        outputs=TaskValues(),
        id=TaskId(ROOT),
        parent_id=None,
        key=ROOT,
        display_name="",
        attempt_count=0,
        start_time=None,
        end_time=None,
    )
    return History([Move(run.state, run.reason, run.message, run.create_time)], [root])
