"""What is done to an experiment together with all that is in it.

It may hold more runs than one transaction should change: those that there are go first, some at a time, and the
transaction that changes the experiment takes what has come since. Whoever is interrupted repeats the call.
"""

from collections.abc import Awaitable, Callable

from penstock_server.engine.jobs import Jobs
from penstock_server.model.query import And, Comparison, Operator, Page
from penstock_server.store import experiments, jobs
from penstock_server.store.database import Connection, Database

JOBS_AT_A_TIME = 200
RUNS_AT_A_TIME = 1_000


_ChangeSome = Callable[[Connection, str, str, int], Awaitable[int]]


class WholeExperiments:
    """Experiments with their runs and jobs."""

    def __init__(self, database: Database, of_jobs: Jobs, *, runs_at_a_time: int = RUNS_AT_A_TIME) -> None:
        self._database = database
        self._jobs = of_jobs
        self._runs_at_a_time = runs_at_a_time

    async def archive(self, namespace: str, id: str) -> None:
        """Put it into the archive with its runs, and disable its jobs. Repeating changes nothing.

        Raises NotFound, FailedPrecondition(DEFAULT_EXPERIMENT).
        """
        experiments.check_may_go(id, "archived")
        async with self._database.connection() as connection:
            found = await experiments.get(connection, namespace, id)
        if found.archive_time is not None:
            return
        # Before the experiment is archived, since from then on its jobs cannot be changed.
        await self._disable_jobs(namespace, id)
        await self._some_at_a_time(experiments.archive_some_runs, namespace, id)
        async with self._database.transaction() as connection:
            await experiments.set_archived(connection, namespace, id, archived=True)
            await experiments.archive_runs(connection, found.uid)

    async def dissolve(self, namespace: str, id: str) -> None:
        """Delete it; its runs and its jobs stay, in the default experiment.

        Raises NotFound, FailedPrecondition(DEFAULT_EXPERIMENT).
        """
        experiments.check_may_go(id, "deleted")
        await self._some_at_a_time(experiments.move_some_runs, namespace, id)
        async with self._database.transaction() as connection:
            await experiments.dissolve(connection, namespace, id)

    async def _some_at_a_time(self, change: _ChangeSome, namespace: str, id: str) -> None:
        """Repeat `change`, each time in a transaction of its own, until it finds fewer runs than it may change."""
        changed = self._runs_at_a_time
        while changed == self._runs_at_a_time:
            async with self._database.transaction() as connection:
                changed = await change(connection, namespace, id, self._runs_at_a_time)

    async def _disable_jobs(self, namespace: str, id: str) -> None:
        name = experiments.resource_name(namespace, id)
        enabled = Comparison("state", Operator.EQUAL, "ENABLED")
        page = Page(JOBS_AT_A_TIME, And((Comparison("experiment", Operator.EQUAL, name), enabled)))
        while True:
            async with self._database.connection() as connection:
                rows = await jobs.list_page(connection, namespace, page)
            for job in rows.items:
                await self._jobs.set_enabled(namespace, job.id, enabled=False)
            if rows.next is None:
                return
