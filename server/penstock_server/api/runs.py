"""RunService: runs themselves. Their tasks, events and logs, and the watches, are in modules of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock.v1 import run_pb2
from penstock.v1 import run_service_pb2 as pb
from penstock_server.api import convert, names
from penstock_server.api.creating import request_key
from penstock_server.api.editing import NewValues, edited, guarded_revision
from penstock_server.api.filter_values import ListFields
from penstock_server.api.lists import Lists
from penstock_server.api.masks import edit_of
from penstock_server.api.new_runs import new_run_request
from penstock_server.api.run_reader import RunReader
from penstock_server.api.run_reads import run_message
from penstock_server.api.specs import spec_message
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.requests import RunRequests
from penstock_server.model.changes import RunLimits
from penstock_server.model.query import Page, Rows
from penstock_server.model.resources import Run
from penstock_server.model.states import RunState
from penstock_server.rpc.call import Call
from penstock_server.store import namespaces, run_views, runs, specs
from penstock_server.store.database import Connection, Database
from penstock_server.store.run_views import RunView

LIMITS = ("priority", "max_parallel_tasks")
"""What can be edited of runs beyond what can be of every resource."""
FIELDS = ListFields(runs.LISTING.fields, enums={"state": frozenset(RunState)}, orders=runs.LISTING.orders)


@dataclass(frozen=True, slots=True)
class Runs:
    """Serves the rpcs of `penstock.v1.RunService` on runs; the schema says what each does."""

    database: Database
    new_runs: NewRuns
    requests: RunRequests
    lists: Lists
    ids: NewIds
    reader: RunReader

    async def create_run(self, request: pb.CreateRunRequest, call: Call) -> pb.CreateRunResponse:
        """A new run, PENDING, or the one that the same request made before."""
        asked = await new_run_request(request, call, self.reader)
        key = request_key(request.request_id, request)
        made, _new = await with_id(
            request.run_id,
            lambda: self.ids.resource_id(*asked.hints, default="run"),
            "RUN_EXISTS",
            lambda id: self.new_runs.create_run(asked.with_id(id, key), validate_only=request.validate_only),
        )
        return pb.CreateRunResponse(run=convert.run(RunView(made)))

    async def get_run(self, request: pb.GetRunRequest, _call: Call) -> pb.GetRunResponse:
        """One run."""
        namespace, id = names.RUN.parse(request.name)
        async with self.database.connection() as connection:
            view = await run_views.get(connection, namespace, id)
            message = convert.run(view)
            if request.view == run_pb2.Run.VIEW_FULL:
                canonical = await specs.get(connection, view.run.spec_digest)
                message.spec.CopyFrom(spec_message(canonical))
        return pb.GetRunResponse(run=message)

    async def list_runs(self, request: pb.ListRunsRequest, _call: Call) -> pb.ListRunsResponse:
        """A page of the runs of a namespace."""
        (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
        async with self.database.connection() as connection:

            async def respond(items: Sequence[Run]) -> pb.ListRunsResponse:
                return pb.ListRunsResponse(runs=map(convert.run, await run_views.of_runs(connection, items)))

            return await self.lists.answer(
                request,
                FIELDS,
                ("ListRuns", namespace),
                lambda page: _list(connection, namespace, page),
                respond,
            )

    async def update_run(self, request: pb.UpdateRunRequest, _call: Call) -> pb.UpdateRunResponse:
        """New values for what can be edited."""
        namespace, id = names.RUN.parse(request.run.name, "run.name")
        edit = edit_of(request.run, request.update_mask, default_display_name=id, more=LIMITS)
        if "max_parallel_tasks" in edit.more:
            edit = replace(edit, more={**edit.more, "max_parallel_tasks": edit.more["max_parallel_tasks"] or None})
        updated = await edited(lambda: self._get(namespace, id), self._write, edit, request.run.etag)
        return pb.UpdateRunResponse(run=await self._message(updated))

    async def delete_run(self, request: pb.DeleteRunRequest, _call: Call) -> pb.DeleteRunResponse:
        """Deletes a finished run; with `force` any run, as soon as it has ended."""
        namespace, id = names.RUN.parse(request.name)
        revision = await self._revision(namespace, id, request.etag)
        await self.requests.delete_run(namespace, id, force=request.force, revision=revision)
        return pb.DeleteRunResponse()

    async def archive_run(self, request: pb.ArchiveRunRequest, _call: Call) -> pb.ArchiveRunResponse:
        """Out of the way, but as it is."""
        changed = await self._set_archived(request.name, request.etag, archived=True)
        return pb.ArchiveRunResponse(run=await self._message(changed))

    async def unarchive_run(self, request: pb.UnarchiveRunRequest, _call: Call) -> pb.UnarchiveRunResponse:
        """Back from the archive."""
        changed = await self._set_archived(request.name, request.etag, archived=False)
        return pb.UnarchiveRunResponse(run=await self._message(changed))

    async def _get(self, namespace: str, id: str) -> Run:
        async with self.database.connection() as connection:
            return await runs.get(connection, namespace, id)

    async def _revision(self, namespace: str, id: str, etag: str) -> int | None:
        """What a guarded change must find; nothing is read when no etag was given."""
        return guarded_revision(await self._get(namespace, id), etag) if etag else None

    async def _write(self, record: Run, values: NewValues) -> Run:
        async with self.database.transaction() as connection:
            return await runs.update(
                connection,
                record,
                display_name=values.display_name,
                description=values.description,
                labels=values.labels,
                limits=RunLimits(
                    values.more.get("priority", record.priority),
                    values.more.get("max_parallel_tasks", record.max_parallel_tasks),
                ),
            )

    async def _set_archived(self, name: str, etag: str, *, archived: bool) -> Run:
        namespace, id = names.RUN.parse(name)
        revision = await self._revision(namespace, id, etag)
        async with self.database.transaction() as connection:
            return await runs.set_archived(connection, namespace, id, archived=archived, revision=revision)

    async def _message(self, run: Run) -> run_pb2.Run:
        return await run_message(self.database, run)


async def _list(connection: Connection, namespace: str, page: Page) -> Rows[Run]:
    rows = await runs.list_page(connection, namespace, page)
    if not rows.items:
        await namespaces.get(connection, namespace)
    return rows
