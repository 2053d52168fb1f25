"""ExperimentService."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from penstock.v1 import experiment_service_pb2 as pb
from penstock_server.api import convert, names
from penstock_server.api.creating import request_key
from penstock_server.api.editing import NewValues, edited, guarded_revision
from penstock_server.api.filter_values import ListFields
from penstock_server.api.lists import Lists
from penstock_server.api.masks import edit_of
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.wakeups import Wakeups
from penstock_server.model.errors import FailedPrecondition, NotFound
from penstock_server.model.query import And, Comparison, Not, Operator, Page, Rows
from penstock_server.model.resources import Experiment
from penstock_server.rpc.call import Call
from penstock_server.rpc.paging import PAGE_SIZE_MAX
from penstock_server.store import experiments, jobs, namespaces, runs
from penstock_server.store.database import Connection, Database

FIELDS = ListFields(experiments.LISTING.fields, orders=experiments.LISTING.orders)


@dataclass(frozen=True, slots=True)
class ExperimentService:
    """Serves the rpcs of `penstock.v1.ExperimentService`; the schema says what each does."""

    database: Database
    requests: RunRequests
    lists: Lists
    ids: NewIds
    wakeups: Wakeups

    async def create_experiment(self, request: pb.CreateExperimentRequest, _call: Call) -> pb.CreateExperimentResponse:
        """A new experiment, or the one that the same request made before."""
        (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
        made = await with_id(
            request.experiment_id,
            lambda: self.ids.resource_id(request.experiment.display_name, default="experiment"),
            "EXPERIMENT_EXISTS",
            lambda id: self._insert(namespace, id, request),
        )
        return pb.CreateExperimentResponse(experiment=convert.experiment(made))

    async def get_experiment(self, request: pb.GetExperimentRequest, _call: Call) -> pb.GetExperimentResponse:
        """One experiment."""
        found = await self._get(*names.EXPERIMENT.parse(request.name))
        return pb.GetExperimentResponse(experiment=convert.experiment(found))

    async def list_experiments(self, request: pb.ListExperimentsRequest, _call: Call) -> pb.ListExperimentsResponse:
        """A page of the experiments of a namespace."""
        (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
        async with self.database.connection() as connection:
            return await self.lists.answer(
                request,
                FIELDS,
                ("ListExperiments", namespace),
                lambda page: _list(connection, namespace, page),
                _page,
            )

    async def update_experiment(self, request: pb.UpdateExperimentRequest, _call: Call) -> pb.UpdateExperimentResponse:
        """New values for what can be edited."""
        namespace, id = names.EXPERIMENT.parse(request.experiment.name, "experiment.name")
        edit = edit_of(request.experiment, request.update_mask, default_display_name=id)
        updated = await edited(lambda: self._get(namespace, id), self._write, edit, request.experiment.etag)
        return pb.UpdateExperimentResponse(experiment=convert.experiment(updated))

    async def delete_experiment(self, request: pb.DeleteExperimentRequest, _call: Call) -> pb.DeleteExperimentResponse:
        """Nothing of the experiment is left; with `force` jobs go and runs that have not ended are ended first."""
        namespace, id = names.EXPERIMENT.parse(request.name)
        with self.wakeups.of_all() as wakeup:
            while not await self._delete(namespace, id, request):
                await self._delete_jobs(namespace, id)
                await self._end_runs(namespace, id)
                await wakeup.wait()
        return pb.DeleteExperimentResponse()

    async def archive_experiment(
        self, request: pb.ArchiveExperimentRequest, _call: Call
    ) -> pb.ArchiveExperimentResponse:
        """Takes no new runs from here on."""
        changed = await self._set_archived(request.name, request.etag, archived=True)
        return pb.ArchiveExperimentResponse(experiment=convert.experiment(changed))

    async def unarchive_experiment(
        self, request: pb.UnarchiveExperimentRequest, _call: Call
    ) -> pb.UnarchiveExperimentResponse:
        """Takes runs again."""
        changed = await self._set_archived(request.name, request.etag, archived=False)
        return pb.UnarchiveExperimentResponse(experiment=convert.experiment(changed))

    async def _get(self, namespace: str, id: str) -> Experiment:
        async with self.database.connection() as connection:
            return await experiments.get(connection, namespace, id)

    async def _insert(self, namespace: str, id: str, request: pb.CreateExperimentRequest) -> Experiment:
        async with self.database.transaction() as connection:
            await namespaces.get(connection, namespace)
            made, _new = await experiments.insert(
                connection,
                namespace,
                id,
                display_name=request.experiment.display_name or id,
                description=request.experiment.description,
                labels=request.experiment.labels,
                request=request_key(request.request_id, request),
            )
        return made

    async def _write(self, record: Experiment, values: NewValues) -> Experiment:
        async with self.database.connection() as connection:
            return await experiments.update(
                connection,
                record.uid,
                record.revision,
                display_name=values.display_name,
                description=values.description,
                labels=values.labels,
            )

    async def _delete(self, namespace: str, id: str, request: pb.DeleteExperimentRequest) -> bool:
        """False when it was to be deleted by force, but has runs that have not ended."""
        try:
            async with self.database.transaction() as connection:
                found = await experiments.get(connection, namespace, id)
                revision = guarded_revision(found, request.etag)
                await experiments.delete(connection, namespace, id, force=request.force, revision=revision)
        except FailedPrecondition as error:
            if error.reason != "RUN_NOT_FINISHED":
                raise
            return False
        return True

    async def _delete_jobs(self, namespace: str, id: str) -> None:
        """Delete its jobs, which would make new runs for as long as old ones are waited for."""
        page = Page(PAGE_SIZE_MAX, _in_experiment(namespace, id))
        async with self.database.transaction() as connection:
            rows = await jobs.list_page(connection, namespace, page)
            await jobs.delete(connection, [job.uid for job in rows.items])

    async def _end_runs(self, namespace: str, id: str) -> None:
        """Ask for the runs that have not ended to be cancelled and deleted."""
        still_open = Not(Comparison("end_time", Operator.HAS, "*"))
        page = Page(PAGE_SIZE_MAX, And((_in_experiment(namespace, id), still_open)))
        async with self.database.connection() as connection:
            rows = await runs.list_page(connection, namespace, page)
        for run in rows.items:
            with suppress(NotFound):  # gone meanwhile, which is what is wanted
                await self.requests.delete_run(namespace, run.id, force=True)

    async def _set_archived(self, name: str, etag: str, *, archived: bool) -> Experiment:
        namespace, id = names.EXPERIMENT.parse(name)
        async with self.database.transaction() as connection:
            revision = guarded_revision(await experiments.get(connection, namespace, id), etag)
            return await experiments.set_archived(connection, namespace, id, archived=archived, revision=revision)


def _in_experiment(namespace: str, id: str) -> Comparison:
    return Comparison("experiment", Operator.EQUAL, names.EXPERIMENT.format(namespace, id))


async def _list(connection: Connection, namespace: str, page: Page) -> Rows[Experiment]:
    rows = await experiments.list_page(connection, namespace, page)
    if not rows.items:
        await namespaces.get(connection, namespace)
    return rows


async def _page(items: Sequence[Experiment]) -> pb.ListExperimentsResponse:
    return pb.ListExperimentsResponse(experiments=map(convert.experiment, items))
