"""Accepts one connection in each turn of the event loop.

Event loops accept all that wait before they do anything else. When thousands come at once, the calls that were
admitted, which take dozens of turns, would stand still until all are accepted, and call the database silent.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import structlog

BACKLOG = 2_048
PAUSE_S = 1.0
"""After a failure, such as that of too many open files."""

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Acceptor:
    """Serves each connection on `listener`, a bound socket, with a protocol of its own, from now until `close`."""

    def __init__(self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more; whoever is connected stays so."""
        self._loop.remove_reader(self._listener.fileno())
        if self._pause is not None:
            self._pause.cancel()

    def _accept(self) -> None:
        try:
            line, _address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._wait(error)
            return
        task = self._loop.create_task(self._connect(line))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, line: socket.socket) -> None:
        line.setblocking(False)
        with contextlib.suppress(OSError):  # It may have been closed already, or be no TCP.
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, line)
        except OSError as error:
            line.close()
            log.warning("connection_failed", error=str(error))

    def _wait(self, error: OSError) -> None:
        log.warning("accept_failed", error=str(error), pause_s=PAUSE_S)
        self._loop.remove_reader(self._listener.fileno())
        self._pause = self._loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._accept)
