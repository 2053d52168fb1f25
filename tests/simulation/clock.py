"""An event loop whose time passes only when there is nothing else to do, and then at once."""

import asyncio
import selectors
from typing import Any


class NothingWillHappenError(Exception):
    """Everybody waits, and nobody for a time."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs the same program to the same end whatever the machine does meanwhile."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Leap(self))

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def leap(self, seconds: float) -> None:
        """Let so much time pass."""
        self._now += seconds


class _Leap(selectors.SelectSelector):
    """Waits for no file, only for time, and that does not take any."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingWillHappenError
        self._loop.leap(max(0.0, timeout))
        return []
