"""An API server that answers as it is told to, over a real socket: late, wrongly, in pieces, or not at all."""

import asyncio
import json
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from kubernetes.aio.client.configuration import Configuration

from penstock_server.launch.kubernetes.api import ApiLimits, ClusterApi


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


Server = TypeVar("Server", bound="ApiServer")
Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: Any, status: int = 200, **headers: str) -> Reply:
    """A whole answer; a header's name is written with underscores."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Content-Type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()

    return reply


def refusal(status: int, reason: str = "", message: str = "no", **headers: str) -> Reply:
    """An error as Kubernetes words it."""
    return answer({"kind": "Status", "reason": reason, "message": message, "code": status}, status, **headers)


def begin_stream(writer: asyncio.StreamWriter) -> None:
    """An answer in pieces, which `write_piece` writes."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n")


async def write_piece(writer: asyncio.StreamWriter, event: Any) -> None:
    """An event as a line, or bytes as they are; no bytes are the end of the answer."""
    content = event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n"
    writer.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
    await writer.drain()


def stream(*events: Any, ends: bool = True, after: asyncio.Event | None = None) -> Reply:
    """A watch or a log in pieces: it ends well, or breaks off; `after` is waited for before the end."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        begin_stream(writer)
        for event in events:
            await write_piece(writer, event)
        if after is not None:
            await after.wait()
        if ends:
            await write_piece(writer, b"")
        else:
            writer.close()

    return reply


async def cut(writer: asyncio.StreamWriter) -> None:
    """The connection breaks."""
    writer.close()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Nothing comes."""
    await asyncio.Event().wait()


@dataclass
class ApiServer:
    """The server. Each path has its replies, one after the other; the last one stays."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    _replies: dict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _connections: set["asyncio.Task[None]"] = field(default_factory=set)

    def on(self, request: str, *replies: Reply) -> None:
        """How to answer to a request such as `GET /api/v1/nodes/n`; a watch is `WATCH /...`."""
        self._replies[request].extend(replies)

    def replace(self, request: str, *replies: Reply) -> None:
        """Answer otherwise than was said before."""
        self._replies[request].clear()
        self.on(request, *replies)

    def of(self, request: str) -> list[Asked]:
        """The requests of that kind so far."""
        return [asked for asked in self.asked if _kind(asked) == request]

    async def until(self, test: Callable[[], bool]) -> None:
        """Wait until it is true, which a request has to make it."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(test)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while not writer.is_closing() and (asked := await _read(reader)) is not None:
                async with self._news:
                    self.asked.append(asked)
                    self._news.notify_all()
                await self.reply_to(asked)(writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    def reply_to(self, asked: Asked) -> Reply:
        """What is answered: as was said of requests of that kind."""
        return self._next(_kind(asked))

    async def close(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _next(self, request: str) -> Reply:
        replies = self._replies[request]
        if not replies:
            return refusal(404, "NotFound", f"nothing was said of {request}")
        return replies.popleft() if len(replies) > 1 else replies[0]


@dataclass(frozen=True, slots=True)
class AccessTo:
    """Implements `api.Access` for a port on loopback."""

    port: int
    tokens: list[str] = field(default_factory=lambda: ["first"])

    async def load(self) -> Configuration:
        configuration = Configuration(host=f"http://127.0.0.1:{self.port}")
        token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        configuration.api_key["BearerToken"] = f"Bearer {token}"
        return configuration


@asynccontextmanager
async def api_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[ApiServer]:
    """A server that knows nothing yet."""
    async with listening(ApiServer(), tls) as server:
        yield server


@asynccontextmanager
async def listening(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """The server, at a port of its own."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        await server.close()
        listener.close()
        await listener.wait_closed()


@asynccontextmanager
async def api_of(
    server: ApiServer, *, tokens: tuple[str, ...] = ("first",), **limits: Any
) -> AsyncIterator[ClusterApi]:
    """A client of the server, with short waits."""
    given = {"backoff_s": 0.01, "call_timeout_s": 0.3, "patience_s": 5.0, "rate_per_s": 10_000.0, "burst": 1000}
    api = ClusterApi(AccessTo(server.port, list(tokens)), ApiLimits(**{**given, **limits}))
    await api.open()
    try:
        yield api
    finally:
        await api.close()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    return Asked(method, url.path, dict(parse_qsl(url.query)), headers, json.loads(content) if content else None)


def _kind(asked: Asked) -> str:
    return f"{'WATCH' if asked.query.get('watch') else asked.method} {asked.path}"
