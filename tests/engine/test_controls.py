"""What users do to runs under way, on the whole engine: pauses, limits, runs that are run again."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from penstock_server.engine.run_requests import RerunRequest
from penstock_server.launch.fake import Act, FakeHost, failure
from penstock_server.model.changes import RunLimits
from penstock_server.model.ids import RunUid
from penstock_server.model.resources import ArtifactValue, CachePolicy, TaskValues
from penstock_server.store import runs, tasks, transitions
from tests import pipelines
from tests.engine.conftest import Field, eventually
from tests.engine.test_loop import gated, keys

CHAIN = pipelines.chain(2, "true")


async def set_limits(field: Field, uid: RunUid, limits: RunLimits) -> None:
    run = await field.run(uid)
    async with field.database.connection() as connection:
        same: dict[str, Any] = {"display_name": "", "description": "", "labels": {}}
        await runs.update(connection, run, **same, limits=limits)


async def rerun(field: Field, uid: RunUid, run_id: str = "again", **more: Any) -> RunUid:
    old = await field.run(uid)
    run, _ = await field.new_runs.rerun(RerunRequest("default", old.id, run_id, **more))
    return run.uid


async def test_a_paused_run_starts_nothing_until_it_goes_on(field: Field) -> None:
    gate = asyncio.Event()
    host = gated(gate, "s0")
    await field.server(host)
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    run = await field.requests.pause_run("default", (await field.run(uid)).id)
    await eventually(lambda: _has_reason(field, uid, "RUN_PAUSED"), "the pause")
    gate.set()
    await field.task_in(uid, "s1", "QUEUED")
    assert keys(host) == ["s0"]
    await field.requests.resume_run("default", run.id)
    await field.ended(uid)


async def test_a_pause_outlives_the_server(field: Field) -> None:
    host = FakeHost()
    uid = await field.submit(CHAIN)
    await field.requests.pause_run("default", (await field.run(uid)).id)
    for _ in range(2):
        server = await field.server(host)
        await field.task_in(uid, "s0", "QUEUED")
        await server.stop()
    assert host.launches == []
    await field.requests.resume_run("default", (await field.run(uid)).id)
    await field.server(host)
    await field.ended(uid)


async def test_no_more_of_a_runs_steps_at_a_time_than_it_may_have(field: Field) -> None:
    gate = asyncio.Event()
    host = gated(gate)
    await field.server(host, max_parallel_steps=8)
    uid = await field.submit(pipelines.wide(6, "true"), max_parallel_tasks=2)
    await eventually(lambda: len(host.launches) == 2, "two steps")
    await set_limits(field, uid, RunLimits(max_parallel_tasks=5))
    await eventually(lambda: len(host.launches) == 5, "five steps")
    assert await _has_reason(field, uid, "RUN_LIMITS_CHANGED")
    gate.set()
    await field.ended(uid)


async def test_steps_of_the_run_with_the_higher_priority_start_first(field: Field) -> None:
    gate = asyncio.Event()
    host = gated(gate)
    await field.server(host, max_parallel_steps=1)
    first = await field.submit(pipelines.wide(3, "true"))
    await field.task_in(first, "s0", "RUNNING")
    urgent = await field.submit(pipelines.wide(3, "true"), priority=1)
    await field.task_in(urgent, "s2", "QUEUED")
    gate.set()
    await field.ended(first)
    assert [request.attempt.run_uid for request in host.launches[1:4]] == [urgent] * 3


async def test_a_run_again_takes_what_nothing_has_changed_for(field: Field) -> None:
    host = FakeHost()
    await field.server(host)
    old = await field.submit(CHAIN)
    await field.ended(old)
    new = await rerun(field, old)
    await field.ended(new)
    found = await field.tasks(new)
    assert [found[key].reason for key in ("s0", "s1")] == ["REUSED", "REUSED"]
    assert found["s0"].cached_run_uid == old
    assert len(host.launches) == 2


async def test_a_run_again_runs_what_had_failed(field: Field) -> None:
    broken = True
    await field.server(FakeHost(lambda request: failure() if broken and request.task_key == "s1" else Act()))
    old = await field.submit(CHAIN)
    await field.ended(old, "FAILED")
    broken = False
    new = await rerun(field, old)
    await field.ended(new)
    found = await field.tasks(new)
    assert [found[key].reason for key in ("s0", "s1")] == ["REUSED", "COMPLETED"]


async def test_a_forecast_comes_true(field: Field) -> None:
    await field.server()
    old = await field.submit(pipelines.wide(3, "true"))
    await field.ended(old)
    request = RerunRequest("default", (await field.run(old)).id, "again")
    _, told = await field.new_runs.rerun(request, validate_only=True)
    assert told is not None
    new = await rerun(field, old)
    await field.ended(new)
    reused = {key for key, task in (await field.tasks(new)).items() if task.reason == "REUSED"}
    assert reused == {each.task_id for each in told.reused} == {"s0", "s1", "s2"}


async def test_caching_does_not_matter_to_a_run_again(field: Field) -> None:
    host = FakeHost(lambda request: Act(outputs=TaskValues()))
    await field.server(host)
    old = await field.submit(CHAIN, cache_policy=CachePolicy.DISABLED)
    await field.ended(old)
    await field.ended(await rerun(field, old))
    assert len(host.launches) == 2


async def _count_waiting_for_twin(field: Field, uids: list[RunUid], count: int) -> bool:
    return [await _has_reason(field, uid, "WAITING_FOR_TWIN") for uid in uids].count(True) == count


async def _have_ended(field: Field, uids: list[RunUid]) -> bool:
    return all([(await field.run(uid)).state.is_final for uid in uids])


async def _has_reason(field: Field, uid: RunUid, reason: str) -> bool:
    return any(event.reason == reason for event in await field.events(uid))


async def test_of_steps_that_do_the_same_at_once_one_runs(field: Field) -> None:
    gate = asyncio.Event()
    host = gated(gate)
    await field.server(host, max_parallel_steps=4)
    uids = [await field.submit(CACHED) for _ in range(3)]
    await eventually(lambda: _count_waiting_for_twin(field, uids, 2), "the wait of two")
    gate.set()
    for uid in uids:
        await field.ended(uid)
    assert sorted([(await field.tasks(uid))["s0"].reason for uid in uids]) == ["CACHED", "CACHED", "COMPLETED"]
    assert len(host.launches) == 1


async def test_a_step_takes_the_result_that_the_one_before_it_has_only_just_made(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the database is asked before that is committed, and answers only afterwards."""
    commit, find = transitions.commit, tasks.find_cached

    async def commit_late(*batch: Any) -> transitions.CommitResult:
        await asyncio.sleep(0.02)
        return await commit(*batch)

    async def answer_late(*wanted: Any) -> Any:
        found = await find(*wanted)
        await asyncio.sleep(0.1)
        return found

    monkeypatch.setattr(transitions, "commit", commit_late)
    monkeypatch.setattr(tasks, "find_cached", answer_late)
    ir = _cached_with(1)
    steps = ir["root"]["dag"]["tasks"]
    for number in range(1, 4):
        steps[f"s{number}"] = {**steps["s0"], "dependentTasks": [f"s{number - 1}"]}
    host = FakeHost()
    await field.server(host)
    await field.ended(await field.submit(ir))
    assert keys(host) == ["s0"]


async def test_a_step_whose_twin_fails_runs_itself(field: Field) -> None:
    gate = asyncio.Event()
    ends = iter([replace(failure(), gate=gate), Act()])
    await field.server(FakeHost(lambda request: next(ends)), max_parallel_steps=4)
    uids = [await field.submit(CACHED) for _ in range(2)]
    await eventually(lambda: _count_waiting_for_twin(field, uids, 1), "the wait")
    gate.set()
    await eventually(lambda: _have_ended(field, uids), "the end of both")
    assert {(await field.run(uid)).state for uid in uids} == {"FAILED", "SUCCEEDED"}


async def test_a_step_that_was_looked_up_in_vain_says_what_differed(field: Field) -> None:
    await field.server()
    for number, note in ((1, "no earlier run of this step has succeeded"), (2, "parameter x is 2 and was 1")):
        uid = await field.submit(_cached_with(number))
        await field.ended(uid)
        assert note in (await field.tasks(uid))["s0"].cache_note


async def test_a_result_that_is_too_old_or_gone_is_told(field: Field) -> None:
    made = ArtifactValue("made", "system.Artifact", "file:///gone", digest="sha256:0")
    outputs = TaskValues({}, {"made": (made,)})
    is_there = True
    await field.server(FakeHost(lambda request: Act(outputs=outputs)), has_content=lambda uri: is_there)
    await field.ended(await field.submit(CACHED))
    old = await field.submit(CACHED, cache_max_age_s=1e-6)
    await field.ended(old)
    assert "s old, and may be 1e-06 s" in (await field.tasks(old))["s0"].cache_note
    is_there = False
    gone = await field.submit(CACHED)
    await field.ended(gone)
    assert (await field.tasks(gone))["s0"].cache_note == "the artifact made of run r2 task s0 exists no more"


async def test_a_result_of_which_the_launcher_knows_that_it_is_so_no_more_is_made_anew(field: Field) -> None:
    """As when somebody has deleted the claim that the earlier step made."""
    host = FakeHost()
    await field.server(host)
    await field.ended(await field.submit(CACHED))
    host.is_still_so = False
    again = await field.submit(CACHED)
    await field.ended(again)
    assert (await field.tasks(again))["s0"].cache_note == "what run r1 task s0 has made, or deleted, is so no more"
    assert len(host.launches) == 2


def _cached_with(number: int) -> pipelines.Ir:
    """One cached step that is given this number."""
    ir = pipelines.chain(1, "true")
    ir["components"]["comp-step"]["inputDefinitions"] = {"parameters": {"x": {"parameterType": "NUMBER_INTEGER"}}}
    value = {"runtimeValue": {"constant": number}}
    ir["root"]["dag"]["tasks"]["s0"] |= {
        "cachingOptions": {"enableCache": True},
        "inputs": {"parameters": {"x": value}},
    }
    return ir


CACHED = _cached_with(0)
