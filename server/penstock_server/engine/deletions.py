"""Tells the launcher of runs that were deleted, on whichever server.

What is deleted while this server is away from the database stays with its launcher: it takes room and harms nothing.
"""

import logging
from uuid import UUID

from penstock_server.launch.base import Launcher
from penstock_server.model.errors import PenstockError
from penstock_server.model.ids import RunUid
from penstock_server.store.notifications import RECONNECTED, Subscription

_log = logging.getLogger(__name__)

WAIT_S = 3600.0


class Deletions:
    """Hears of deleted runs."""

    def __init__(self, subscription: Subscription, launcher: Launcher) -> None:
        self._subscription = subscription
        self._launcher = launcher

    async def work(self) -> None:
        """Tell the launcher, until cancelled."""
        while True:
            for payload in await self._subscription.wait(WAIT_S) - {RECONNECTED}:
                await self._discard(RunUid(UUID(payload)))

    async def _discard(self, run: RunUid) -> None:
        try:
            await self._launcher.discard(run)
        except PenstockError as error:
            _log.warning("deleted run not discarded", extra={"run": str(run), "reason": error.reason})
