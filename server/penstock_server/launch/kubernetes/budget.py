"""How many pods may wait for a place in the cluster at a time: what the scheduler cannot place yet costs it as much as
what it can."""

import asyncio
from collections import deque


class PodBudget:
    """Places for pods that have not started, given in the order they are asked for. Pods that were found may go
    beyond the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_full(self) -> bool:
        """True when the next one has to wait."""
        return self._taken >= self._limit

    async def take(self) -> None:
        """Wait for a place and take it."""
        if not self.is_full:
            self._taken += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back()
            raise

    def take_over(self) -> None:
        """Take a place for a pod that is there already."""
        self._taken += 1

    def give_back(self) -> None:
        """The pod has started, or is gone."""
        self._taken -= 1
        while self._waiting and not self.is_full:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)
