"""The pool of connections, and how a call gets one: within seconds, or not at all."""

import asyncio
import json
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from copy import copy
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from penstock_server.model.errors import ResourceExhausted, Unavailable
from penstock_server.model.json import WHOLE_MAX
from penstock_server.store.failures import RETRY_AFTER_S, translated

Connection = AsyncConnection[TupleRow]

CONNECT_TIMEOUT_S = 3
ACQUIRE_TIMEOUT_S = 4.0


class Database:
    """Connections to one Postgres.

    While it is away every call fails with `Unavailable` within five seconds; once it is back they work again without
    anybody's help.
    """

    def __init__(self, dsn: str, *, pool_size_max: int = 16, statement_timeout_s: float = 30) -> None:
        self.dsn = dsn
        self._patience_s: float | None = None
        self._pulse = _Pulse()
        self._statement_timeout_s = statement_timeout_s
        options: dict[str, Any] = {
            "autocommit": True,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "prepare_threshold": 2,
            "application_name": "penstock",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
        }
        self._pool = AsyncConnectionPool(
            dsn,
            kwargs=options,
            min_size=min(4, pool_size_max),
            max_size=pool_size_max,
            timeout=ACQUIRE_TIMEOUT_S,
            reconnect_timeout=5,
            configure=self._configure,
            open=False,
        )

    def with_patience(self, seconds: float) -> "Database":
        """The same pool for callers who wait so long for an answer at most: a database that has frozen with the
        connection open then counts as one that is away, and the connection is given up. Where no connection is free in
        time, but others were answered meanwhile, they are told SERVER_BUSY."""
        patient = copy(self)
        patient._patience_s = seconds
        return patient

    async def open(self) -> None:
        """Start connecting; returns once a first connection works. Raises Unavailable."""
        with translated():
            await self._pool.open(wait=True, timeout=ACQUIRE_TIMEOUT_S * 3)

    async def close(self) -> None:
        """Close all connections; may be called twice."""
        await self._pool.close()

    async def version(self) -> str:
        """What the database says its version is, such as `16.4`. Raises Unavailable when it does not answer."""
        async with self.connection() as connection:
            row = await (await connection.execute("SHOW server_version")).fetchone()
        return str(row[0]).split()[0] if row else ""

    @asynccontextmanager
    async def connection(self, *, deadline_s: float | None = None) -> AsyncIterator[Connection]:
        """A connection whose statements each commit by themselves."""
        with translated():
            async with self._acquired() as connection:
                if deadline_s is None:
                    yield connection
                else:
                    # A setting that is local to a transaction ends with it, whatever happens.
                    async with connection.transaction():
                        await self._limit(connection, deadline_s)
                        yield connection

    @asynccontextmanager
    async def transaction(self, *, deadline_s: float | None = None) -> AsyncIterator[Connection]:
        """A connection in a transaction that commits at the end of the block and rolls back when it raises.

        Unavailable with the reason COMMIT_OUTCOME_UNKNOWN says that the connection was lost while committing.
        """
        outcome = _Outcome()
        with outcome.told():
            async with self._acquired() as connection, connection.transaction():
                if deadline_s is not None:
                    await self._limit(connection, deadline_s)
                yield connection
                outcome.is_open = True

    @asynccontextmanager
    async def writing(self, *, deadline_s: float | None = None) -> AsyncIterator[Connection]:
        """A connection for one statement that writes, which is a transaction of its own; others may read.

        Raises as `transaction` does: when the connection is lost, the statement may have been committed.
        """
        outcome = _Outcome()
        with outcome.told():
            async with self.connection(deadline_s=deadline_s) as connection:
                outcome.is_open = True
                yield connection

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Connection]:
        cancellations = _cancellations()
        async with self._free() as connection:
            if _cancellations() > cancellations:
                # The pool waits by `wait_for`, which before Python 3.12 loses a cancellation that comes just as a
                # connection does. A loop that never hears of it would not end.
                raise asyncio.CancelledError
            if self._patience_s is None:
                yield connection
            else:
                with _cut_after(self._patience_s, connection, self._pulse):
                    yield connection
            self._pulse.beat()

    @asynccontextmanager
    async def _free(self) -> AsyncIterator[Connection]:
        """A connection that nobody else uses."""
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self._pool.connection())
            except PoolTimeout as error:
                if self._patience_s is not None and self._pulse.felt_within(ACQUIRE_TIMEOUT_S):
                    raise _busy() from error
                raise
            yield connection

    async def _configure(self, connection: Connection) -> None:
        set_json_loads(_loads, connection)
        timeout_ms = int(self._statement_timeout_s * 1000)
        settings = {"statement_timeout": timeout_ms, "timezone": "UTC", "jit": "off"}
        for name, value in settings.items():
            await connection.execute("SELECT set_config(%s, %s, false)", [name, str(value)])

    async def _limit(self, connection: Connection, deadline_s: float) -> None:
        limit_ms = max(1, int(min(deadline_s, self._statement_timeout_s) * 1000))
        await connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(limit_ms)])


class _Outcome:
    """Whether a transaction may have been committed when its connection is lost."""

    is_open = False

    @contextmanager
    def told(self) -> Iterator[None]:
        """Translates as `translated` does, and says when nobody knows."""
        try:
            with translated():
                yield
        except Unavailable as error:
            if not self.is_open:
                raise
            raise Unavailable(
                "COMMIT_OUTCOME_UNKNOWN",
                "the database went away while it committed; look whether the change is there before repeating it",
                retry_after_s=RETRY_AFTER_S,
            ) from error


def _cancellations() -> int:
    """How often the present task was asked to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class _Pulse:
    """When the database last did as it was asked, whoever asked."""

    def __init__(self) -> None:
        self._at = -math.inf

    def beat(self) -> None:
        """Just now."""
        self._at = time.monotonic()

    def felt_within(self, seconds: float) -> bool:
        """True when it was no longer ago."""
        return time.monotonic() - self._at <= seconds


@contextmanager
def _cut_after(patience_s: float, connection: Connection, pulse: _Pulse) -> Iterator[None]:
    """Cuts the connection when it is held for longer; for twice as long where others are answered meanwhile: then it is
    this process that is slow."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if pulse.felt_within(patience_s):
            timers.append(loop.call_later(patience_s, _cut, connection))
        else:
            _cut(connection)

    timers = [loop.call_later(patience_s, look)]
    try:
        yield
    finally:
        timers[-1].cancel()


def _busy() -> ResourceExhausted:
    return ResourceExhausted(
        "SERVER_BUSY",
        "this server has more to ask its database than it can; repeat the call in a while",
        retry_after_s=RETRY_AFTER_S,
    )


def _cut(connection: Connection) -> None:
    """End the connection under whoever waits on it. A cancellation would wait for the database's consent."""
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)


def _loads(data: str | bytes) -> Any:
    """JSON, quickly where there is nothing in it, as in most columns of most rows."""
    return {} if data == b"{}" else json.loads(data, parse_int=_whole)


def _whole(digits: str) -> int | float:
    """Postgres writes all digits of a number, also of 1e300, which was a double and is one again."""
    number = int(digits)
    return number if abs(number) < WHOLE_MAX else float(digits)
