"""An HTTP proxy on loopback before one server, whatever name that server is asked for under."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ForwardProxy:
    """Tunnels on CONNECT; other requests it hands on as they are, with the whole URL."""

    target_port: int
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """The first request of each connection, with its headers."""
    _connections: set["asyncio.Task[None]"] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        there = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.decode())
            there_reader, there = await asyncio.open_connection("127.0.0.1", self.target_port)
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                there.write(head)
            await asyncio.gather(_copy(reader, there), _copy(there_reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()
            if there is not None:
                there.transport.abort()

    async def close(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


@asynccontextmanager
async def forward_proxy(target_port: int) -> AsyncIterator[ForwardProxy]:
    """A proxy before that port of this machine."""
    proxy = ForwardProxy(target_port)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        await proxy.close()
        listener.close()
        await listener.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
