"""How fast calls go to the API server: a bucket that fills at a rate, and stays shut when the server asks for rest."""

import asyncio
from collections.abc import Awaitable, Callable


class Throttle:
    """Lets `rate_per_s` calls through each second, and up to `burst` at once after a rest, in the order they came."""

    def __init__(
        self,
        rate_per_s: float,
        burst: int,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval_s = 1 / rate_per_s
        self._saved_s = (burst - 1) * self._interval_s
        self._clock = clock
        self._sleep = sleep
        self._next = float("-inf")
        """When the bucket would be full again: each call moves it on by one interval."""
        self._shut_until = float("-inf")

    async def turn(self) -> None:
        """Wait until a call may go."""
        now = self._clock()
        self._next = max(self._next, now - self._saved_s - self._interval_s) + self._interval_s
        at = max(self._next, self._shut_until)
        if at > now:
            await self._sleep(at - now)

    def rest(self, seconds: float) -> None:
        """Let no further call through for so long."""
        self._shut_until = max(self._shut_until, self._clock() + seconds)
