"""RunService of KFP: runs themselves. What becomes of them is in `run_actions`, their files in `run_files`."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial

from google.protobuf.empty_pb2 import Empty

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat import fields
from penstock_server.compat.asked_runs import PARAMETERS, AskedRun, AskedRuns
from penstock_server.compat.fields import KfpList
from penstock_server.compat.lists import Lists
from penstock_server.compat.run_reads import RunReads
from penstock_server.compat.scopes import scope_of
from penstock_server.compat.sources import Sources
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.states import RUN_STATES, RunStates
from penstock_server.compat.times import read_time
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.run_requests import InlineSpec, NewRunRequest, RunSource
from penstock_server.model.errors import Conflict
from penstock_server.model.query import Comparison, Filter, Operator, Or
from penstock_server.model.resources import Run
from penstock_server.rpc.call import Call
from penstock_server.schedule.macros import SlotFacts
from penstock_server.store import experiments, kfp_runs, runs
from penstock_server.store.database import Database
from penstock_server.store.kfp_runs import KfpRun

FIELD = "run"
_OLDEST_FIRST = ("created_at",)
_TEXTS = ("namespace", "recurring_run_id", "state_history", "runtime_details")


@cache
def run_list(states: RunStates) -> KfpList[KfpRun]:
    """Runs, with the fields that KFP knows; states are those that messages tell."""
    state = fields.choice("state", _choices(states), then=_OLDEST_FIRST)
    return KfpList(
        kfp_runs.LISTING,
        {
            **dict.fromkeys(("id", "run_id"), fields.text("run_id")),
            **dict.fromkeys(("name", "display_name"), fields.text("display_name")),
            **dict.fromkeys(("status", "state"), state),
            **{name: fields.time(name) for name in ("created_at", "finished_at", "scheduled_at")},
            **{name: fields.text(name, then=_OLDEST_FIRST) for name in ("description", "experiment_id")},
            **{name: fields.text(name) for name in _TEXTS},
            fields.METRIC: fields.metrics(),
            "storage_state": fields.choice("storage_state", fields.storage_states()),
        },
    )


def _choices(states: RunStates) -> Mapping[str, Filter]:
    """Which runs are told to be in each state."""
    told: dict[str, tuple[Filter, ...]] = {}
    for state in RUN_STATES:
        word = pb.RuntimeState.Name(states.of(state))
        told[word] = (*told.get(word, ()), Comparison("state", Operator.EQUAL, state.value, literal=True))
    return {word: Or(rows) for word, rows in told.items()}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Runs:
    """Serves the rpcs of KFP's RunService on runs; the schema says what each does."""

    database: Database
    new_runs: NewRuns
    lists: Lists
    spaces: Spaces
    asked: AskedRuns
    sources: Sources
    reads: RunReads
    ids: NewIds
    now: Callable[[], datetime] = _now

    async def create_run(self, request: pb.CreateRunRequest, call: Call) -> pb.Run:
        """A new run, PENDING."""
        given = request.run
        if given.plugins_output:
            message = f"{FIELD}.plugins_output is told by the server alone; leave it out"
            raise Conflict("PLUGINS_OUTPUT_GIVEN", message)
        async with self.database.connection() as connection:
            experiment_id = given.experiment_id or request.experiment_id
            asked = await self.asked.read(connection, given, experiment_id, call, FIELD)
            source = await self.sources.read(connection, given, asked.experiment.namespace, FIELD)
        new = self._new_run(asked, source, self._facts(given), call)
        made, _is_new = await with_id(
            "",
            lambda: self.ids.resource_id(asked.display_name, default="run"),
            "RUN_EXISTS",
            lambda id: self.new_runs.create_run(new(id)),
        )
        return await self._told(made, source)

    async def get_run(self, request: pb.GetRunRequest, call: Call) -> pb.Run:
        """One run with its tasks."""
        async with self.database.connection() as connection:
            found = await kfp_runs.get(connection, self.spaces.reachable(call), request.run_id)
            return await self.reads.message(connection, found)

    async def list_runs(self, request: pb.ListRunsRequest, call: Call) -> pb.ListRunsResponse:
        """A page of the runs of a namespace, or of an experiment."""
        scope = scope_of(request, self.spaces, call)
        async with self.database.connection() as connection:
            respond = partial(self.reads.page, connection)
            return await self.lists.answer(connection, request, run_list(self.reads.states), scope, respond)

    async def archive_run(self, request: pb.ArchiveRunRequest, call: Call) -> Empty:
        """Out of the way, but as it is."""
        async with self.database.transaction() as connection:
            run = (await kfp_runs.get(connection, self.spaces.reachable(call), request.run_id)).record
            await runs.set_archived(connection, run.namespace, run.id, archived=True)
        return Empty()

    async def unarchive_run(self, request: pb.UnarchiveRunRequest, call: Call) -> Empty:
        """Back from the archive, unless its experiment is there."""
        async with self.database.transaction() as connection:
            run = (await kfp_runs.get(connection, self.spaces.reachable(call), request.run_id)).record
            await experiments.get_open(connection, run.namespace, run.experiment_id)
            await runs.set_archived(connection, run.namespace, run.id, archived=False)
        return Empty()

    async def _told(self, made: Run, source: RunSource) -> pb.Run:
        """A run as it was made. Nothing of that is read again: an engine may have taken it further already."""
        if isinstance(source, InlineSpec):
            return self.reads.beginning(KfpRun(made), self.reads.specs.of(source.digest, source.canonical))
        async with self.database.connection() as connection:
            found = await kfp_runs.with_version(connection, made)
            gone = found.pipeline_uid is None
            return self.reads.beginning(
                found, await self.reads.specs.get(connection, made.spec_digest) if gone else None
            )

    def _facts(self, given: pb.Run) -> SlotFacts:
        """What macros are written out with: of a schedule only what the caller says."""
        due = read_time(given.scheduled_at, f"{FIELD}.scheduled_at") if given.HasField("scheduled_at") else None
        return SlotFacts(due, None, None, None, self.now(), str(uuid.uuid4()))

    def _new_run(
        self, asked: AskedRun, source: RunSource, facts: SlotFacts, call: Call
    ) -> Callable[[str], NewRunRequest]:
        """The run to be made, but for its id."""
        return lambda id: NewRunRequest(
            namespace=asked.experiment.namespace,
            run_id=id,
            source=source,
            experiment_id=asked.experiment.id,
            display_name=asked.display_name,
            description=asked.description,
            labels=asked.labels,
            parameters=asked.parameters,
            artifact_root=asked.artifact_root,
            traceparent=call.trace_context,
            call_deadline_s=call.deadline_s,
            facts=facts,
            parameters_field=f"{FIELD}.{PARAMETERS}",
        )
