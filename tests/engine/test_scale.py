"""Runs of ten thousand tasks, of two thousand one after the other, and two thousand runs at once, on the engine."""

from penstock_server.launch.fake import FakeHost
from tests import pipelines
from tests.engine.conftest import Field, eventually

DEEP = 2_000
QUEUED = 2_000
SIDE = 100
SLOTS = 20
BOUND_S = 180.0
"""On a machine that has other things to do as well."""


async def test_two_thousand_steps_run_one_after_the_other(field: Field) -> None:
    host = FakeHost()
    await field.server(host)
    await field.ended(await field.submit(pipelines.chain(DEEP, "true")), bound_s=BOUND_S)
    assert [request.attempt.task_id for request in host.launches] == [f"s{index}" for index in range(DEEP)]


async def test_a_loop_of_loops_runs_each_pass_once(field: Field) -> None:
    host = FakeHost()
    await field.server(host, max_parallel_steps=SLOTS)
    uid = await field.submit(pipelines.loop_of_loops(SIDE, "true"))
    await field.ended(uid, bound_s=BOUND_S)
    ran = [request.attempt.task_id for request in host.launches]
    assert set(ran) == {f"outer.{row}.s0.{column}" for row in range(SIDE) for column in range(SIDE)}
    assert len(ran) == SIDE * SIDE


async def test_two_thousand_runs_at_once_all_run_once(field: Field) -> None:
    host = FakeHost()
    submitted = [await field.submit(pipelines.chain(1, "true")) for _ in range(QUEUED)]
    await field.server(host, max_parallel_steps=SLOTS)

    async def all_ended() -> bool:
        async with field.database.connection() as connection:
            cursor = await connection.execute("SELECT count(*) FROM run WHERE end_time IS NULL")
            return await cursor.fetchone() == (0,)

    await eventually(all_ended, "end of all runs", bound_s=BOUND_S)
    started = [request.attempt.run_uid for request in host.launches]
    assert sorted(started) == sorted(submitted)
    late = [started.index(uid) - place for place, uid in enumerate(submitted)]
    assert max(late) <= SLOTS
