"""What is done to an experiment together with all that is in it."""

from penstock_server.engine.jobs import Jobs
from penstock_server.model.query import And, Comparison, Operator, Page
from penstock_server.store import experiments, jobs
from penstock_server.store.database import Database

JOBS_AT_A_TIME = 200


class WholeExperiments:
    """Experiments with their runs and jobs."""

    def __init__(self, database: Database, of_jobs: Jobs) -> None:
        self._database = database
        self._jobs = of_jobs

    async def archive(self, namespace: str, id: str) -> None:
        """Put it into the archive with its runs, and disable its jobs. Repeating changes nothing.

        Raises NotFound, FailedPrecondition(DEFAULT_EXPERIMENT).
        """
        async with self._database.connection() as connection:
            found = await experiments.get(connection, namespace, id)
        if found.archive_time is not None:
            return
        # Before the experiment is archived, since from then on its jobs cannot be changed.
        await self._disable_jobs(namespace, id)
        async with self._database.transaction() as connection:
            await experiments.set_archived(connection, namespace, id, archived=True)
            await experiments.archive_runs(connection, found.uid)

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
