"""Tells all servers of new runs that none of them has yet.

A commit that notifies waits for every other one that does, disk and all. So those who make runs do not notify: they
leave it to one statement after the other, each for all the runs that were made meanwhile.
"""

import asyncio
import logging

from penstock_server.model.errors import PenstockError
from penstock_server.model.ids import RunUid
from penstock_server.store import runs
from penstock_server.store.database import Database

_log = logging.getLogger(__name__)

PAUSE_S = 0.01
"""Between two announcements, so that where runs are made in numbers each tells of many."""


class Announcements:
    """Gathers runs while one announcement is under way, and tells of them with the next."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._untold: list[RunUid] = []
        self._telling: asyncio.Task[None] | None = None

    def tell(self, uid: RunUid) -> None:
        """Tell of a run that was committed; returns at once."""
        self._untold.append(uid)
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name="announcements")

    async def _tell(self) -> None:
        try:
            while self._untold:
                uids, self._untold = self._untold, []
                async with self._database.connection() as connection:
                    await runs.announce(connection, uids)
                await asyncio.sleep(PAUSE_S)
        except PenstockError as error:
            # Engines and watches look by themselves as well, only later.
            _log.warning("new runs not announced", extra={"reason": error.reason})
        finally:
            self._telling = None
