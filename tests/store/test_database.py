"""Getting a connection: in time or not at all, and errors that callers can act on."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from penstock_server.model.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted, Unavailable
from penstock_server.store.database import Connection, Database
from tests import factories


async def cut(database: Database, connection: Connection) -> None:
    """The server ends the session behind a connection."""
    async with database.connection() as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])


async def ask_once_cut(database: Database) -> None:
    async with database.connection() as connection:
        await cut(database, connection)
        await connection.execute("SELECT 1")


async def fail_after(database: Database, statement: str) -> None:
    """A transaction whose block raises KeyError."""
    async with database.transaction() as connection:
        await connection.execute(statement.encode())
        raise KeyError


async def test_a_call_does_not_outlive_its_deadline(database: Database) -> None:
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        async with database.connection(deadline_s=0.1) as connection:
            await connection.execute("SELECT pg_sleep(10)")
    assert time.monotonic() - start < 5


async def ask_frozen(database: Database) -> None:
    """Ask a server process that is stopped."""
    async with database.connection() as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            await connection.execute("SELECT 1")
        finally:
            os.kill(backend, signal.SIGCONT)


async def test_a_database_that_has_frozen_counts_as_one_that_is_away(database: Database) -> None:
    with pytest.raises(Unavailable) as raised:
        await ask_frozen(database.with_patience(0.2))
    assert raised.value.reason == "DATABASE_UNAVAILABLE"
    assert raised.value.retry_after_s
    async with database.connection() as connection:
        await connection.execute("SELECT 1")


async def test_a_deadline_ends_with_its_transaction(database: Database) -> None:
    single = Database(database.dsn, pool_size_max=1)
    await single.open()
    async with single.transaction(deadline_s=5) as connection:
        assert await (await connection.execute("SHOW statement_timeout")).fetchone() == ("5s",)
    async with single.connection() as connection:
        assert await (await connection.execute("SHOW statement_timeout")).fetchone() == ("30s",)
    await single.close()


async def test_a_block_that_raises_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(KeyError):
        await fail_after(database, "INSERT INTO shared_secret VALUES ('p', 'v')")
    async with database.connection() as connection:
        assert await (await connection.execute("SELECT 1 FROM shared_secret")).fetchone() is None


async def test_a_lost_connection_is_told_and_the_next_call_works(database: Database) -> None:
    with pytest.raises(Unavailable) as raised:
        await ask_once_cut(database)
    assert (raised.value.reason, raised.value.retry_after_s) == ("DATABASE_UNAVAILABLE", 1.0)
    async with database.connection() as connection:
        await connection.execute("SELECT 1")


async def test_a_connection_lost_while_committing_leaves_the_outcome_open(database: Database) -> None:
    with pytest.raises(Unavailable) as raised:
        async with database.transaction() as connection:
            await cut(database, connection)
    assert raised.value.reason == "COMMIT_OUTCOME_UNKNOWN"


async def test_a_connection_lost_in_a_statement_that_writes_leaves_the_outcome_open(database: Database) -> None:
    with pytest.raises(Unavailable) as raised:
        async with database.writing() as connection:
            await cut(database, connection)
            await connection.execute("INSERT INTO shared_secret VALUES ('p', 'v')")
    assert raised.value.reason == "COMMIT_OUTCOME_UNKNOWN"


async def test_calls_fail_within_five_seconds_without_a_database() -> None:
    database = Database("postgresql://nobody@/nothing?host=/nowhere")
    start = time.monotonic()
    await database._pool.open()
    with pytest.raises(Unavailable):
        async with database.connection() as connection:
            await connection.execute("SELECT 1")
    await database.close()
    assert time.monotonic() - start < 5


async def test_more_calls_than_connections_take_turns(database: Database) -> None:
    async def call() -> None:
        async with database.connection() as connection:
            await connection.execute("SELECT pg_sleep(0.01)")

    await asyncio.gather(*(call() for _ in range(100)))


@pytest.mark.parametrize("values", [{"display_name": "a\0b"}, {"labels": {"team": "a\0b"}}])
async def test_text_with_nul_is_refused(database: Database, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        await factories.insert_run(database, **values)


async def test_it_may_be_closed_twice(database: Database) -> None:
    await database.close()
    await database.close()
    with pytest.raises(Unavailable):
        async with database.connection():
            pass


@pytest.mark.parametrize("steps", range(6))
async def test_who_is_cancelled_just_as_a_connection_comes_ends_as_cancelled(database_dsn: str, steps: int) -> None:
    database = Database(database_dsn, pool_size_max=1)

    async def ask() -> None:
        async with database.connection():
            pass
        await asyncio.Event().wait()

    await database.open()
    async with database.connection():
        task = asyncio.create_task(ask())
        while not database._pool.get_stats().get("requests_waiting"):
            await asyncio.sleep(0)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    task.cancel()
    await database.close()
    assert [task.cancelled() for task in done] == [True]


@pytest.mark.parametrize("answered", [True, False])
async def test_patient_callers_are_told_whether_the_database_is_away_or_only_busy(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    monkeypatch.setattr("penstock_server.store.database.ACQUIRE_TIMEOUT_S", 1.0)
    database = Database(database_dsn, pool_size_max=1)
    await database.open()
    patient = database.with_patience(5)
    async with database.connection():
        if answered:  # to others, while this one waits
            asyncio.get_running_loop().call_later(0.5, database._pulse.beat)
        with pytest.raises(ResourceExhausted if answered else Unavailable) as raised:
            await patient.version()
        assert raised.value.reason == ("SERVER_BUSY" if answered else "DATABASE_UNAVAILABLE")
    await database.close()
