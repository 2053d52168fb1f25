"""What the API asks of runs that there are: cancel, pause, resume, retry, delete. Nothing here moves a run.

A request is checked and recorded; the engine that owns the run, here or elsewhere, takes it up.
"""

from penstock_server.model.errors import FailedPrecondition
from penstock_server.model.resources import Run
from penstock_server.store import requests, runs
from penstock_server.store.database import Database
from penstock_server.store.revisions import changed_meanwhile


class RunRequests:
    """Checks and records what the API asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cancel_run(
        self,
        namespace: str,
        run_id: str,
        *,
        message: str = "",
        exit_tasks: bool = False,
        revision: int | None = None,
    ) -> Run:
        """Ask for the run to be cancelled, with `exit_tasks` sparing none.

        Raises NotFound, Conflict, FailedPrecondition(RUN_FINISHED).
        """
        async with self._database.transaction() as connection:
            asked = await requests.request_cancel(
                connection, namespace, run_id, message, revision, exit_tasks=exit_tasks
            )
            run = await runs.get(connection, namespace, run_id)
            if not asked:
                _check_revision(run, revision)
                raise _refused("RUN_FINISHED", run, f"is {run.state} already; nothing is left to be cancelled")
            return run

    async def pause_run(self, namespace: str, run_id: str, *, revision: int | None = None) -> Run:
        """Ask for the run to start nothing new; one that is paused stays so.

        Raises NotFound, Conflict, FailedPrecondition(RUN_FINISHED, RUN_CANCELLING).
        """
        async with self._database.transaction() as connection:
            asked = await requests.request_pause(connection, namespace, run_id, revision)
            run = await runs.get(connection, namespace, run_id)
            if not asked:
                _check_revision(run, revision)
                if run.state.is_final:
                    raise _refused("RUN_FINISHED", run, f"is {run.state} already; nothing is left to be paused")
                if run.pause_time is None:
                    raise _refused("RUN_CANCELLING", run, "is being cancelled; that does not wait")
            return run

    async def resume_run(self, namespace: str, run_id: str, *, revision: int | None = None) -> Run:
        """Ask for the run to go on; one that is not paused does so anyway.

        Raises NotFound, Conflict, FailedPrecondition(RUN_FINISHED).
        """
        async with self._database.transaction() as connection:
            asked = await requests.request_resume(connection, namespace, run_id, revision)
            run = await runs.get(connection, namespace, run_id)
            if not asked:
                _check_revision(run, revision)
                if run.state.is_final:
                    raise _refused("RUN_FINISHED", run, f"is {run.state} already; retry it if it is to go on")
            return run

    async def retry_run(self, namespace: str, run_id: str, *, revision: int | None = None) -> Run:
        """Ask for the run to go on.

        Raises NotFound, Conflict, FailedPrecondition(RUN_NOT_RETRYABLE, RUN_IMPORTED).
        """
        async with self._database.transaction() as connection:
            asked = await requests.request_retry(connection, namespace, run_id, revision)
            run = await runs.get(connection, namespace, run_id)
            if not asked:
                _check_revision(run, revision)
                if run.origin:
                    raise _refused("RUN_IMPORTED", run, f"ran in {run.origin}; only a new run can do it again here")
                raise _refused("RUN_NOT_RETRYABLE", run, f"is {run.state}; only failed or cancelled runs go on")
            return run

    async def delete_run(self, namespace: str, run_id: str, *, force: bool, revision: int | None = None) -> None:
        """Delete the run; with `force` one that has not ended is cancelled, and deleted by its engine then.

        Raises NotFound, Conflict, FailedPrecondition(RUN_NOT_FINISHED).
        """
        async with self._database.transaction() as connection:
            if await requests.delete_ended(connection, namespace, run_id, revision):
                return
            run = await runs.get(connection, namespace, run_id)
            _check_revision(run, revision)
            if not force:
                raise _refused("RUN_NOT_FINISHED", run, f"is {run.state}; cancel it and wait, or use force")
            if not await requests.request_delete(connection, namespace, run_id, revision):
                # It ended between the two statements.
                await requests.delete_ended(connection, namespace, run_id, revision)


def _check_revision(run: Run, revision: int | None) -> None:
    if revision is not None and run.revision != revision:
        raise changed_meanwhile(runs.resource_name(run.namespace, run.id))


def _refused(reason: str, run: Run, why: str) -> FailedPrecondition:
    name = runs.resource_name(run.namespace, run.id)
    return FailedPrecondition(reason, f"{name} {why}", metadata={"name": name, "state": run.state})
