"""The whole engine on a real Postgres, with a fake host under it."""

import asyncio
import logging

import pytest

from penstock_server.launch.base import Phase, StepRequest
from penstock_server.launch.fake import Act, FakeHost, failure, loss
from penstock_server.model.errors import FailedPrecondition
from penstock_server.model.resources import TaskValues
from tests import pipelines
from tests.engine.conftest import Field, eventually

CHAIN = pipelines.chain(3, "true")


def gated(gate: asyncio.Event, *tasks: str) -> FakeHost:
    """A host on which the named tasks, or all, run until the gate opens."""
    return FakeHost(lambda request: Act(gate=gate if not tasks or request.task_key in tasks else None))


def keys(host: FakeHost) -> list[str]:
    return [request.task_key for request in host.launches]


async def test_a_run_goes_to_its_end(field: Field) -> None:
    host = FakeHost()
    await field.server(host)
    uid = await field.submit(CHAIN)
    await field.ended(uid)
    assert keys(host) == ["s0", "s1", "s2"]


async def test_a_run_from_before_the_server_is_found_without_a_notification(field: Field) -> None:
    uid = await field.submit(CHAIN)
    await field.server()
    await field.ended(uid)


async def test_outputs_of_a_step_become_inputs_of_the_next(field: Field) -> None:
    ir = pipelines.chain(2, "true")
    ir["components"]["comp-step"]["outputDefinitions"] = {"parameters": {"o": {"parameterType": "NUMBER_INTEGER"}}}
    ir["components"]["comp-take"] = {
        "executorLabel": "exec-step",
        "inputDefinitions": {"parameters": {"i": {"parameterType": "NUMBER_INTEGER"}}},
    }
    source = {"taskOutputParameter": {"producerTask": "s0", "outputParameterKey": "o"}}
    ir["root"]["dag"]["tasks"]["s1"] |= {
        "componentRef": {"name": "comp-take"},
        "inputs": {"parameters": {"i": source}},
    }
    host = FakeHost(lambda request: Act(outputs=TaskValues({"o": 7})))
    await field.server(host)
    await field.ended(await field.submit(ir))
    assert host.launches[1].inputs.parameters == {"i": 7}


async def test_no_more_steps_than_slots_run_at_a_time(field: Field) -> None:
    gate, most = asyncio.Event(), 0

    def script(request: StepRequest) -> Act:
        nonlocal most
        most = max(most, 1 + sum(attempt.end is None for attempt in host.attempts.values()))
        return Act(gate=gate)

    host = FakeHost(script)
    await field.server(host, max_parallel_steps=3)
    uid = await field.submit(pipelines.wide(9, "true"))
    await eventually(lambda: len(host.launches) == 3, "three steps")
    gate.set()
    await field.ended(uid)
    assert most <= 3


async def test_a_small_run_is_not_kept_waiting_by_a_wide_one(field: Field) -> None:
    gate = asyncio.Event()
    host = gated(gate)
    await field.server(host, max_parallel_steps=1)
    wide = await field.submit(pipelines.wide(30, "true"))
    await field.task_in(wide, "s0", "RUNNING")
    small = await field.submit(pipelines.wide(1, "true"))
    await field.task_in(small, "s0", "QUEUED")
    gate.set()
    await field.ended(small)
    assert [request.attempt.run_uid for request in host.launches].index(small) <= 2
    await field.ended(wide)


async def test_the_log_tells_of_attempts_that_the_platform_has_failed_and_of_no_others(
    field: Field, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "penstock_server")
    unavailable = Act(Phase.FAILED, "IMAGE_UNAVAILABLE", "no such image")
    acts = {"s0/1": loss(), "s1/1": failure(3), "s2/1": unavailable}
    await field.server(FakeHost(lambda request: acts.get(str(request.attempt).partition("/")[2], Act())))
    uid = await field.submit(pipelines.wide(4, "true"))
    run = await field.ended(uid, "FAILED")
    told = {record.message: record.__dict__ for record in caplog.records}
    assert set(told) == {"attempt lost", "attempt failed"}
    for record, task, reason, why, is_tried_again in (
        (told["attempt lost"], "s0", "PROCESS_GONE", "the process is gone", True),
        (told["attempt failed"], "s2", "IMAGE_UNAVAILABLE", "no such image", False),
    ):
        assert (record["levelname"], record["run"]) == ("WARNING", f"default/{run.id}")
        assert (record["attempt"], record["reason"], record["why"]) == (f"{uid}/{task}/1", reason, why)
        assert record["is_tried_again"] is is_tried_again


async def test_a_failure_is_retried_and_the_run_ends_as_its_tasks(field: Field) -> None:
    ir = pipelines.wide(2, "true")
    ir["root"]["dag"]["tasks"]["s0"]["retryPolicy"] = {"maxRetryCount": 1, "backoffDuration": "0.05s"}
    host = FakeHost(lambda request: failure(3, log=b"boom\n") if request.task_key == "s0" else Act())
    await field.server(host)
    run = await field.ended(await field.submit(ir), "FAILED")
    assert (run.failed_task_id, run.reason) == ("s0", "TASK_FAILED")
    assert "exit code 3" in run.message
    assert "boom" in run.message
    assert sorted(keys(host)) == ["s0", "s0", "s1"]
    assert [request.env["KFP_RETRY_INDEX"] for request in host.launches if request.task_key == "s0"] == [
        "0",
        "1",
    ]


async def test_a_lost_attempt_is_followed_by_another(field: Field) -> None:
    host = FakeHost(lambda request: loss() if request.attempt.number == 1 else Act())
    await field.server(host)
    await field.ended(await field.submit(pipelines.wide(1, "true")))
    assert [request.attempt.number for request in host.launches] == [1, 2]


async def test_a_launcher_without_room_is_asked_again(field: Field) -> None:
    host = FakeHost(lambda request: Act(refusals=1))
    await field.server(host)
    await field.ended(await field.submit(pipelines.wide(1, "true")))
    assert len(host.launches) == 1


async def test_results_of_earlier_runs_are_reused(field: Field) -> None:
    ir = pipelines.chain(2, "true")
    for task in ir["root"]["dag"]["tasks"].values():
        task["cachingOptions"] = {"enableCache": True}
    host = FakeHost()
    await field.server(host)
    first, second = await field.submit(ir), None
    await field.ended(first)
    count = len(host.launches)
    second = await field.submit(ir)
    await field.ended(second)
    assert len(host.launches) == count
    assert (await field.tasks(second))["s1"].reason == "CACHED"


# Requests.


async def test_cancel_stops_the_steps(field: Field) -> None:
    host = gated(asyncio.Event())
    await field.server(host)
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    await field.requests.cancel_run("default", "r1", message="enough")
    run = await field.ended(uid, "CANCELLED")
    assert (run.reason, run.message) == ("CANCEL_REQUESTED", "enough")
    assert {task.state for task in (await field.tasks(uid)).values()} == {"CANCELLED"}


async def test_a_run_is_cancelled_though_nobody_had_taken_it_up(field: Field) -> None:
    uid = await field.submit(CHAIN)
    await field.requests.cancel_run("default", "r1")
    host = FakeHost()
    await field.server(host)
    await field.ended(uid, "CANCELLED")
    assert host.launches == []


async def test_a_failed_run_goes_on_where_it_failed(field: Field) -> None:
    broken = True
    host = FakeHost(lambda request: failure() if broken and request.task_key == "s1" else Act())
    await field.server(host)
    uid = await field.submit(CHAIN)
    await field.ended(uid, "FAILED")
    broken = False
    await field.requests.retry_run("default", "r1")
    await eventually(lambda: reached(field, uid, "SUCCEEDED"), "success after the retry")
    await field.ended(uid)
    assert keys(host) == ["s0", "s1", "s1", "s2"]


async def reached(field: Field, uid: object, state: str) -> bool:
    return (await field.run(uid)).state == state  # type: ignore[arg-type]  # a run's uid


async def test_a_run_that_is_under_way_is_not_retried(field: Field) -> None:
    await field.server(gated(asyncio.Event()))
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    with pytest.raises(FailedPrecondition, match="RUN_NOT_RETRYABLE"):
        await field.requests.retry_run("default", "r1")


async def test_a_forced_delete_cancels_and_then_deletes(field: Field) -> None:
    await field.server(gated(asyncio.Event()))
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    with pytest.raises(FailedPrecondition, match="RUN_NOT_FINISHED"):
        await field.requests.delete_run("default", "r1", force=False)
    await field.requests.delete_run("default", "r1", force=True)
    await eventually(lambda: is_gone(field, uid), "the run is gone")


async def is_gone(field: Field, uid: object) -> bool:
    async with field.database.connection() as connection:
        row = await (await connection.execute("SELECT count(*) FROM run WHERE uid = %s", [uid])).fetchone()
    return row is not None and row[0] == 0


async def test_a_run_past_its_deadline_fails(field: Field) -> None:
    await field.server(gated(asyncio.Event()))
    run = await field.ended(await field.submit(CHAIN, deadline_s=0.2), "FAILED")
    assert run.reason == "DEADLINE_EXCEEDED"
