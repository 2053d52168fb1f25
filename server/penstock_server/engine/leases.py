"""This server's lease: while it is renewed, the runs claimed under it are this server's."""

import asyncio
import logging
import time
from collections.abc import Callable

from penstock_server.model.errors import PenstockError
from penstock_server.model.ids import ServerId
from penstock_server.store import leases
from penstock_server.store.database import Database

_log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds that only ever go forward, since whenever."""
RETRY_S = 0.5
"""Wait between tries while the database is away."""


class Lease:
    """Registers the server, renews its lease in time, registers it anew, by another id, once it is lost."""

    def __init__(
        self,
        database: Database,
        *,
        ttl_s: float,
        new_id: Callable[[], ServerId],
        on_lost: Callable[[], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self._database = database
        self._ttl_s = ttl_s
        self._new_id = new_id
        self._on_lost = on_lost
        self._clock = clock
        self._valid_until = 0.0
        self.server_id = new_id()

    @property
    def is_valid(self) -> bool:
        """True while no other server can have taken over. Counts from before the renewal was asked for."""
        return self._clock() < self._valid_until

    async def start(self) -> None:
        """Register. Raises Unavailable without the database."""
        asked = self._clock()
        async with self._database.transaction() as connection:
            await leases.register(connection, self.server_id, self._ttl_s)
        self._valid_until = asked + self._ttl_s

    async def work(self) -> None:
        """Renew, until cancelled."""
        delay_s = self._ttl_s / 3
        while True:
            await asyncio.sleep(delay_s)
            delay_s = self._ttl_s / 3 if await self._renew() else RETRY_S

    async def end(self) -> None:
        """Give the lease up, and with it all runs."""
        self._valid_until = 0.0
        async with self._database.transaction() as connection:
            await leases.release(connection, self.server_id)

    async def _renew(self) -> bool:
        asked = self._clock()
        try:
            async with self._database.transaction() as connection:
                renewed = await leases.heartbeat(connection, self.server_id, self._ttl_s)
            if not renewed:
                await self._register_anew()
                return True
        except PenstockError as error:
            _log.warning("lease not renewed", extra={"reason": error.reason, "valid": self.is_valid})
            return False
        self._valid_until = asked + self._ttl_s
        return True

    async def _register_anew(self) -> None:
        """The lease ran out: others may have taken the runs, so none is ours."""
        _log.warning("lease lost, registering anew", extra={"server": str(self.server_id)})
        lost, self.server_id = self.server_id, self._new_id()
        self._on_lost()
        async with self._database.transaction() as connection:
            await leases.release(connection, lost)
        await self.start()
