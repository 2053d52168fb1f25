"""This server's lease: renewed in time, not trusted past its end, and begun anew when it was lost."""

import asyncio
import itertools
import uuid
from contextlib import suppress

from penstock_server.engine.leases import Lease
from penstock_server.model.ids import ServerId
from penstock_server.store.database import Database
from tests.engine.conftest import eventually


class World:
    """A lease, the clock it reads, and how often it was lost."""

    def __init__(self, database: Database, ttl_s: float = 0.3) -> None:
        self.now = 0.0
        self.lost = 0
        ids = itertools.count(1)
        self.lease = Lease(
            database,
            ttl_s=ttl_s,
            new_id=lambda: ServerId(uuid.UUID(int=next(ids))),
            on_lost=self._on_lost,
            clock=lambda: self.now,
        )

    def _on_lost(self) -> None:
        self.lost += 1


async def expire(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE server SET expire_time = now() - interval '1 s'")


async def test_a_lease_is_valid_for_its_time_by_the_own_clock(database: Database) -> None:
    world = World(database)
    assert not world.lease.is_valid
    await world.lease.start()
    assert world.lease.is_valid
    world.now += 0.3
    assert not world.lease.is_valid


async def test_a_renewed_lease_counts_from_the_renewal(database: Database) -> None:
    world = World(database)
    await world.lease.start()
    world.now += 0.2
    work = asyncio.create_task(world.lease.work())
    await eventually(lambda: holds_after(world, 0.35), "renewal")
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    assert world.lost == 0


def holds_after(world: World, seconds: float) -> bool:
    before, world.now = world.now, seconds
    valid = world.lease.is_valid
    world.now = before
    return valid


async def test_a_lost_lease_is_begun_anew_under_another_id(database: Database) -> None:
    world = World(database)
    await world.lease.start()
    first = world.lease.server_id
    await expire(database)
    work = asyncio.create_task(world.lease.work())
    await eventually(lambda: world.lost > 0 and world.lease.is_valid, "a new lease")
    work.cancel()
    assert world.lease.server_id != first


async def test_a_lease_that_was_given_up_is_valid_no_more(database: Database) -> None:
    world = World(database)
    await world.lease.start()
    await world.lease.end()
    assert not world.lease.is_valid
