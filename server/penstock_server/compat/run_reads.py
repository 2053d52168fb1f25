"""Makes messages of runs with what stands in other rows: what they execute, and what they have been through."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.struct_pb2 import Struct

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.run_histories import RunHistories
from penstock_server.compat.run_messages import run_message
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
        """A run as it was made; `spec` as in `run_message`."""
        return run_message(made, self.histories.beginning(made.record), spec, self.states)

    async def message(self, connection: Connection, found: KfpRun) -> pb.Run:
        """The run with all its tasks."""
        history = await self.histories.of_run(connection, found.record)
        return run_message(found, history, await self._spec(connection, found), self.states)

    async def page(self, connection: Connection, found: Sequence[KfpRun]) -> list[pb.Run]:
        """The runs, with as many tasks as there is room for, and without the names of their pods."""
        histories = await self.histories.of_page(connection, [run.record for run in found])
        pairs = zip(found, histories, strict=True)
        return [run_message(run, history, await self._spec(connection, run), self.states) for run, history in pairs]

    async def _spec(self, connection: Connection, run: KfpRun) -> Struct | None:
        """What it runs; None where it names a version."""
        return None if run.pipeline_uid is not None else await self.specs.get(connection, run.record.spec_digest)
