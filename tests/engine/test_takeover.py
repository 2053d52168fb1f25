"""Servers that end, stall or lose the database: runs go on, nothing runs twice, a stale owner is shut out."""

import asyncio
import logging
from functools import partial
from typing import Any

import psycopg
import pytest

from penstock_server.launch.base import StepRequest
from penstock_server.launch.fake import Act, FakeHost
from penstock_server.model.ids import RunUid
from tests import pipelines
from tests.engine.conftest import Field, eventually

CHAIN = pipelines.chain(3, "true")
SHORT = {"lease_ttl_s": 0.6, "poll_s": 0.1}


def names(host: FakeHost) -> list[str]:
    return [str(request.attempt) for request in host.launches]


async def expire_leases(field: Field) -> None:
    async with field.database.connection() as connection:
        await connection.execute("UPDATE server SET expire_time = now() - interval '1 s'")


async def test_a_killed_servers_runs_are_taken_over(field: Field) -> None:
    gate = asyncio.Event()
    host = FakeHost(lambda request: Act(gate=gate))
    first = await field.server(host, **SHORT)
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    await first.kill()
    await field.server(host, **SHORT)
    gate.set()
    await field.ended(uid)
    assert len(set(names(host))) == len(names(host)) == 3


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """What the log has of an event: its level, and its keys."""
    return [{"level": record.levelname, **record.__dict__} for record in caplog.records if record.message == event]


@pytest.mark.parametrize(("ends", "level"), [("killed", "WARNING"), ("stopped", "INFO")])
async def test_the_log_tells_of_runs_that_are_taken_over_and_of_their_attempts(
    field: Field, caplog: pytest.LogCaptureFixture, ends: str, level: str
) -> None:
    caplog.set_level(logging.INFO, "penstock_server")
    gate = asyncio.Event()
    host = FakeHost(lambda request: Act(gate=gate))
    first = await field.server(host, **SHORT)
    uid = await field.submit(pipelines.wide(2, "true"))
    await field.task_in(uid, "s0", "RUNNING")
    await field.task_in(uid, "s1", "RUNNING")
    assert caplog.records == []
    await (first.kill() if ends == "killed" else first.stop())
    await field.server(host, **SHORT)
    gate.set()
    await field.ended(uid)
    (taken,) = logged(caplog, "runs taken over")
    from_server = str(first.engine.server_id) if ends == "killed" else None
    assert (taken["level"], taken["count"], taken["runs"]) == (level, 1, [str(uid)])
    assert taken["from_server"] == from_server
    (adopted,) = logged(caplog, "attempts adopted")
    assert (adopted["level"], adopted["attempts"], adopted["runs"]) == ("INFO", 2, 1)


async def test_a_step_that_ended_while_no_server_lived_is_not_run_again(field: Field) -> None:
    gate = asyncio.Event()
    host = FakeHost(lambda request: Act(gate=gate))
    first = await field.server(host, **SHORT)
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    await first.kill()
    gate.set()
    await host.attempts[host.launches[0].attempt].ended.wait()
    await field.server(host, **SHORT)
    await field.ended(uid)
    assert len(host.launches) == 3


async def test_an_attempt_that_was_committed_but_not_launched_is_launched_by_the_next(field: Field) -> None:
    host = FakeHost(lambda request: Act(refusals=10_000 if first_lives else 0))
    first_lives = True
    first = await field.server(host, **SHORT)
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    await first.kill()
    first_lives = False
    await field.server(host, **SHORT)
    await field.ended(uid)
    assert [request.attempt.number for request in host.launches] == [1, 1, 1]


async def test_a_drained_server_gives_its_runs_up_at_once(field: Field) -> None:
    gate = asyncio.Event()
    host = FakeHost(lambda request: Act(gate=gate))
    first = await field.server(host)
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    await first.stop()
    assert host.stops == []
    await field.server(host)
    gate.set()
    await field.ended(uid)
    assert len(host.launches) == 3


async def test_a_draining_server_starts_nothing_new(field: Field) -> None:
    gate = asyncio.Event()
    host = FakeHost(lambda request: Act(gate=gate))
    server = await field.server(host)
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    await server.engine.drain()
    gate.set()
    assert len(host.launches) == 1
    assert (await field.tasks(uid))["s0"].state == "RUNNING"


async def test_a_server_that_lost_its_lease_writes_nothing_more(field: Field) -> None:
    gate = asyncio.Event()
    host = FakeHost(lambda request: Act(gate=gate))
    stale = await field.server(host, lease_ttl_s=3600)
    uid = await field.submit(CHAIN)
    await field.task_in(uid, "s0", "RUNNING")
    await expire_leases(field)
    await field.server(host, **SHORT)
    await eventually(lambda: owner_is_not(field, uid, stale.engine.server_id), "takeover")
    gate.set()
    await field.ended(uid)
    await eventually(lambda: stale.engine.run_count == 0, "the stale server lets go")
    assert len(set(names(host))) == len(names(host)) == 3


async def owner_is_not(field: Field, uid: RunUid, server: object) -> bool:
    async with field.database.connection() as connection:
        row = await (await connection.execute("SELECT owner FROM run WHERE uid = %s", [uid])).fetchone()
    return row is not None and row[0] != server


async def test_two_servers_share_the_runs_and_run_each_step_once(field: Field) -> None:
    hosts = [FakeHost(), FakeHost()]
    for host in hosts:
        await field.server(host)
    uids = [await field.submit(CHAIN) for _ in range(20)]
    for uid in uids:
        await field.ended(uid)
    launched = names(hosts[0]) + names(hosts[1])
    assert len(launched) == len(set(launched)) == 60


async def test_work_goes_on_when_the_database_comes_back(field: Field) -> None:
    """Its connections are cut again and again under forty steps."""
    host = FakeHost(slow)
    await field.server(host, **{**SHORT, "lease_ttl_s": 5.0})
    uids = [await field.submit(pipelines.chain(10, "true")) for _ in range(4)]
    async with await psycopg.AsyncConnection.connect(field.database.dsn, autocommit=True) as connection:
        for count in range(4, 40, 4):
            await eventually(partial(has_launched, host, count), "progress")
            await connection.execute(CUT_OTHERS)
    for uid in uids:
        await field.ended(uid)
    assert len(set(names(host))) == len(names(host)) == 40


def has_launched(host: FakeHost, count: int) -> bool:
    return len(host.launches) >= count


CUT_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def slow(request: StepRequest) -> Act:
    gate = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, gate.set)
    return Act(gate=gate)
