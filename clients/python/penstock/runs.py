"""The run methods of the client: `client.runs`. Making, watching and waiting for runs is in `running.py`."""

import uuid
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from penstock.changes import changed_fields
from penstock.effects import Items, Operation, invoke
from penstock.faces import Asynchronous, Blocking, Face, items, operation
from penstock.names import Ref, namespace_name, resource_name, task_name, version_name
from penstock.paging import pages
from penstock.resuming import invoke_repeatably
from penstock.v1 import run_service_pb2
from penstock.v1.event_pb2 import Event
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Task
from penstock.values import to_value

Forecast: TypeAlias = run_service_pb2.RerunRunResponse.Forecast


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
        priority: int | None = None,
        max_parallel_tasks: int | None = None,
        etag: str = "",
    ) -> Operation[Run]:
        """Change what is given; a `max_parallel_tasks` of 0 lifts the bound.

        Raises ConflictError when `etag` is not the run's any more.
        """
        fields, mask = changed_fields(
            display_name, description, labels, priority=priority, max_parallel_tasks=max_parallel_tasks
        )
        changed = Run(name=self._name(run), etag=etag, **fields)
        request = run_service_pb2.UpdateRunRequest(run=changed, update_mask=mask)
        response = yield from invoke(request, run_service_pb2.UpdateRunResponse)
        return response.run

    @operation
    def cancel(self, run: Ref, *, message: str = "", cancel_exit_tasks: bool = False, etag: str = "") -> Operation[Run]:
        """Ask for a run to be stopped; returns before it has. Its exit tasks run, unless they are cancelled too.

        Raises FailedPreconditionError when it has ended.
        """
        request = run_service_pb2.CancelRunRequest(
            name=self._name(run), message=message, cancel_exit_tasks=cancel_exit_tasks, etag=etag
        )
        response = yield from invoke(request, run_service_pb2.CancelRunResponse)
        return response.run

    @operation
    def pause(self, run: Ref, *, etag: str = "") -> Operation[Run]:
        """Ask for nothing new to start in a run; what runs goes on.

        Raises FailedPreconditionError when it has ended or is being cancelled.
        """
        request = run_service_pb2.PauseRunRequest(name=self._name(run), etag=etag)
        response = yield from invoke(request, run_service_pb2.PauseRunResponse)
        return response.run

    @operation
    def resume(self, run: Ref, *, etag: str = "") -> Operation[Run]:
        """Let a paused run go on. Raises FailedPreconditionError when it has ended."""
        request = run_service_pb2.ResumeRunRequest(name=self._name(run), etag=etag)
        response = yield from invoke(request, run_service_pb2.ResumeRunResponse)
        return response.run

    @operation
    def rerun(
        self,
        run: Ref,
        parameters: Mapping[str, object] | None = None,
        *,
        unset_parameters: Sequence[str] = (),
        source: Ref | None = None,
        run_id: str = "",
        display_name: str = "",
        request_id: str = "",
    ) -> Operation[Run]:
        """Make a new run from an old one that reuses the results of all steps that nothing has changed for.

        `parameters` are those that change, `unset_parameters` those that take their defaults again; `source` is a
        pipeline version to run instead of the old run's. What would be reused, `forecast_rerun` tells beforehand.
        """
        request = self._rerun(run, parameters, unset_parameters, source)
        request.run_id, request.display_name = run_id, display_name
        request.request_id = request_id or str(uuid.uuid4())
        response = yield from invoke_repeatably(request, run_service_pb2.RerunRunResponse)
        return response.run

    @operation
    def forecast_rerun(
        self,
        run: Ref,
        parameters: Mapping[str, object] | None = None,
        *,
        unset_parameters: Sequence[str] = (),
        source: Ref | None = None,
    ) -> Operation[Forecast]:
        """What `rerun` would reuse, and what it would run; makes nothing."""
        request = self._rerun(run, parameters, unset_parameters, source)
        request.validate_only = True
        response = yield from invoke(request, run_service_pb2.RerunRunResponse)
        return response.forecast

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

    def _rerun(
        self, run: Ref, parameters: Mapping[str, object] | None, unset_parameters: Sequence[str], source: Ref | None
    ) -> run_service_pb2.RerunRunRequest:
        return run_service_pb2.RerunRunRequest(
            name=self._name(run),
            parameters={name: to_value(value, name) for name, value in (parameters or {}).items()},
            unset_parameters=unset_parameters,
            pipeline_version="" if source is None else version_name(self._namespace, source, None),
        )

    def _name(self, run: Ref) -> str:
        return resource_name(self._namespace, "runs", run)


class BlockingRuns(RunMethods, Blocking):
    """`client.runs`."""


class AsynchronousRuns(RunMethods, Asynchronous):
    """`client.runs` for asyncio."""
