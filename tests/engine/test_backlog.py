"""Runs that a server has no room for wait in the database, and are taken in their order as soon as there is room."""

import asyncio

from penstock_server.engine.run_requests import NewRunRequest
from penstock_server.launch.base import StepRequest
from penstock_server.launch.fake import Act, FakeHost
from penstock_server.spec.document import from_struct
from tests import pipelines
from tests.engine.conftest import Field, eventually

ROOM = 3
QUEUED = 60
FAR_OFF_S = 3600.0
"""Longer than any test: an engine that looks only so often has to be woken."""


def request(index: int) -> NewRunRequest:
    return NewRunRequest("default", f"r-{index}", from_struct(pipelines.chain(1, "true")))


async def test_a_full_server_takes_the_next_run_when_one_ends(field: Field) -> None:
    submitted = [await field.submit(pipelines.chain(1, "true")) for _ in range(QUEUED)]
    host = FakeHost()
    await field.server(host, runs_max=ROOM, poll_s=FAR_OFF_S)
    await field.ended(submitted[-1])
    started = [launched.attempt.run_uid for launched in host.launches]
    assert sorted(started) == sorted(submitted)
    assert max(started.index(uid) - place for place, uid in enumerate(submitted)) < ROOM


async def test_a_new_run_does_not_pass_those_that_wait_in_the_database(field: Field) -> None:
    gates = [asyncio.Event() for _ in range(QUEUED)]

    def script(launched: StepRequest) -> Act:
        return Act(gate=gates[int(launched.facts.run_id.removeprefix("r-"))])

    host = FakeHost(script)
    server = await field.server(host, runs_max=ROOM, poll_s=FAR_OFF_S)
    making = field.new_runs_of(server)
    for index in range(QUEUED):
        await making.create_run(request(index))
        if index >= ROOM:
            gates[index - ROOM].set()  # room for one: for the one that has waited longest
    for gate in gates:
        gate.set()
    await eventually(lambda: len(host.launches) == QUEUED, "start of all runs")
    order = [int(launched.facts.run_id.removeprefix("r-")) for launched in host.launches]
    assert max(order.index(index) - index for index in range(QUEUED)) < ROOM
