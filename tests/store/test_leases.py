"""Leases: a run has one owner, which keeps it while it lives and loses it when it does not."""

import asyncio

import pytest

from penstock_server.model.changes import RequestFlags
from penstock_server.model.ids import ServerId
from penstock_server.store import leases, requests
from penstock_server.store.database import Database
from penstock_server.store.leases import ClaimedRun
from tests import factories


async def server(database: Database, ttl_s: float = 60) -> ServerId:
    id = factories.server_id()
    async with database.transaction() as connection:
        await leases.register(connection, id, ttl_s)
    return id


async def claim(database: Database, owner: ServerId, limit: int = 100) -> list[ClaimedRun]:
    async with database.transaction() as connection:
        return await leases.claim_runs(connection, owner, limit)


async def expire(database: Database, owner: ServerId) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE server SET expire_time = now() WHERE server_id = %s", [owner])


async def test_each_run_is_claimed_by_one_of_many_servers(database: Database) -> None:
    made = {(await factories.insert_run(database)).uid for _ in range(40)}
    servers = [await server(database) for _ in range(4)]
    claimed = await asyncio.gather(*(claim(database, owner, 7) for owner in servers for _ in range(3)))
    uids = [run.uid for runs in claimed for run in runs]
    assert len(uids) == len(made)
    assert set(uids) == made


async def test_the_oldest_are_claimed_first_and_no_more_than_asked_for(database: Database) -> None:
    runs = [await factories.insert_run(database) for _ in range(3)]
    owner = await server(database)
    assert {run.uid for run in await claim(database, owner, 2)} == {run.uid for run in runs[:2]}
    assert [run.uid for run in await claim(database, owner, 2)] == [runs[2].uid]


async def test_a_run_with_a_living_owner_is_not_claimed(database: Database) -> None:
    await factories.insert_run(database)
    await claim(database, await server(database))
    assert await claim(database, await server(database)) == []


@pytest.mark.parametrize("ends", ["expires", "gives up"])
async def test_a_run_whose_owner_ends_is_claimed_under_a_new_fence(database: Database, ends: str) -> None:
    await factories.insert_run(database)
    first, second = await server(database), await server(database)
    (held,) = await claim(database, first)
    if ends == "expires":
        await expire(database, first)
    else:
        async with database.transaction() as connection:
            await leases.release(connection, first)
    from_owner = first if ends == "expires" else None
    assert await claim(database, second) == [ClaimedRun(held.uid, held.fence + 1, from_owner)]


async def test_a_claim_tells_of_a_run_that_it_is_under_way_already(database: Database) -> None:
    run = await factories.insert_run(database)
    first, second = await server(database), await server(database)
    (held,) = await claim(database, first)
    assert not held.is_under_way
    async with database.transaction() as connection:
        await connection.execute("UPDATE run SET start_time = now() WHERE uid = %s", [run.uid])
        await leases.release(connection, first)
    assert await claim(database, second) == [ClaimedRun(held.uid, held.fence + 1, is_under_way=True)]


async def test_a_server_whose_registration_was_not_answered_may_register_again(database: Database) -> None:
    owner = await server(database)
    await factories.insert_run(database)
    async with database.transaction() as connection:
        await leases.register(connection, owner, 60)
    assert len(await claim(database, owner)) == 1


async def test_a_lease_that_ran_out_is_neither_renewed_nor_good_for_claims(database: Database) -> None:
    await factories.insert_run(database)
    owner = await server(database)
    async with database.transaction() as connection:
        assert await leases.heartbeat(connection, owner, 60)
    await expire(database, owner)
    async with database.transaction() as connection:
        assert not await leases.heartbeat(connection, owner, 60)
    assert await claim(database, owner) == []


async def test_a_run_given_up_is_free_if_it_was_still_held(database: Database) -> None:
    await factories.insert_run(database)
    owner = await server(database)
    (held,) = await claim(database, owner)
    async with database.transaction() as connection:
        await leases.release_run(connection, held.uid, held.fence - 1)
    assert await claim(database, owner) == []
    async with database.transaction() as connection:
        await leases.release_run(connection, held.uid, held.fence)
    assert await claim(database, owner) == [ClaimedRun(held.uid, held.fence + 1)]


async def test_a_run_that_ended_is_left_alone_until_something_is_asked_of_it(database: Database) -> None:
    run = await factories.insert_run(database)
    owner = await server(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE run SET state = 'FAILED', end_time = now()")
        assert await claim(database, owner) == []
        assert await requests.request_retry(connection, "default", run.id)
    assert [claimed.uid for claimed in await claim(database, owner)] == [run.uid]
    async with database.connection() as connection:
        assert await leases.read_requests(connection, owner) == {run.uid: RequestFlags(retry=True)}


async def test_rows_of_servers_long_gone_are_cleared_away(database: Database) -> None:
    gone = await server(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE server SET expire_time = now() - interval '2 days'")
        await server(database)
        cursor = await connection.execute("SELECT 1 FROM server WHERE server_id = %s", [gone])
        assert await cursor.fetchone() is None
