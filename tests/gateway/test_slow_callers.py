"""Callers who trickle, never end, or come in droves, on real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from google.protobuf.message import Message

from penstock.v1 import run_service_pb2
from penstock_server.gateway.app import GatewaySettings
from penstock_server.gateway.bodies import Pace
from penstock_server.gateway.heads import HEAD_BYTES_MAX, BoundedHeads
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.call import Call
from penstock_server.rpc.method import Service, service_of
from penstock_server.rpc.middleware import Middleware
from tests.gateway.conftest import RUN_SERVICE, Script, Site, read

REST = "/v1/namespaces/default/runs/r1:cancel"
CONNECT = "/penstock.v1.RunService/CancelRun"
GET = "/v1/namespaces/default/runs/r1"


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(pace=Pace(grace_s=0.2, bytes_per_s_min=1_000))


async def opened(site: Site, head: str, body: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which `head` and the beginning of a body were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(head.replace("\n", "\r\n").encode() + body)
    await writer.drain()
    return reader, writer


def post(path: str, length: int) -> str:
    return f"POST {path} HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: {length}\n\n"


@pytest.mark.parametrize(("path", "status"), [(REST, b"408"), (CONNECT, b"504")])
async def test_a_body_that_stops_is_answered_and_the_connection_closed(site: Site, path: str, status: bytes) -> None:
    reader, writer = await opened(site, post(path, 100), b"{")
    answer = await reader.read() if path == REST else await reader.readuntil(b"}")
    assert answer.split()[1] == status
    assert b"at least 1000 bytes are expected each second" in answer
    writer.close()
    assert site.script.calls == []


async def test_a_body_that_keeps_the_pace_may_take_longer(site: Site, script: Script) -> None:
    """After 400 bytes there are 0.6 s in all, of which more than 0.2 s have gone when the rest comes."""
    script.answers["cancel_run"] = run_service_pb2.CancelRunResponse()
    reader, writer = await opened(site, post(REST, 802), b" " * 400)
    answered = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    done, _ = await asyncio.wait([answered], timeout=0.3)
    assert not done
    writer.write(b"{}" + b" " * 400)
    assert (await answered).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_head_that_does_not_end_in_time_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHeads, "head_time_max_s", 0.1)
    for head in ("", f"GET {GET} HTTP/1.1\nHost: localhost\nX: y\n"):
        reader, writer = await opened(site, head)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"too slowly" in answer
        writer.close()


async def test_a_head_without_end_is_refused(site: Site) -> None:
    reader, writer = await opened(site, f"GET {GET} HTTP/1.1\nHost: localhost\n")
    writer.write(b"X: y\r\n" * (HEAD_BYTES_MAX // 4))
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"too long" in answer
    writer.close()


async def test_heads_of_further_requests_on_a_connection_are_awaited_anew(site: Site, script: Script) -> None:
    script.answers["get_run"] = run_service_pb2.GetRunResponse()
    reader, writer = await opened(site, f"GET {GET} HTTP/1.1\nHost: localhost\n\n" * 3)
    for _ in range(3):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(2) == b"{}"
    writer.close()


class Held:
    """Answers when the test lets it."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.inside = 0

    async def hold(self, _request: Message, _call: Call) -> Message:
        self.inside += 1
        await self.go_on.wait()
        return run_service_pb2.GetRunResponse()


@pytest.fixture
def held() -> Held:
    return Held()


class TestAFullServer:
    """Two calls are under way where there is room for two."""

    @pytest.fixture
    def services(self, script: Script, held: Held) -> list[Service]:
        vars(script)["get_run"] = held.hold
        return [Middleware(calls=Admission(2)).wrap(service_of(RUN_SERVICE, script))]

    @pytest.fixture
    async def full(self, site: Site, held: Held) -> AsyncIterator[Site]:
        calls = [asyncio.ensure_future(site.ask("GET", GET)) for _ in range(2)]
        while held.inside < 2:
            await asyncio.sleep(0)
        yield site
        held.go_on.set()
        assert [answer.status for answer in await asyncio.gather(*calls)] == [200, 200]

    @pytest.mark.parametrize(("method", "path", "body"), [("GET", GET, None), ("POST", CONNECT, {})])
    async def test_refuses_further_ones_on_each_transport(
        self, full: Site, method: str, path: str, body: dict[str, str] | None
    ) -> None:
        answer = await full.ask(method, path, body)
        assert answer.status == 429
        assert "has 2 calls under way" in json.dumps(read(answer))
        if path == GET:
            assert answer.headers["retry-after"] == "1"

    async def test_is_alive_and_ready(self, full: Site) -> None:
        assert (await full.ask("GET", "/healthz")).status == 200
        assert (await full.ask("GET", "/readyz")).status == 200

    async def test_takes_calls_again_when_some_have_ended(self, full: Site, held: Held) -> None:
        held.go_on.set()
        while (await full.ask("GET", GET)).status == 429:
            await asyncio.sleep(0)
        assert (await full.ask("GET", GET)).status == 200
