"""Tells all servers of what was committed: new runs that none of them has yet, jobs that have had a turn.

A commit that notifies waits for every other one that does, disk and all. So those who write much do not notify: they
leave it to one statement after the other, each for all that was written meanwhile.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence

from penstock_server.model.errors import PenstockError
from penstock_server.store.database import Connection, Database

_log = logging.getLogger(__name__)

PAUSE_S = 0.01
"""Between two announcements, so that where much is written each tells of many."""


class Announcements:
    """Gathers what is to be told while one announcement is under way, and tells of it with the next."""

    def __init__(
        self, database: Database, announce: Callable[[Connection, Sequence[uuid.UUID]], Awaitable[None]]
    ) -> None:
        """`announce` is the statement that tells of many."""
        self._database = database
        self._announce = announce
        self._untold: list[uuid.UUID] = []
        self._telling: asyncio.Task[None] | None = None

    def tell(self, uid: uuid.UUID) -> None:
        """Tell of one whose writing is committed; returns at once."""
        self._untold.append(uid)
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name="announcements")

    async def _tell(self) -> None:
        try:
            while self._untold:
                uids, self._untold = self._untold, []
                async with self._database.connection() as connection:
                    await self._announce(connection, uids)
                await asyncio.sleep(PAUSE_S)
        except PenstockError as error:
            # Engines and watches look by themselves as well, only later.
            _log.warning("news not announced", extra={"reason": error.reason})
        finally:
            self._telling = None
