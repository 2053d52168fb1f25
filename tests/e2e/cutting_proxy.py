"""A way to a server that is cut again and again."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random


class CuttingProxy:
    """Passes bytes on, on loopback; each connection lives for a short random time and is reset then."""

    def __init__(self, target: str, random: Random, life_s: tuple[float, float]) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._random = random
        self._life_s = life_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutting proxy")
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.address = ""

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def close(self) -> None:
        """Cut everything and end."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._pass_on(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()  # the server is away
            return
        copies = [asyncio.create_task(_copy(reader, there)), asyncio.create_task(_copy(there_reader, writer))]
        try:
            _, pending = await asyncio.wait(copies, timeout=self._random.uniform(*self._life_s))
            self.cuts += len(pending) == len(copies)
        finally:
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
            writer.transport.abort()
            there.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


@contextmanager
def cutting(target: str, seed: int, life_s: tuple[float, float] = (0.02, 0.2)) -> Iterator[CuttingProxy]:
    """A proxy before `target`, whose connections live between so many seconds."""
    proxy = CuttingProxy(target, Random(seed), life_s)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
