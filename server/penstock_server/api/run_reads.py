"""What the servicers of runs read in common."""

from collections.abc import Sequence

from penstock.v1 import run_pb2, task_pb2
from penstock_server.api import convert
from penstock_server.model.resources import Run, Task
from penstock_server.store import run_views
from penstock_server.store.database import Connection, Database


async def run_message(database: Database, run: Run) -> run_pb2.Run:
    """The run as a message, in VIEW_BASIC."""
    async with database.connection() as connection:
        (view,) = await run_views.of_runs(connection, [run])
    return convert.run(view)


async def task_messages(connection: Connection, run: Run, found: Sequence[Task]) -> list[task_pb2.Task]:
    """The tasks of a run as messages, without attempts."""
    reused = {task.cached_run_uid for task in found if task.cached_run_uid is not None}
    run_ids = await run_views.run_ids(connection, reused)
    return [convert.task(task, run, run_ids) for task in found]
