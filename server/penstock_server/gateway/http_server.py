"""The HTTP server: an ASGI application on a socket, from `start` to `drain`."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from penstock_server.gateway.acceptor import Acceptor
from penstock_server.gateway.heads import BoundedHeads

KEEPALIVE_IDLE_S = 60
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_PROBES = 3


class _Uvicorn(uvicorn.Server):
    """Leaves signals to whoever assembles the server, and connections to an Acceptor."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        await self.lifespan.startup()
        acceptors = [Acceptor(listener, self._protocol) for listener in sockets or ()]
        self.servers = acceptors  # type: ignore[assignment]  # all that is asked of them is to close
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        state = self.lifespan.state
        return BoundedHeads(config=self.config, server_state=self.server_state, app_state=state)


class HttpServer:
    """Serves `app` on `listener`, a bound socket that it owns from here on."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self._uvicorn: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listener.getsockname()[1])

    async def start(self) -> None:
        """Serve; returns once connections are accepted."""
        _keep_alive(self._listener)
        config = uvicorn.Config(
            self._app,
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
        )
        self._uvicorn = _Uvicorn(config)
        self._task = asyncio.create_task(self._uvicorn.serve(sockets=[self._listener]), name="http")
        while not self._uvicorn.started:
            await asyncio.sleep(0)
            if self._task.done():
                self._task.result()

    async def drain(self, grace_s: float) -> None:
        """Take no new connections, give calls under way `grace_s` seconds, then cut them. May be repeated."""
        if self._uvicorn is None or self._task is None:
            self._listener.close()
            return
        self._uvicorn.config.timeout_graceful_shutdown = max(1, round(grace_s))
        self._uvicorn.should_exit = True
        await asyncio.gather(self._task, return_exceptions=True)


def _keep_alive(listener: socket.socket) -> None:
    """Accepted connections inherit this: callers of streams that vanished without a word are noticed."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
