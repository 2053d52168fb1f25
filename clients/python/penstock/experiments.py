"""The experiment methods of the client: `client.experiments`."""

import uuid
from collections.abc import Mapping

from penstock.changes import changed_fields
from penstock.effects import Items, Operation, invoke
from penstock.faces import Asynchronous, Blocking, Face, items, operation
from penstock.names import Ref, namespace_name, resource_name
from penstock.paging import pages
from penstock.resuming import invoke_repeatably
from penstock.v1 import experiment_service_pb2
from penstock.v1.experiment_pb2 import Experiment


class ExperimentMethods(Face):
    """Experiments: named groups of runs."""

    @operation
    def create(
        self,
        experiment_id: str = "",
        *,
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> Operation[Experiment]:
        """Make an experiment; without an id the server makes one up. Raises AlreadyExistsError."""
        request = experiment_service_pb2.CreateExperimentRequest(
            parent=namespace_name(self._namespace),
            experiment_id=experiment_id,
            experiment=Experiment(display_name=display_name, description=description, labels=labels),
            request_id=request_id or str(uuid.uuid4()),
        )
        response = yield from invoke_repeatably(request, experiment_service_pb2.CreateExperimentResponse)
        return response.experiment

    @operation
    def get(self, experiment: Ref) -> Operation[Experiment]:
        """An experiment. Raises NotFoundError."""
        request = experiment_service_pb2.GetExperimentRequest(name=self._name(experiment))
        response = yield from invoke(request, experiment_service_pb2.GetExperimentResponse)
        return response.experiment

    @items
    def list(self, *, filter: str = "", order_by: str = "", page_size: int = 0) -> Items[Experiment]:
        """The experiments that match `filter` (AIP-160), fetched page by page."""
        request = experiment_service_pb2.ListExperimentsRequest(
            parent=namespace_name(self._namespace), filter=filter, order_by=order_by, page_size=page_size
        )
        response_type = experiment_service_pb2.ListExperimentsResponse
        return pages(request, response_type, lambda response: response.experiments)

    @operation
    def update(
        self,
        experiment: Ref,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> Operation[Experiment]:
        """Change what is given. Raises ConflictError when `etag` is not the experiment's any more."""
        fields, mask = changed_fields(display_name, description, labels)
        changed = Experiment(name=self._name(experiment), etag=etag, **fields)
        request = experiment_service_pb2.UpdateExperimentRequest(experiment=changed, update_mask=mask)
        response = yield from invoke(request, experiment_service_pb2.UpdateExperimentResponse)
        return response.experiment

    @operation
    def delete(self, experiment: Ref, *, force: bool = False, etag: str = "") -> Operation[None]:
        """Delete an experiment; with `force` its runs too.

        Raises FailedPreconditionError while it has runs.
        """
        request = experiment_service_pb2.DeleteExperimentRequest(name=self._name(experiment), force=force, etag=etag)
        yield from invoke(request, experiment_service_pb2.DeleteExperimentResponse)

    @operation
    def archive(self, experiment: Ref, *, etag: str = "") -> Operation[Experiment]:
        """Archive an experiment: it takes no new runs."""
        request = experiment_service_pb2.ArchiveExperimentRequest(name=self._name(experiment), etag=etag)
        response = yield from invoke(request, experiment_service_pb2.ArchiveExperimentResponse)
        return response.experiment

    @operation
    def unarchive(self, experiment: Ref, *, etag: str = "") -> Operation[Experiment]:
        """Take an experiment back from the archive."""
        request = experiment_service_pb2.UnarchiveExperimentRequest(name=self._name(experiment), etag=etag)
        response = yield from invoke(request, experiment_service_pb2.UnarchiveExperimentResponse)
        return response.experiment

    def _name(self, experiment: Ref) -> str:
        return resource_name(self._namespace, "experiments", experiment)


class BlockingExperiments(ExperimentMethods, Blocking):
    """`client.experiments`."""


class AsynchronousExperiments(ExperimentMethods, Asynchronous):
    """`client.experiments` for asyncio."""
