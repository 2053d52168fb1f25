"""A gateway on a real socket, with handlers that the test scripts."""

import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.protobuf.message import Message
from pyqwest import Client, FullResponse

from penstock.v1 import run_service_pb2
from penstock_server.gateway.app import Gateway, GatewaySettings
from penstock_server.gateway.http_server import HttpServer
from penstock_server.gateway.probes import Exposition, Probes
from penstock_server.rpc.call import Call
from penstock_server.rpc.method import Service, service_of, snake_case
from penstock_server.rpc.middleware import Middleware

RUN_SERVICE = run_service_pb2.DESCRIPTOR.services_by_name["RunService"]


class Script:
    """A servicer whose methods answer what the test put into `answers`, by method name; messages or errors.

    A stream answers with a list of them, or with a function that makes an async iterator of them.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.requests: list[Any] = []
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        methods = {snake_case(method.name): method for method in RUN_SERVICE.methods}
        if name not in methods:
            raise AttributeError(name)
        return self._stream(name) if methods[name].server_streaming else self._unary(name)

    def _unary(self, name: str) -> Callable[..., Any]:
        async def handle(request: Message, call: Call) -> Message:
            self._note(request, call)
            return self._told(self.answers[name])

        return handle

    def _stream(self, name: str) -> Callable[..., Any]:
        async def handle(request: Message, call: Call) -> AsyncIterator[Message]:
            self._note(request, call)
            answers = self.answers[name]
            if isinstance(answers, list):
                for answer in answers:
                    yield self._told(answer)
            else:
                async for answer in answers():
                    yield answer

        return handle

    def _note(self, request: Message, call: Call) -> None:
        self.requests.append(request)
        self.calls.append(call)

    def _told(self, answer: Message | Exception) -> Message:
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Site:
    """A served gateway and a client of it."""

    gateway: Gateway
    server: HttpServer
    script: Script
    not_ready: list[str] = field(default_factory=list)
    client: Client = field(default_factory=Client)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> FullResponse:
        """Send `body` as JSON, or as it is when it is bytes."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        return await self.client.execute(method, f"{self.url}{path}", headers=headers, content=body)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def services(script: Script) -> list[Service]:
    return [Middleware().wrap(service_of(RUN_SERVICE, script))]


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(body_bytes_max=100_000)


@pytest.fixture
async def site(script: Script, services: list[Service], settings: GatewaySettings) -> AsyncIterator[Site]:
    reasons: list[str] = []

    async def not_ready() -> list[str]:
        return reasons

    def metrics(accept: str) -> Exposition:
        return Exposition(f"# {accept}\n".encode(), "text/plain")

    gateway = Gateway(services, Probes(not_ready, metrics), settings)
    server = HttpServer(gateway, socket.create_server(("127.0.0.1", 0)))
    await server.start()
    try:
        yield Site(gateway, server, script, reasons)
    finally:
        await server.drain(0)


def read(response: FullResponse) -> Any:
    """The JSON of a response."""
    return json.loads(bytes(response.content))
