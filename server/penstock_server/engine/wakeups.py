"""Waking the watches of this process when the store tells of new events of runs, or of changes of jobs.

One subscription a channel serves all of them. A notification only wakes: what is new is read by sequence, and a watch
that hears nothing looks by itself once in a while.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import RunUid
from penstock_server.store.notifications import EVENT_CHANNEL, JOB_CHANNEL, RECONNECTED, Notifications, Subscription


class Wakeup:
    """Waits for news of one run or job, or of any run."""

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
        self._subscriptions: list[Subscription] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen."""
        for channel in (EVENT_CHANNEL, JOB_CHANNEL):
            subscription = self._notifications.subscribe(channel)
            task = asyncio.create_task(self._listen(channel, subscription), name=f"wakeups {channel}")
            self._subscriptions.append(subscription)
            self._tasks.append(task)

    def drain(self) -> None:
        """End all watches with Unavailable, so that their clients resume elsewhere."""
        self._draining.set()
        self._wake_all()

    async def close(self) -> None:
        """Stop listening; may be called twice."""
        self.drain()
        for subscription in self._subscriptions:
            subscription.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
        with self._of(str(uid)) as wakeup:
            yield wakeup

    @contextmanager
    def of_job(self, uid: uuid.UUID) -> Iterator[Wakeup]:
        """News of one job and its slots. Enter before reading, so that nothing falls in between."""
        with self._of(str(uid)) as wakeup:
            yield wakeup

    @contextmanager
    def of_all(self) -> Iterator[Wakeup]:
        """News of any run."""
        wakeup = Wakeup(self)
        self._of_all.add(wakeup)
        try:
            yield wakeup
        finally:
            self._of_all.discard(wakeup)

    @contextmanager
    def _of(self, key: str) -> Iterator[Wakeup]:
        wakeup = Wakeup(self)
        self._listening[key].add(wakeup)
        try:
            yield wakeup
        finally:
            self._listening[key].discard(wakeup)
            if not self._listening[key]:
                del self._listening[key]

    async def _listen(self, channel: str, subscription: Subscription) -> None:
        while True:
            for payload in await subscription.wait(60.0):
                self._wake(channel, payload)

    def _wake(self, channel: str, payload: str) -> None:
        if payload == RECONNECTED:
            self._wake_all()  # Anything may have happened meanwhile.
        for wakeup in self._listening.get(payload, ()):
            wakeup.wake()
        for wakeup in self._of_all if channel == EVENT_CHANNEL else ():
            wakeup.wake()

    def _wake_all(self) -> None:
        for wakeup in (*self._of_all, *(w for group in self._listening.values() for w in group)):
            wakeup.wake()
