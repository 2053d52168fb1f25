"""RunService: what callers do to runs that there are - cancel, pause, resume, retry, run again."""

from dataclasses import dataclass

from penstock.v1 import run_service_pb2 as pb
from penstock_server.api import convert, names
from penstock_server.api.creating import request_key
from penstock_server.api.editing import guarded_revision
from penstock_server.api.new_runs import rerun_request
from penstock_server.api.run_reads import run_message
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.taken_up import until_cancelling, until_retried
from penstock_server.engine.wakeups import Wakeups
from penstock_server.model.resources import Run
from penstock_server.rpc.call import Call
from penstock_server.store import runs
from penstock_server.store.database import Database
from penstock_server.store.run_views import RunView


@dataclass(frozen=True, slots=True)
class RunControl:
    """Serves the rpcs of `penstock.v1.RunService` that change how a run goes on; the schema says what each does."""

    database: Database
    new_runs: NewRuns
    requests: RunRequests
    ids: NewIds
    wakeups: Wakeups

    async def cancel_run(self, request: pb.CancelRunRequest, _call: Call) -> pb.CancelRunResponse:
        """Asks for the run to be stopped, and waits for an engine to take that up.

        Until then the run looks as if nobody had asked.
        """
        namespace, id = names.RUN.parse(request.name)
        revision = await self._revision(namespace, id, request.etag)
        asked = await self.requests.cancel_run(
            namespace, id, message=request.message, exit_tasks=request.cancel_exit_tasks, revision=revision
        )
        run = await until_cancelling(self.database, self.wakeups, asked)
        return pb.CancelRunResponse(run=await run_message(self.database, run))

    async def pause_run(self, request: pb.PauseRunRequest, _call: Call) -> pb.PauseRunResponse:
        """Asks for nothing new to start."""
        namespace, id = names.RUN.parse(request.name)
        revision = await self._revision(namespace, id, request.etag)
        run = await self.requests.pause_run(namespace, id, revision=revision)
        return pb.PauseRunResponse(run=await run_message(self.database, run))

    async def resume_run(self, request: pb.ResumeRunRequest, _call: Call) -> pb.ResumeRunResponse:
        """Asks for a paused run to go on."""
        namespace, id = names.RUN.parse(request.name)
        revision = await self._revision(namespace, id, request.etag)
        run = await self.requests.resume_run(namespace, id, revision=revision)
        return pb.ResumeRunResponse(run=await run_message(self.database, run))

    async def retry_run(self, request: pb.RetryRunRequest, _call: Call) -> pb.RetryRunResponse:
        """Asks for a failed or cancelled run to go on, and waits for an engine to take that up.

        Until then the run looks as if it had ended, and whoever waits for its end would not wait.
        """
        namespace, id = names.RUN.parse(request.name)
        revision = await self._revision(namespace, id, request.etag)
        run = await self.requests.retry_run(namespace, id, revision=revision)
        taken_up = await until_retried(self.database, self.wakeups, run)
        return pb.RetryRunResponse(run=await run_message(self.database, taken_up))

    async def rerun_run(self, request: pb.RerunRunRequest, call: Call) -> pb.RerunRunResponse:
        """A new run from an old one, or what it would reuse."""
        key = request_key(request.request_id, request)
        _, old = names.RUN.parse(request.name)
        made, forecast = await with_id(
            request.run_id,
            lambda: self.ids.resource_id(request.display_name, old, default="run"),
            "RUN_EXISTS",
            lambda id: self.new_runs.rerun(rerun_request(request, call, id, key), validate_only=request.validate_only),
        )
        response = pb.RerunRunResponse(run=convert.run(RunView(made, rerun_of_id=old)))
        if forecast is not None:
            response.forecast.CopyFrom(convert.forecast(forecast))
        return response

    async def _get(self, namespace: str, id: str) -> Run:
        async with self.database.connection() as connection:
            return await runs.get(connection, namespace, id)

    async def _revision(self, namespace: str, id: str, etag: str) -> int | None:
        """What a guarded change must find; nothing is read when no etag was given."""
        return guarded_revision(await self._get(namespace, id), etag) if etag else None
