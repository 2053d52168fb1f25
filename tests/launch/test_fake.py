"""The fake launcher does what its script says, lies included."""

import asyncio

import pytest

from penstock_server.launch.base import Phase
from penstock_server.launch.fake import Act, FakeHost, FakeLauncher, loss
from penstock_server.model.errors import Unavailable
from tests.conformance.scenes import on
from tests.launch.world import step


async def test_it_can_lose_an_attempt() -> None:
    async with on(FakeLauncher(FakeHost(lambda request: loss()))) as launched:
        assert (await launched.run(step("true"))).phase is Phase.LOST


async def test_it_can_keep_the_start_to_itself_and_repeat_the_end() -> None:
    host = FakeHost(lambda request: Act(tells_start=False, tells_twice=True))
    async with on(FakeLauncher(host)) as launched:
        request = step("true")
        await launched.launcher.launch(request)
        await launched.launcher.close()
        await launched.close()
        assert launched.phases(request) == [Phase.SUCCEEDED, Phase.SUCCEEDED]


async def test_it_can_refuse_to_launch_for_a_while() -> None:
    host = FakeHost(lambda request: Act(refusals=2))
    async with on(FakeLauncher(host)) as launched:
        request = step("true")
        for _ in range(2):
            with pytest.raises(Unavailable):
                await launched.launcher.launch(request)
        assert (await launched.run(request)).phase is Phase.SUCCEEDED
        assert len(host.launches) == 1


async def test_it_can_let_an_attempt_wait_and_tells_a_new_launcher_what_for() -> None:
    entry = asyncio.Event()
    host = FakeHost(lambda request: Act(waits=(("UNSCHEDULABLE", "no node"), ("PULLING", "image")), entry=entry))
    request = step("true")
    async with on(FakeLauncher(host)) as launched:
        await launched.launcher.launch(request)
    async with on(FakeLauncher(host)) as launched:
        await launched.launcher.adopt([request])
        entry.set()
        await launched.end_of(request)
        assert launched.phases(request) == [Phase.PENDING, Phase.STARTED, Phase.SUCCEEDED]
        assert launched.told[0].reason == "PULLING"


async def test_it_can_ignore_a_stop() -> None:
    gate = asyncio.Event()
    async with on(FakeLauncher(FakeHost(lambda request: Act(gate=gate, ignores_stop=True)))) as launched:
        request = step("true")
        await launched.launcher.launch(request)
        await launched.launcher.stop(request.attempt)
        gate.set()
        assert (await launched.end_of(request)).phase is Phase.SUCCEEDED
