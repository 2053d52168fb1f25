"""Postgres' NOTIFY as something to wait for.

One connection listens and hands what comes to the subscriptions. A notification only wakes: whoever waits has
to look at the tables anyway, also after a while without any, since those sent while the connection was down
are lost. When it is back every subscription is woken with `RECONNECTED`.
"""

import asyncio
from typing import Final

import psycopg
from psycopg import sql

RECONNECTED: Final = "*"
RECONNECT_PAUSE_S = 0.5
RUN_CHANNEL: Final = "penstock_run"
"""Payload: uid of a run that an engine has to look at."""
EVENT_CHANNEL: Final = "penstock_event"
"""Payload: uid of a run with new events."""
DELETED_CHANNEL: Final = "penstock_deleted"
"""Payload: uid of a run that was deleted."""
JOB_CHANNEL: Final = "penstock_job"
"""Payload: uid of a job that has changed, or that a server has to look at."""
_CHANNELS = (RUN_CHANNEL, EVENT_CHANNEL, DELETED_CHANNEL, JOB_CHANNEL)


class Subscription:
    """What has come on one channel since the last wait."""

    def __init__(self, among: "set[Subscription]") -> None:
        self._payloads: set[str] = set()
        self._woken = asyncio.Event()
        self._among = among
        among.add(self)

    def close(self) -> None:
        """Hear no more; may be called twice."""
        self._among.discard(self)

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, payload: str) -> None:
        """Wake the waiter."""
        self._payloads.add(payload)
        self._woken.set()

    async def wait(self, timeout_s: float) -> frozenset[str]:
        """The payloads since the last call, once there are any; empty after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return frozenset()
        payloads = frozenset(self._payloads)
        self._payloads.clear()
        self._woken.clear()
        return payloads


class Notifications:
    """Listens on the channels for as long as it is started, over any number of lost connections."""

    def __init__(self, dsn: str, channels: tuple[str, ...] = _CHANNELS) -> None:
        self._dsn = dsn
        self._channels = channels
        self._subscriptions: dict[str, set[Subscription]] = {channel: set() for channel in channels}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin listening; returns at once."""
        self._task = asyncio.create_task(self._run(), name="notifications")

    async def close(self) -> None:
        """Stop listening; may be called twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def subscribe(self, channel: str) -> Subscription:
        """Hear what is told on `channel` from here on, until the subscription is closed."""
        return Subscription(self._subscriptions[channel])

    def wake(self, channel: str, payload: str) -> None:
        """Hand a payload to this process's own subscriptions, as its notification will a little later."""
        for subscription in tuple(self._subscriptions[channel]):
            subscription.put(payload)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # The database is away. Whoever waits looks by itself meanwhile.
                await asyncio.sleep(RECONNECT_PAUSE_S)

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=5, application_name="penstock notifications"
        ) as connection:
            for channel in self._channels:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            for channel in self._channels:
                self.wake(channel, RECONNECTED)
            async for notification in connection.notifies():
                self.wake(notification.channel, notification.payload)
