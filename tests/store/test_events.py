"""Streams of events: of one run by number, across runs in the order of transactions, nothing passed over."""

import random
from contextlib import AsyncExitStack

from penstock_server.model.changes import Notice, RunChanges, RunMove
from penstock_server.model.ids import RunUid, ServerId
from penstock_server.model.resources import Event
from penstock_server.model.states import RunState
from penstock_server.store import events, leases, transitions
from penstock_server.store.database import Connection, Database
from penstock_server.store.events import Position
from tests import factories

START = RunMove(RunState.PENDING, RunState.RUNNING, "STARTED")


async def claimed(database: Database, count: int) -> tuple[ServerId, list[RunChanges]]:
    """So many runs of one server, each with its first move."""
    for _ in range(count):
        await factories.insert_run(database)
    owner = factories.server_id()
    async with database.transaction() as connection:
        await leases.register(connection, owner, 60)
        held = await leases.claim_runs(connection, owner, count)
    return owner, [RunChanges(run.uid, run.fence, 2, (START, Notice("N", "n"))) for run in held]


async def following(connection: Connection, after: Position, limit: int = 100) -> list[Event]:
    return list(await events.list_namespace(connection, "default", after, limit))


async def test_a_run_is_read_from_any_number_on(database: Database) -> None:
    owner, (changes,) = await claimed(database, 1)
    async with database.transaction() as connection:
        await transitions.commit(connection, owner, [changes])
    async with database.connection() as connection:
        read = await events.list_run(connection, changes.run_uid, 1, 2)
    assert [event.sequence for event in read] == [2, 3]


async def test_only_moves_of_runs_are_told_across_runs_and_of_one_namespace(database: Database) -> None:
    owner, batch = await claimed(database, 2)
    async with database.connection() as connection:
        start = await events.current_position(connection)
        async with database.transaction() as writer:
            await transitions.commit(writer, owner, batch)
        assert {event.to_state for event in await following(connection, start)} == {"RUNNING"}
        assert list(await events.list_namespace(connection, "other", start, 10)) == []


async def test_what_commits_late_is_not_passed_over(database: Database) -> None:
    owner, batch = await claimed(database, 2)
    async with database.connection() as reader, AsyncExitStack() as late:
        position = await events.current_position(reader)
        slow = await late.enter_async_context(database.transaction())
        await transitions.commit(slow, owner, batch[:1])
        async with database.transaction() as fast:
            await transitions.commit(fast, owner, batch[1:])
        assert await following(reader, position) == []
        await late.aclose()
        assert [event.run_uid for event in await following(reader, position)] == [
            batch[0].run_uid,
            batch[1].run_uid,
        ]


async def test_a_reader_that_stops_anywhere_misses_and_repeats_nothing(database: Database) -> None:
    owner, batch = await claimed(database, 12)
    draw = random.Random(7)
    async with database.connection() as reader:
        position = await events.current_position(reader)
        seen: list[RunUid] = []
        waiting = list(batch)
        while waiting or len(seen) < len(batch):
            if waiting and draw.random() < 0.5:
                taken, waiting = waiting[:2], waiting[2:]
                async with database.transaction() as writer:
                    await transitions.commit(writer, owner, taken)
            for event in await following(reader, position, draw.randint(1, 3)):
                seen.append(event.run_uid)
                position = events.position_of(event)
    assert len(seen) == len(set(seen)) == len(batch)


async def test_a_new_stream_begins_behind_all_that_is_committed(database: Database) -> None:
    await factories.insert_run(database)
    async with database.connection() as connection:
        position = await events.current_position(connection)
        assert await following(connection, position) == []
        run = await factories.insert_run(database)
        assert [event.run_uid for event in await following(connection, position)] == [run.uid]
