"""Waking the watches of this process when the store tells of new events.

One subscription serves all of them. A notification only wakes: what is new is read by sequence, and a watch
that hears nothing looks by itself once in a while.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import RunUid
from penstock_server.store.notifications import EVENT_CHANNEL, RECONNECTED, Notifications, Subscription


class Wakeup:
    """Waits for news of one run, or of any."""

    def __init__(self, owner: "Wakeups") -> None:
        self._owner = owner
        self._news = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Return when there may be news: True after a notification, False after a while without.

        A while is `timeout_s`, by default so long that a lost notification does little harm. Raises
        Unavailable SERVER_DRAINING when the server ends.
        """
        self._owner.check_open()
        try:
            async with asyncio.timeout(self._owner.poll_s if timeout_s is None else timeout_s):
                await self._news.wait()
        except TimeoutError:
            return False
        self._owner.check_open()
        self._news.clear()
        return True

    def wake(self) -> None:
        """There may be news."""
        self._news.set()


class Wakeups:
    """Hands the store's notifications on to the watches that care."""

    def __init__(self, notifications: Notifications, *, poll_s: float = 1.0) -> None:
        self.poll_s = poll_s
        """After so many seconds without a notification a watch looks by itself."""
        self._notifications = notifications
        self._listening: dict[str, set[Wakeup]] = defaultdict(set)
        self._of_all: set[Wakeup] = set()
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._draining = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen."""
        self._subscription = self._notifications.subscribe(EVENT_CHANNEL)
        self._task = asyncio.create_task(self._listen(self._subscription), name="api-wakeups")

    def drain(self) -> None:
        """End all watches with Unavailable, so that their clients resume elsewhere."""
        self._draining.set()
        self._wake_all()

    async def close(self) -> None:
        """Stop listening; may be called twice."""
        self.drain()
        if self._subscription is not None:
            self._subscription.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def check_open(self) -> None:
        """Raise Unavailable SERVER_DRAINING when the server ends."""
        if self._draining.is_set():
            raise Unavailable(
                "SERVER_DRAINING",
                "this server is about to end; go on with the resume token",
                retry_after_s=0.5,
            )

    async def draining(self) -> None:
        """Return when the server ends."""
        await self._draining.wait()

    @contextmanager
    def of_run(self, uid: RunUid) -> Iterator[Wakeup]:
        """News of one run. Enter before reading, so that nothing falls in between."""
        key, wakeup = str(uid), Wakeup(self)
        self._listening[key].add(wakeup)
        try:
            yield wakeup
        finally:
            self._listening[key].discard(wakeup)
            if not self._listening[key]:
                del self._listening[key]

    @contextmanager
    def of_all(self) -> Iterator[Wakeup]:
        """News of any run."""
        wakeup = Wakeup(self)
        self._of_all.add(wakeup)
        try:
            yield wakeup
        finally:
            self._of_all.discard(wakeup)

    async def _listen(self, subscription: Subscription) -> None:
        while True:
            for payload in await subscription.wait(60.0):
                self._wake(payload)

    def _wake(self, payload: str) -> None:
        if payload == RECONNECTED:
            self._wake_all()  # Anything may have happened meanwhile.
        for wakeup in self._listening.get(payload, ()):
            wakeup.wake()
        for wakeup in self._of_all:
            wakeup.wake()

    def _wake_all(self) -> None:
        for wakeup in (*self._of_all, *(w for group in self._listening.values() for w in group)):
            wakeup.wake()
