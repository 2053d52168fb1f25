"""The loop that each server runs for jobs: finds those that need a turn, and takes one turn after the other.

Notifications only wake it. What is relied on is looking: when the next slot falls due, and every few seconds.
"""

import asyncio
import logging
import uuid
from contextlib import AsyncExitStack

from penstock_server.engine.job_turns import JobTurns
from penstock_server.engine.leases import RETRY_S
from penstock_server.model.errors import PenstockError, Unavailable
from penstock_server.store import job_turns
from penstock_server.store.database import Database
from penstock_server.store.notifications import JOB_CHANNEL, Notifications, Subscription

_log = logging.getLogger(__name__)

DUE_MAX = 64
"""So many jobs are looked up at a time."""
TURNS_AT_ONCE = 4
REST_S = 60.0
"""A job whose turn fails by a fault of ours is left alone by this server for so long."""
SHORTEST_WAIT_S = 0.005


class Schedules:
    """Takes the turns of jobs, until it is closed."""

    def __init__(
        self,
        database: Database,
        notifications: Notifications,
        turns: JobTurns,
        *,
        poll_s: float = 2.0,
    ) -> None:
        """`poll_s`: so often it looks without being told."""
        self._database = database
        self._notifications = notifications
        self._turns = turns
        self._poll_s = poll_s
        self._resting: dict[uuid.UUID, float] = {}
        """Jobs that are left alone, and until when by the event loop."""
        self._at_once = asyncio.Semaphore(TURNS_AT_ONCE)
        self._task: asyncio.Task[None] | None = None
        self._exits = AsyncExitStack()

    async def start(self) -> None:
        """Begin; returns at once."""
        subscription = self._exits.enter_context(self._notifications.subscribe(JOB_CHANNEL))
        self._task = asyncio.create_task(self._work(subscription), name="schedules")

    async def close(self) -> None:
        """Take no more turns; those that are under way are rolled back. May be called twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._exits.aclose()

    async def _work(self, subscription: Subscription) -> None:
        while True:
            try:
                wait_s = await self.look()
            except PenstockError as error:
                _log.warning("no turns of jobs taken", extra={"reason": error.reason})
                wait_s = RETRY_S
            if wait_s > 0:
                await subscription.wait(wait_s)

    async def look(self) -> float:
        """Take the turns that are due; seconds until there is reason to look again. Raises Unavailable."""
        now = asyncio.get_running_loop().time()
        self._resting = {uid: until for uid, until in self._resting.items() if until > now}
        async with self._database.connection() as connection:
            due = await job_turns.due(connection, DUE_MAX, self._resting)
        results = await asyncio.gather(*(self._turn(uid) for uid in due.uids), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        if due.uids:
            return 0.0 if any(results) else SHORTEST_WAIT_S
        return self._poll_s if due.next_s is None else max(SHORTEST_WAIT_S, min(self._poll_s, due.next_s))

    async def _turn(self, uid: uuid.UUID) -> bool:
        """Take one turn; whether there was one to take. A fault in one job must not keep others from their turns."""
        async with self._at_once:
            try:
                return await self._turns.take(uid)
            except Unavailable:
                raise
            except Exception:
                # Told with its trace; the turn was rolled back, and is tried again by this server or another one.
                _log.exception("a turn of a job failed and is put off", extra={"job": str(uid)})
                self._resting[uid] = asyncio.get_running_loop().time() + REST_S
                return False
