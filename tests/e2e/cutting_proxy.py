"""A way to a server that can be cut and held up."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class CuttingProxy:
    """Passes bytes on; each connection lives for a random time, or for as long as it likes, and is reset then."""

    def __init__(
        self, target: str, random: Random, life_s: tuple[float, float] | None = None, host: str = "127.0.0.1"
    ) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._random = random
        self._life_s = life_s
        self._listens_on = host
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutting proxy")
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._passable = asyncio.Event()
        self._passable.set()
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

    def cut(self) -> None:
        """Reset all connections of this moment."""
        self._loop.call_soon_threadsafe(self._cut)

    def hold(self, seconds: float | None = None) -> None:
        """Pass nothing on, though connections are taken and kept: for so long, or until `release`."""
        self._loop.call_soon_threadsafe(self._hold, seconds)

    def release(self) -> None:
        """Pass on again what comes, and what has come meanwhile."""
        self._loop.call_soon_threadsafe(self._passable.set)

    def _hold(self, seconds: float | None) -> None:
        self._passable.clear()
        if seconds is not None:
            self._loop.call_later(seconds, self._passable.set)

    def _cut(self) -> None:
        self.cuts += len(self._connections)
        for task in self._connections:
            task.cancel()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._listens_on, 0)
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
            there = await asyncio.open_connection(self._host, self._port)
            await self._pass_between((reader, writer), there)
        except OSError:
            return  # the server is away
        finally:
            writer.transport.abort()

    async def _pass_between(self, here: Ends, there: Ends) -> None:
        copies = [asyncio.create_task(self._copy(one[0], other[1])) for one, other in ((here, there), (there, here))]
        life_s = self._random.uniform(*self._life_s) if self._life_s is not None else None
        try:
            _, pending = await asyncio.wait(copies, timeout=life_s)
            self.cuts += len(pending) == len(copies)
        finally:
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
            there[1].transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(64 * 1024):
            await self._passable.wait()
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@contextmanager
def cutting(
    target: str, seed: int, life_s: tuple[float, float] | None = (0.02, 0.2), host: str = "127.0.0.1"
) -> Iterator[CuttingProxy]:
    """A proxy before `target` that listens on `host`; its connections live between so many seconds, or for ever."""
    proxy = CuttingProxy(target, Random(seed), life_s, host)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
