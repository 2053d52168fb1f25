"""How many pods may wait for a place in the cluster at a time: what the scheduler cannot place yet costs it as much as
what it can."""

import asyncio
from collections import deque
from collections.abc import Callable


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


class BudgetPlace:
    """A place for one pod, or none."""

    def __init__(self, budget: PodBudget) -> None:
        self._budget = budget
        self._is_held = False
        self._waiting: asyncio.Task[object] | None = None

    @property
    def is_awaited(self) -> bool:
        """True while somebody waits for it."""
        return self._waiting is not None

    async def take(self, when_full: Callable[[], None]) -> None:
        """Wait for it; `when_full` is called where it takes a while."""
        if self._is_held:
            return
        if self._budget.is_full:
            when_full()
        self._waiting = asyncio.current_task()
        try:
            await self._budget.take()
        finally:
            self._waiting = None
        self._is_held = True

    def take_over(self) -> None:
        """Take it for a pod that is there already."""
        if not self._is_held:
            self._is_held = True
            self._budget.take_over()

    def give_up(self) -> None:
        """End the task that waits for it."""
        if self._waiting is not None:
            self._waiting.cancel()

    def give_back(self) -> None:
        """The pod needs it no more."""
        if self._is_held:
            self._is_held = False
            self._budget.give_back()
