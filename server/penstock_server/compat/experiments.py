"""ExperimentService of KFP."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty

from penstock.kfp.v2beta1 import experiment_pb2 as pb
from penstock_server.compat import fields
from penstock_server.compat.fields import KfpList
from penstock_server.compat.lists import Lists
from penstock_server.compat.naming import check_chars
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.times import record_time
from penstock_server.engine.experiments import WholeExperiments
from penstock_server.engine.new_ids import derived_ids
from penstock_server.model.errors import Conflict
from penstock_server.rpc.call import Call
from penstock_server.store import experiments, kfp_views, namespaces
from penstock_server.store.database import Database
from penstock_server.store.kfp_views import ExperimentView

NAME_CHARS_MAX = 128

LIST = KfpList(
    kfp_views.EXPERIMENTS,
    {
        **dict.fromkeys(("id", "experiment_id"), fields.text("experiment_id")),
        **dict.fromkeys(("name", "display_name"), fields.text("display_name")),
        "created_at": fields.time("created_at"),
        "last_run_created_at": fields.time("last_run_created_at"),
        "description": fields.text("description"),
        "namespace": fields.text("namespace"),
        "storage_state": fields.choice("storage_state", fields.storage_states()),
    },
)


@dataclass(frozen=True, slots=True)
class Experiments:
    """Serves the rpcs of KFP's ExperimentService; the schema says what each does."""

    database: Database
    whole: WholeExperiments
    lists: Lists
    spaces: Spaces

    async def create_experiment(self, request: pb.CreateExperimentRequest, call: Call) -> pb.Experiment:
        """A new experiment, the only one of its name in the namespace."""
        given = request.experiment
        namespace = self.spaces.own(given.namespace, call, "experiment.namespace")
        name = check_chars(given.display_name, "experiment.display_name", NAME_CHARS_MAX)
        async with self.database.transaction() as connection:
            await namespaces.get(connection, namespace)
            made = await experiments.insert_named(
                connection,
                namespace,
                derived_ids(name, default="experiment"),
                display_name=name,
                description=given.description,
            )
        return self._message(ExperimentView(made, None))

    async def get_experiment(self, request: pb.GetExperimentRequest, call: Call) -> pb.Experiment:
        """One experiment."""
        return self._message(await self._get(request.experiment_id, call))

    async def list_experiments(self, request: pb.ListExperimentsRequest, call: Call) -> pb.ListExperimentsResponse:
        """A page of the experiments of a namespace."""
        scope = {"namespace": self.spaces.own(request.namespace, call)}
        async with self.database.connection() as connection:
            return await self.lists.answer(connection, request, LIST, scope, self._page)

    async def archive_experiment(self, request: pb.ArchiveExperimentRequest, call: Call) -> Empty:
        """Archived with its runs; its jobs are disabled."""
        record = (await self._get(request.experiment_id, call)).record
        await self.whole.archive(record.namespace, record.id)
        return Empty()

    async def unarchive_experiment(self, request: pb.UnarchiveExperimentRequest, call: Call) -> Empty:
        """Back from the archive; its runs stay there and its jobs disabled."""
        record = (await self._get(request.experiment_id, call)).record
        async with self.database.transaction() as connection:
            await experiments.set_archived(connection, record.namespace, record.id, archived=False)
        return Empty()

    async def delete_experiment(self, request: pb.DeleteExperimentRequest, call: Call) -> Empty:
        """Gone; its runs and jobs stay, in the default experiment. Raises Conflict(DEFAULT_EXPERIMENT_NEEDED)."""
        record = (await self._get(request.experiment_id, call)).record
        if record.id == experiments.DEFAULT:
            raise Conflict("DEFAULT_EXPERIMENT_NEEDED", "the default experiment cannot be deleted")
        await self.whole.dissolve(record.namespace, record.id)
        return Empty()

    async def _get(self, uid: str, call: Call) -> ExperimentView:
        namespace = self.spaces.reachable(call)
        async with self.database.connection() as connection:
            return await kfp_views.get_experiment(connection, namespace, uid)

    async def _page(self, items: Sequence[ExperimentView]) -> pb.ListExperimentsResponse:
        return pb.ListExperimentsResponse(experiments=map(self._message, items))

    def _message(self, view: ExperimentView) -> pb.Experiment:
        record = view.record
        state = pb.Experiment.AVAILABLE if record.archive_time is None else pb.Experiment.ARCHIVED
        return pb.Experiment(
            experiment_id=str(record.uid),
            display_name=record.display_name,
            description=record.description,
            created_at=record_time(record.create_time),
            namespace=self.spaces.shown(record.namespace),
            storage_state=state,
            last_run_created_at=record_time(view.last_run_time),
        )
