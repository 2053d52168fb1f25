"""Waiting for notifications, over lost connections."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from penstock_server.store.database import Database
from penstock_server.store.notifications import EVENT_CHANNEL, RECONNECTED, RUN_CHANNEL, Notifications

LONG_S = 10.0


@pytest.fixture
async def notifications(database: Database) -> AsyncIterator[Notifications]:
    """Listening, and woken for the first time."""
    listening = Notifications(database.dsn)
    first = listening.subscribe(RUN_CHANNEL)
    await listening.start()
    assert await first.wait(LONG_S) == {RECONNECTED}
    yield listening
    await listening.close()
    await listening.close()


async def notify(database: Database, channel: str, *payloads: str) -> None:
    async with database.transaction() as connection:
        for payload in payloads:
            await connection.execute("SELECT pg_notify(%s, %s)", [channel, payload])


async def notify_and_fail(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_notify('penstock_run', 'never')")
        raise KeyError


async def test_payloads_since_the_last_wait_come_together(database: Database, notifications: Notifications) -> None:
    of_runs, of_events = notifications.subscribe(RUN_CHANNEL), notifications.subscribe(EVENT_CHANNEL)
    await notify(database, EVENT_CHANNEL, "a", "b", "a")
    assert await of_events.wait(LONG_S) == {"a", "b"}
    assert await of_runs.wait(0.01) == frozenset()


async def test_what_was_rolled_back_is_not_told(database: Database, notifications: Notifications) -> None:
    subscription = notifications.subscribe(RUN_CHANNEL)
    with pytest.raises(KeyError):
        await notify_and_fail(database)
    await notify(database, RUN_CHANNEL, "told")
    assert await subscription.wait(LONG_S) == {"told"}


async def test_after_a_lost_connection_everybody_is_woken_and_hears_again(
    database: Database, notifications: Notifications
) -> None:
    subscription = notifications.subscribe(RUN_CHANNEL)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'penstock notifications' AND datname = current_database()"
        )
    assert RECONNECTED in await subscription.wait(LONG_S)
    await notify(database, RUN_CHANNEL, "again")
    assert await subscription.wait(LONG_S) == {"again"}


async def test_a_closed_subscription_hears_nothing(notifications: Notifications) -> None:
    closed, open_one = notifications.subscribe(RUN_CHANNEL), notifications.subscribe(RUN_CHANNEL)
    closed.close()
    closed.close()
    notifications.wake(RUN_CHANNEL, "x")
    assert await open_one.wait(LONG_S) == {"x"}
    assert await closed.wait(0.01) == frozenset()
