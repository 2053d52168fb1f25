"""Makes messages of runs with what stands in other rows: what they execute, and what they have been through."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.struct_pb2 import Struct

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.run_histories import RunHistories
from penstock_server.compat.run_messages import tell_run
from penstock_server.compat.spec_messages import SpecMessages
from penstock_server.compat.states import RunStates
from penstock_server.store.database import Connection
from penstock_server.store.kfp_runs import KfpRun


@dataclass(frozen=True, slots=True)
class RunReads:
    """Makes messages of runs."""

    states: RunStates
    specs: SpecMessages
    histories: RunHistories

    def beginning(self, made: KfpRun, spec: Struct | None) -> pb.Run:
        """A run as it was made; `spec` as in `tell_run`."""
        message = pb.Run()
        tell_run(message, made, self.histories.beginning(made.record), spec, self.states)
        return message

    async def message(self, connection: Connection, found: KfpRun) -> pb.Run:
        """The run with all its tasks."""
        message = pb.Run()
        history = await self.histories.of_run(connection, found.record)
        tell_run(message, found, history, await self._spec(connection, found), self.states)
        return message

    async def page(self, connection: Connection, found: Sequence[KfpRun]) -> pb.ListRunsResponse:
        """The runs, with as many tasks as there is room for, and without the names of their pods."""
        response = pb.ListRunsResponse()
        histories = await self.histories.of_page(connection, [run.record for run in found])
        for run, history in zip(found, histories, strict=True):
            tell_run(response.runs.add(), run, history, await self._spec(connection, run), self.states)
        return response

    async def _spec(self, connection: Connection, run: KfpRun) -> Struct | None:
        """What it runs; None where it names a version."""
        return None if run.pipeline_uid is not None else await self.specs.get(connection, run.record.spec_digest)
