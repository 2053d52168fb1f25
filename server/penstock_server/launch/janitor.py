"""Tidying up behind attempts, away from the event loop and a little later, many at a time."""

import asyncio

from penstock_server.launch import strays
from penstock_server.launch.scratch import Folders

PAUSE_S = 2.0


class Janitor:
    """Ends the strays of attempts that have ended and removes the files of those that are forgotten."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._ended: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._round: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tidy up what a server that was killed has left."""
        self._schedule(0)

    async def close(self) -> None:
        """Finish what is due and stop; may be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._round is not None:
            await self._round
        if self._ended:
            await self._tidy()

    def note_ended(self, attempt: str) -> None:
        """The attempt's main program has ended; what has escaped its process group is to end as well."""
        self._ended.add(attempt)
        self._schedule(PAUSE_S)

    def note_discarded(self) -> None:
        """There is something in the trash."""
        self._schedule(PAUSE_S)

    def _schedule(self, delay_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._round is not None and not self._round.done():
            self._schedule(PAUSE_S)
            return
        self._round = asyncio.create_task(self._tidy(), name="launch-janitor")

    async def _tidy(self) -> None:
        ended, self._ended = self._ended, set()
        await asyncio.to_thread(self._work, ended)

    def _work(self, ended: set[str]) -> None:
        if ended:
            strays.end(ended)
        self._folders.empty_trash()
