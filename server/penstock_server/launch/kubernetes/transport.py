"""Connections to the API server: those that have died without a word are noticed, and none outlives its client."""

import asyncio
import socket
from typing import Any
from weakref import WeakSet

import aiohttp
from kubernetes.aio.client.rest import RESTClientObject

FAREWELL_S = 1.0
"""So long a closing client waits for connections that were cut off to be gone."""
READ_AHEAD_BYTES = 2 * 1024 * 1024
"""So much of an answer may have come before it is read: an event of a watch can be as long."""
_POLL_S = 0.01
_KEEPALIVE = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class Transport(RESTClientObject):  # type: ignore[misc]  # the library's own has no types
    """The transport of the `kubernetes` package, with sockets of ours."""

    def __init__(self, configuration: Any) -> None:
        super().__init__(configuration)
        self._sockets: WeakSet[socket.socket] = WeakSet()

    async def close(self) -> None:
        """Close all connections, and wait until they are."""
        await super().close()
        for _ in range(round(FAREWELL_S / _POLL_S)):  # nothing tells of the end of one whose request was cancelled
            if all(each.fileno() == -1 for each in self._sockets):
                return
            await asyncio.sleep(_POLL_S)

    def _create_pool_manager(self) -> aiohttp.ClientSession:
        """A session that does not look for proxies and ~/.netrc anew with every call, as the library's own does."""
        return aiohttp.ClientSession(connector=self._create_connector(), read_bufsize=READ_AHEAD_BYTES)

    def _create_connector(self) -> aiohttp.TCPConnector:
        """Any number of connections: watches and logs hold some, and calls have a bound of their own (`ApiLimits`)."""
        return aiohttp.TCPConnector(limit=0, ssl=self.ssl_context, socket_factory=self._socket)

    def _socket(self, address: Any) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            if hasattr(socket, option):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self._sockets.add(made)
        return made
