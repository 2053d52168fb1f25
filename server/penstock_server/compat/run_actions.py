"""RunService of KFP: what callers do to runs that there are - terminate, retry, delete."""

from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.refusals import told_of
from penstock_server.compat.spaces import Spaces
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.taken_up import until_cancelling, until_retried
from penstock_server.engine.wakeups import Wakeups
from penstock_server.model.errors import Conflict, FailedPrecondition
from penstock_server.model.resources import Run
from penstock_server.rpc.call import Call
from penstock_server.store import kfp_runs
from penstock_server.store.database import Database

TERMINATED = "terminated by a client of KFP"


@dataclass(frozen=True, slots=True)
class RunActions:
    """Serves the rpcs of KFP's RunService that change how a run goes on; the schema says what each does."""

    database: Database
    requests: RunRequests
    wakeups: Wakeups
    spaces: Spaces

    async def terminate_run(self, request: pb.TerminateRunRequest, call: Call) -> Empty:
        """Asks for the run to be stopped, and waits until that is under way. One that has ended stays as it is."""
        run = await self._get(request.run_id, call)
        try:
            asked = await self.requests.cancel_run(run.namespace, run.id, message=TERMINATED)
            await until_cancelling(self.database, self.wakeups, asked)
        except FailedPrecondition as error:
            if error.reason != "RUN_FINISHED":
                raise
        return Empty()

    async def retry_run(self, request: pb.RetryRunRequest, call: Call) -> Empty:
        """Asks for a run that has failed, or was cancelled, to go on, and waits for an engine to take that up.

        Raises Conflict(RUN_NOT_FAILED).
        """
        run = await self._get(request.run_id, call)
        try:
            asked = await self.requests.retry_run(run.namespace, run.id)
        except FailedPrecondition as error:
            message = told_of(f"run {request.run_id}", error)
            if error.reason != "RUN_NOT_RETRYABLE":
                raise FailedPrecondition(error.reason, message, metadata=error.metadata) from None
            raise Conflict("RUN_NOT_FAILED", message, metadata=error.metadata) from None
        await until_retried(self.database, self.wakeups, asked)
        return Empty()

    async def delete_run(self, request: pb.DeleteRunRequest, call: Call) -> Empty:
        """Deletes the run; one that is under way is cancelled first, and is gone for KFP's clients from here on."""
        run = await self._get(request.run_id, call)
        await self.requests.delete_run(run.namespace, run.id, force=True)
        return Empty()

    async def _get(self, uid: str, call: Call) -> Run:
        async with self.database.connection() as connection:
            return (await kfp_runs.get(connection, self.spaces.reachable(call), uid)).record
