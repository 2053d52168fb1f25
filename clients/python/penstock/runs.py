"""The run methods of the client: `client.runs`. Making, watching and waiting for runs is in `running.py`."""

from collections.abc import Mapping

from penstock.changes import changed_fields
from penstock.effects import Items, Operation, invoke
from penstock.faces import Asynchronous, Blocking, Face, items, operation
from penstock.names import Ref, namespace_name, resource_name, task_name
from penstock.paging import pages
from penstock.v1 import run_service_pb2
from penstock.v1.event_pb2 import Event
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Task


class RunMethods(Face):
    """Runs, their tasks and events."""

    @operation
    def get(self, run: Ref, *, with_spec: bool = False) -> Operation[Run]:
        """A run; `with_spec` also brings the spec it executes. Raises NotFoundError."""
        view = Run.VIEW_FULL if with_spec else Run.VIEW_BASIC
        request = run_service_pb2.GetRunRequest(name=self._name(run), view=view)
        response = yield from invoke(request, run_service_pb2.GetRunResponse)
        return response.run

    @items
    def list(self, *, filter: str = "", order_by: str = "", page_size: int = 0) -> Items[Run]:
        """The runs that match `filter` (AIP-160), newest first, fetched page by page.

        `list(filter='state = FAILED AND labels.team = "vision"')`
        """
        request = run_service_pb2.ListRunsRequest(
            parent=namespace_name(self._namespace), filter=filter, order_by=order_by, page_size=page_size
        )
        return pages(request, run_service_pb2.ListRunsResponse, lambda response: response.runs)

    @operation
    def update(
        self,
        run: Ref,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> Operation[Run]:
        """Change what is given. Raises ConflictError when `etag` is not the run's any more."""
        fields, mask = changed_fields(display_name, description, labels)
        changed = Run(name=self._name(run), etag=etag, **fields)
        request = run_service_pb2.UpdateRunRequest(run=changed, update_mask=mask)
        response = yield from invoke(request, run_service_pb2.UpdateRunResponse)
        return response.run

    @operation
    def cancel(self, run: Ref, *, message: str = "", etag: str = "") -> Operation[Run]:
        """Ask for a run to be stopped; returns before it has.

        Raises FailedPreconditionError when it has ended.
        """
        request = run_service_pb2.CancelRunRequest(name=self._name(run), message=message, etag=etag)
        response = yield from invoke(request, run_service_pb2.CancelRunResponse)
        return response.run

    @operation
    def retry(self, run: Ref, *, etag: str = "") -> Operation[Run]:
        """Start a failed or cancelled run again; what succeeded is kept.

        Raises FailedPreconditionError otherwise.
        """
        request = run_service_pb2.RetryRunRequest(name=self._name(run), etag=etag)
        response = yield from invoke(request, run_service_pb2.RetryRunResponse)
        return response.run

    @operation
    def delete(self, run: Ref, *, force: bool = False, etag: str = "") -> Operation[None]:
        """Delete a finished run; with `force` one that is not finished is cancelled first."""
        request = run_service_pb2.DeleteRunRequest(name=self._name(run), force=force, etag=etag)
        yield from invoke(request, run_service_pb2.DeleteRunResponse)

    @operation
    def archive(self, run: Ref, *, etag: str = "") -> Operation[Run]:
        """Archive a run; it goes on if it is not finished."""
        request = run_service_pb2.ArchiveRunRequest(name=self._name(run), etag=etag)
        response = yield from invoke(request, run_service_pb2.ArchiveRunResponse)
        return response.run

    @operation
    def unarchive(self, run: Ref, *, etag: str = "") -> Operation[Run]:
        """Take a run back from the archive."""
        request = run_service_pb2.UnarchiveRunRequest(name=self._name(run), etag=etag)
        response = yield from invoke(request, run_service_pb2.UnarchiveRunResponse)
        return response.run

    @items
    def tasks(
        self,
        run: Ref,
        *,
        parent_task: Ref | None = None,
        filter: str = "",
        order_by: str = "",
        page_size: int = 0,
    ) -> Items[Task]:
        """The tasks of a run, or only the direct children of `parent_task`, without their attempts."""
        parent = task_name(self._namespace, run, parent_task) if parent_task is not None else ""
        request = run_service_pb2.ListTasksRequest(
            parent=self._name(run), parent_task=parent, filter=filter, order_by=order_by, page_size=page_size
        )
        return pages(request, run_service_pb2.ListTasksResponse, lambda response: response.tasks)

    @operation
    def task(self, run: Ref, task: Ref) -> Operation[Task]:
        """A task of a run, with its attempts. Raises NotFoundError."""
        request = run_service_pb2.GetTaskRequest(name=task_name(self._namespace, run, task))
        response = yield from invoke(request, run_service_pb2.GetTaskResponse)
        return response.task

    @items
    def events(self, run: Ref, *, after_sequence: int = 0, filter: str = "", page_size: int = 0) -> Items[Event]:
        """The events of a run so far, in order. To hear of new ones, use `client.watch_run`."""
        request = run_service_pb2.ListEventsRequest(
            parent=self._name(run), after_sequence=after_sequence, filter=filter, page_size=page_size
        )
        return pages(request, run_service_pb2.ListEventsResponse, lambda response: response.events)

    def _name(self, run: Ref) -> str:
        return resource_name(self._namespace, "runs", run)


class BlockingRuns(RunMethods, Blocking):
    """`client.runs`."""


class AsynchronousRuns(RunMethods, Asynchronous):
    """`client.runs` for asyncio."""
