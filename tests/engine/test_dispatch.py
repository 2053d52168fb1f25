"""Calls of the launcher: repeated when they fail, in order for one attempt, left undone without a lease."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from penstock_server.engine import dispatch
from penstock_server.engine.dispatch import Dispatcher
from penstock_server.engine.effects import Adopt, Forget, Launch, Stop
from penstock_server.engine.inputs import LaunchRefused, PlanEvent
from penstock_server.engine.observer import NullObserver
from penstock_server.engine.requested import RequestedSteps
from penstock_server.engine.state import LiveRun
from penstock_server.launch.base import NO_CAPABILITIES, EarlierStep, LogChunk, Observation, StepRequest
from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import AttemptId, RunUid, TaskId
from tests.engine.conftest import eventually
from tests.engine.world import World, flat

A = TaskId("a")


class Stubborn:
    """A launcher that notes every call and fails as often as it is told."""

    name = "fake"
    capabilities = NO_CAPABILITIES

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.calls: list[str] = []
        self.requests: list[StepRequest] = []
        self.open = asyncio.Event()
        self.open.set()

    async def _call(self, name: str, number: int) -> None:
        self.calls.append(f"{name} {number}")
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise Unavailable("LAUNCHER_UNAVAILABLE", "no answer")

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def launch(self, request: StepRequest) -> None:
        self.requests.append(request)
        await self._call("launch", request.attempt.number)

    async def stop(self, attempt: AttemptId) -> None:
        await self._call("stop", attempt.number)

    async def adopt(self, requests: list[StepRequest]) -> None:
        await self._call("adopt", len(requests))

    async def forget(self, attempts: list[AttemptId]) -> None:
        await self._call("forget", len(attempts))

    async def still_so(self, earlier: EarlierStep) -> bool:
        await self._call("still_so", 1)
        return True

    async def discard(self, run_uid: RunUid) -> None:
        await self._call("discard", 1)

    async def observe(self) -> AsyncIterator[Observation]:
        return
        yield

    async def logs(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        return
        yield


class Owner:
    """Notes what it is told; the lease is as the test wants it."""

    def __init__(self) -> None:
        self.valid = True
        self.events: list[PlanEvent] = []
        self.reloaded: list[LiveRun] = []

    def may_act(self, run: LiveRun) -> bool:
        return self.valid

    def post(self, run: LiveRun, event: PlanEvent) -> None:
        self.events.append(event)

    def reload(self, run: LiveRun) -> None:
        self.reloaded.append(run)


class Desk:
    """A dispatcher with a run to dispatch for."""

    def __init__(self, failures: int = 0) -> None:
        self.launcher, self.owner, observer = Stubborn(failures), Owner(), NullObserver()
        steps = RequestedSteps("file:///artifacts", observer)
        self.dispatcher = Dispatcher(self.launcher, steps, self.owner, observer)
        self.world = World(flat({"a": ()})).begin()
        self.world.grant("a")
        self.run = self.world.run

    async def settled(self) -> list[str]:
        await self.dispatcher.settle(5)
        return self.launcher.calls


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "LAUNCH_DELAYS_S", (0.0, 0.0))


async def test_a_launch_tells_the_step_its_place_and_its_try() -> None:
    desk = Desk()
    desk.dispatcher.launch(desk.run, Launch(A, 1))
    assert await desk.settled() == ["launch 1"]
    request = desk.launcher.requests[0]
    assert request.env["KFP_RETRY_INDEX"] == "0"
    assert request.output_root == f"file:///artifacts/default/{desk.run.uid}/a/1"


async def test_a_failing_launch_is_repeated() -> None:
    desk = Desk(failures=2)
    desk.dispatcher.launch(desk.run, Launch(A, 1))
    assert await desk.settled() == ["launch 1"] * 3
    assert desk.owner.events == []


async def test_a_launch_that_never_goes_through_is_told() -> None:
    desk = Desk(failures=99)
    desk.dispatcher.launch(desk.run, Launch(A, 1))
    await desk.settled()
    assert [type(event) for event in desk.owner.events] == [LaunchRefused]


async def test_nothing_is_launched_without_a_lease() -> None:
    desk = Desk()
    desk.owner.valid = False
    desk.dispatcher.launch(desk.run, Launch(A, 1))
    desk.dispatcher.adopt(desk.run, Adopt(A, 1))
    assert await desk.settled() == []
    assert desk.owner.reloaded == [desk.run, desk.run]


async def test_a_stop_comes_after_the_launch_under_way() -> None:
    desk = Desk()
    desk.launcher.open.clear()
    desk.dispatcher.launch(desk.run, Launch(A, 1))
    desk.dispatcher.stop(desk.run, Stop(A, 1))
    await eventually(lambda: desk.launcher.calls == ["launch 1"], "the launch")
    desk.launcher.open.set()
    assert await desk.settled() == ["launch 1", "stop 1"]


async def test_an_attempt_to_be_stopped_is_asked_about_only_then() -> None:
    desk = Desk()
    desk.launcher.open.clear()
    desk.dispatcher.adopt(desk.run, Adopt(A, 1))
    desk.dispatcher.stop(desk.run, Stop(A, 1))
    await eventually(lambda: desk.launcher.calls == ["stop 1"], "the stop")
    desk.launcher.open.set()
    assert await desk.settled() == ["stop 1", "adopt 1"]


async def test_an_adoption_is_tried_again() -> None:
    desk = Desk(failures=2)
    desk.dispatcher.adopt(desk.run, Adopt(A, 1))
    assert await desk.settled() == ["adopt 1"] * 3
    assert desk.owner.reloaded == []


async def test_an_adoption_that_fails_time_and_again_loads_the_runs_again() -> None:
    desk = Desk(failures=3)
    desk.dispatcher.adopt(desk.run, Adopt(A, 1))
    await desk.settled()
    assert desk.owner.reloaded == [desk.run]


async def test_ends_are_told_together() -> None:
    desk = Desk()
    for number in (1, 2, 3):
        desk.dispatcher.forget(desk.run, Forget(A, number, None))
    assert await desk.settled() == ["forget 3"]
