"""What every launcher has to do, whatever it executes attempts with."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from penstock_server.launch.base import Phase
from penstock_server.model.errors import NotFound
from penstock_server.model.states import FailureClass
from tests.conformance.scenes import FakeScene, ProcessScene, Scene, on
from tests.launch.world import attempt_id


@pytest.fixture(params=["process", "fake", pytest.param("kubernetes", marks=pytest.mark.kubernetes)])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    match request.param:
        case "process":
            return ProcessScene(tmp_path)
        case "kubernetes":
            from tests.kubernetes.scenes import KubernetesScene  # the client of Kubernetes takes a second to load

            return KubernetesScene(request.getfixturevalue("cluster"))
        case _:
            return FakeScene()


async def test_success_is_told_with_its_outputs(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.succeeding(output="forty two\n")
        end = await launched.run(request)
        assert end.phase is Phase.SUCCEEDED
        assert end.exit_code == 0
        assert end.outputs.parameters == {"result": "forty two\n"}


async def test_start_is_told_before_the_end(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.succeeding()
        await launched.run(request)
        phases = [phase for phase in launched.phases(request) if phase is not Phase.PENDING]
        assert phases == [Phase.STARTED, Phase.SUCCEEDED]


async def test_failure_is_told_with_exit_code_and_last_lines(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        end = await launched.run(scene.failing(3, log="first\nbad weights\n"))
        assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, "EXIT_CODE", 3)
        assert end.log_tail.splitlines()[-1] == "bad weights"


async def test_launching_twice_runs_once(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request, finish = scene.waiting()
        await asyncio.gather(launched.launcher.launch(request), launched.launcher.launch(request))
        await launched.start_of(request)
        finish()
        await launched.end_of(request)
        await launched.launcher.launch(request)
        assert scene.runs(request.attempt) == 1


async def test_several_run_at_once(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        waiting = [scene.waiting() for _ in range(4)]
        for request, _ in waiting:
            await launched.launcher.launch(request)
        for request, _ in waiting:
            await launched.start_of(request)
        for _, finish in reversed(waiting):
            finish()
        ends = [await launched.end_of(request) for request, _ in waiting]
        assert [end.phase for end in ends] == [Phase.SUCCEEDED] * 4


async def test_stop_ends_a_running_attempt(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request, _ = scene.waiting()
        await launched.launcher.launch(request)
        await launched.start_of(request)
        await launched.launcher.stop(request.attempt)
        end = await launched.end_of(request)
        assert (end.phase, end.reason) == (Phase.STOPPED, "STOPPED")


async def test_stopping_twice_and_after_the_end_does_nothing(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request, _ = scene.waiting()
        await launched.launcher.launch(request)
        await launched.launcher.stop(request.attempt)
        await launched.launcher.stop(request.attempt)
        await launched.end_of(request)
        await launched.launcher.stop(request.attempt)
        assert [phase for phase in launched.phases(request) if phase.is_final] == [Phase.STOPPED]


async def test_stopping_what_has_succeeded_leaves_it_succeeded(scene: Scene) -> None:
    request = scene.succeeding()
    async with on(scene.launcher()) as launched:
        await launched.run(request)
        await launched.launcher.stop(request.attempt)
    async with on(scene.launcher()) as again:
        await again.launcher.adopt([request])
        assert (await again.end_of(request)).phase is Phase.SUCCEEDED


async def test_what_was_stopped_before_it_came_never_starts(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.succeeding()
        await launched.launcher.stop(request.attempt)
        assert (await launched.run(request)).phase is Phase.STOPPED
        assert scene.runs(request.attempt) == 0


async def test_an_attempt_goes_on_without_its_launcher_and_is_adopted(scene: Scene) -> None:
    request, finish = scene.waiting()
    async with on(scene.launcher()) as first:
        await first.launcher.launch(request)
        await first.start_of(request)
    async with on(scene.launcher()) as second:
        await second.launcher.adopt([request])
        assert (await second.start_of(request)).phase is Phase.STARTED
        finish()
        assert (await second.end_of(request)).phase is Phase.SUCCEEDED
        assert scene.runs(request.attempt) == 1


async def test_the_end_of_one_that_ended_unobserved_is_told_truly(scene: Scene) -> None:
    request = scene.failing(7, log="out of luck\n")
    async with on(scene.launcher()) as first:
        await first.run(request)
    async with on(scene.launcher()) as second:
        await second.launcher.adopt([request])
        end = await second.end_of(request)
        assert (end.phase, end.exit_code, end.log_tail.strip()) == (Phase.FAILED, 7, "out of luck")


async def test_outputs_survive_a_restart(scene: Scene) -> None:
    request = scene.succeeding(output="kept")
    async with on(scene.launcher()) as first:
        await first.run(request)
    async with on(scene.launcher()) as second:
        await second.launcher.adopt([request])
        assert (await second.end_of(request)).outputs.parameters == {"result": "kept"}


async def test_adopting_what_left_no_trace_launches_it(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.succeeding()
        await launched.launcher.adopt([request])
        assert (await launched.end_of(request)).phase is Phase.SUCCEEDED
        assert scene.runs(request.attempt) == 1


async def test_two_launchers_at_once_run_it_once_and_both_tell(scene: Scene) -> None:
    request, finish = scene.waiting()
    async with on(scene.launcher()) as one, on(scene.launcher()) as other:
        await asyncio.gather(one.launcher.launch(request), other.launcher.launch(request))
        await one.start_of(request)
        await other.start_of(request)
        finish()
        assert (await one.end_of(request)).phase is Phase.SUCCEEDED
        assert (await other.end_of(request)).phase is Phase.SUCCEEDED
        assert scene.runs(request.attempt) == 1


async def test_an_adopted_attempt_can_be_stopped(scene: Scene) -> None:
    request, _ = scene.waiting()
    async with on(scene.launcher()) as first:
        await first.launcher.launch(request)
        await first.start_of(request)
    async with on(scene.launcher()) as second:
        await second.launcher.adopt([request])
        await second.launcher.stop(request.attempt)
        assert (await second.end_of(request)).phase is Phase.STOPPED


async def test_a_forgotten_attempt_does_not_start_again(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.succeeding()
        await launched.run(request)
        await launched.launcher.forget([request.attempt])
        await launched.launcher.forget([request.attempt])
        await launched.launcher.launch(request)
        assert scene.runs(request.attempt) == 1


async def test_a_late_launch_elsewhere_of_a_forgotten_attempt_finds_it_gone(scene: Scene) -> None:
    request = scene.succeeding()
    async with on(scene.launcher()) as first:
        await first.run(request)
        await first.launcher.forget([request.attempt])
    async with on(scene.launcher()) as second:
        assert (await second.run(request)).phase is Phase.LOST
        assert scene.runs(request.attempt) == 1


async def test_the_log_is_read_from_an_offset(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.succeeding(log="0123456789")
        await launched.run(request)
        chunks = [chunk async for chunk in launched.launcher.logs(request.attempt, 4, follow=False)]
        assert [(chunk.offset, chunk.content) for chunk in chunks] == [(4, b"456789")]


async def test_a_followed_log_ends_with_the_attempt(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request, finish = scene.waiting(log="working\n")
        await launched.launcher.launch(request)
        await launched.start_of(request)
        following = asyncio.create_task(launched.log_of(request, follow=True))
        finish()
        await launched.end_of(request)
        assert await asyncio.wait_for(following, 10) == b"working\n"


async def test_the_log_stays_when_the_attempt_is_forgotten(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.failing(1, log="why it failed\n")
        await launched.run(request)
        await launched.launcher.forget([request.attempt])
        assert await launched.log_of(request, follow=True) == b"why it failed\n"


async def test_the_log_of_what_never_started_is_not_found(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        with pytest.raises(NotFound, match="no log"):
            async for _ in launched.launcher.logs(attempt_id(), 0, follow=True):
                pass


async def test_whoever_observes_anew_hears_the_present_state(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.succeeding()
        await launched.run(request)
        launched.stop_reading()
        async for observation in launched.launcher.observe():
            assert observation.phase is Phase.SUCCEEDED
            break


async def test_closing_twice_is_harmless_and_ends_observing(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        await launched.launcher.close()
        assert [observation async for observation in launched.launcher.observe()] == []


async def test_what_was_seen_running_and_left_no_trace_is_lost(scene: Scene) -> None:
    request = replace(scene.succeeding(), has_started=True)
    async with on(scene.launcher()) as launched:
        await launched.launcher.adopt([request])
        end = await launched.end_of(request)
    assert end.phase is Phase.LOST
    assert end.failure_class is FailureClass.LOST


async def test_nothing_is_left_of_a_discarded_run(scene: Scene) -> None:
    async with on(scene.launcher()) as launched:
        request = scene.succeeding()
        await launched.run(request)
        await launched.launcher.forget([request.attempt])
        await launched.launcher.discard(request.attempt.run_uid)
        await launched.launcher.discard(request.attempt.run_uid)
        with pytest.raises(NotFound):
            await launched.log_of(request)
