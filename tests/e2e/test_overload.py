"""Ten thousand calls at once: some are answered rightly, the rest are refused at once, and then all is well."""

import asyncio
import json
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import grpc.aio
import pytest

from penstock import Client
from penstock.kfp.v2beta1 import run_pb2 as kfp
from penstock.kfp.v2beta1 import run_pb2_grpc as kfp_grpc
from penstock.v1 import run_pb2
from tests import pipelines
from tests.bench.processes import memory_mib
from tests.servers import Server, running

CALLS = 10_000
GRPC_CALLS = 3_000
FILES = 12_000
"""That a process with so many connections has open."""
GROWTH_MIB_MAX = 32
TIMEOUT_S = 240

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that may open as many files as it likes, as may we."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    with running(tmp_path / "data") as server:
        yield server
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def run_to_its_end(server: Server) -> run_pb2.Run:
    with Client(server.grpc) as client:
        run = client.wait(client.create_run(pipelines.chain(1, "true")))
    assert run.state == run_pb2.Run.STATE_SUCCEEDED, run
    return run


def sent(server: Server, path: str) -> socket.socket:
    """A connection on which a request was sent."""
    host, _, port = server.http.rpartition(":")
    line = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return line


def answered(line: socket.socket) -> tuple[int, str | None, Any]:
    """Status, Retry-After and JSON of the answer."""
    with closing(line), closing(HTTPResponse(line)) as answer:
        answer.begin()
        return answer.status, answer.headers["retry-after"], json.loads(answer.read())


def flood(server: Server, path: str) -> tuple[int, int]:
    """How many of all calls were served, and how many refused; all with the right answer."""
    right = answered(sent(server, path))[2]
    lines = [sent(server, path) for _ in range(CALLS)]
    told = Counter[int]()
    for status, retry_after, body in map(answered, lines):
        told[status] += 1
        if status == 200:
            assert body == right
        else:
            assert (status, retry_after, body["code"]) == (429, "1", 8), body
            assert body["details"][0]["message"] == body["message"]
            assert "repeat the call in a while" in body["message"]
    return told[200], told[429]


async def flood_by_grpc(server: Server, run_id: str) -> tuple[int, int]:
    """The same over one channel."""
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        stub = kfp_grpc.RunServiceStub(channel)
        request = kfp.GetRunRequest(run_id=run_id)
        right = await stub.GetRun(request)
        answers = await asyncio.gather(*(stub.GetRun(request) for _ in range(GRPC_CALLS)), return_exceptions=True)
    served = [answer for answer in answers if isinstance(answer, kfp.Run)]
    assert all(answer == right for answer in served)
    refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert {answer.code() for answer in refused} <= {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(served) + len(refused) == GRPC_CALLS
    return len(served), len(refused)


def metric(server: Server, name: str) -> float:
    """The sum over all labels."""
    with urlopen(f"http://{server.http}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


def test_a_flood_of_calls_is_shed_and_the_server_is_well_afterwards(server: Server) -> None:
    uid = run_to_its_end(server).uid
    assert server.process is not None
    refused_in_all, memories = 0, []
    for _ in range(2):
        served, refused = flood(server, f"/apis/v2beta1/runs/{uid}")
        assert served > 0
        by_grpc, refused_by_grpc = asyncio.run(asyncio.wait_for(flood_by_grpc(server, uid), TIMEOUT_S))
        assert by_grpc > 0
        refused_in_all += refused + refused_by_grpc
        memories.append(memory_mib(server.process.pid))
    assert 0 < metric(server, "penstock_rpc_refused_total") <= refused_in_all
    assert metric(server, "penstock_rpc_active") == 0
    assert memories[-1] < memories[0] + GROWTH_MIB_MAX, memories
    for _ in range(50):
        assert answered(sent(server, f"/apis/v2beta1/runs/{uid}"))[0] == 200
    run_to_its_end(server)
