"""What users do to runs under way, on the whole engine: pauses, limits, runs that are run again."""

import asyncio
from typing import Any

from penstock_server.engine.new_runs import RerunRequest
from penstock_server.launch.fake import Act, FakeHost, failure
from penstock_server.model.changes import RunLimits
from penstock_server.model.ids import RunUid
from penstock_server.model.resources import CachePolicy, TaskValues
from penstock_server.store import runs
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


async def _has_reason(field: Field, uid: RunUid, reason: str) -> bool:
    return any(event.reason == reason for event in await field.events(uid))
