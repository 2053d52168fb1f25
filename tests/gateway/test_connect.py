"""Connect and gRPC-Web, with the clients of `connectrpc`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from connectrpc.client import ConnectClient
from connectrpc.code import Code
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.protocol import ProtocolType
from google.rpc.error_details_pb2 import ErrorInfo

from penstock.v1 import event_pb2, run_pb2, run_service_pb2
from penstock_server.model.errors import NotFound
from tests.gateway.conftest import Script, Site, read

NAME = "namespaces/default/runs/r1"
PATH = "/penstock.v1.RunService"
WAYS = [
    pytest.param((protocol, codec), id=f"{protocol.name}-{codec.name()}".lower())
    for protocol in (ProtocolType.CONNECT, ProtocolType.GRPC_WEB)
    for codec in (google_protobuf_binary_codec(), google_protobuf_json_codec())
]


def method(name: str, stream: StreamType = StreamType.UNARY) -> MethodInfo[Any, Any]:
    return MethodInfo(
        name=name,
        service_name="penstock.v1.RunService",
        input=getattr(run_service_pb2, f"{name}Request"),
        output=getattr(run_service_pb2, f"{name}Response"),
        idempotency_level=IdempotencyLevel.NO_SIDE_EFFECTS,
        stream_type=stream,
    )


GET_RUN = method("GetRun")
WATCH_RUN = method("WatchRun", StreamType.SERVER_STREAM)
GET = run_service_pb2.GetRunRequest(name=NAME)
WATCH = run_service_pb2.WatchRunRequest(name=NAME)


@pytest.fixture(params=WAYS)
async def client(request: pytest.FixtureRequest, site: Site) -> AsyncIterator[ConnectClient]:
    protocol, codec = request.param
    async with ConnectClient(site.url, protocol=protocol, codec=codec) as client:
        yield client


async def test_a_unary_call_is_served(client: ConnectClient, script: Script) -> None:
    answer = run_service_pb2.GetRunResponse(run=run_pb2.Run(name=NAME))
    answer.run.parameters["n"].number_value = 2
    script.answers["get_run"] = answer
    assert await client.execute_unary(request=GET, method=GET_RUN) == answer
    assert script.requests == [GET]


async def test_a_stream_is_served(client: ConnectClient, script: Script) -> None:
    answers = [run_service_pb2.WatchRunResponse(event=event_pb2.Event(sequence=n)) for n in (1, 2)]
    script.answers["watch_run"] = answers
    assert [r async for r in client.execute_server_stream(request=WATCH, method=WATCH_RUN)] == answers


async def test_errors_carry_their_details(client: ConnectClient, script: Script) -> None:
    error = NotFound("RUN_NOT_FOUND", "no such run; ü", metadata={"name": "x"})
    script.answers |= {"get_run": error, "watch_run": [error]}
    with pytest.raises(ConnectError) as unary:
        await client.execute_unary(request=GET, method=GET_RUN)
    with pytest.raises(ConnectError) as stream:
        await anext(aiter(client.execute_server_stream(request=WATCH, method=WATCH_RUN)))
    for raised in (unary.value, stream.value):
        assert (raised.code, raised.message) == (Code.NOT_FOUND, "no such run; ü")
        assert reason(raised) == "RUN_NOT_FOUND"


async def test_a_deadline_ends_a_call_with_our_error(client: ConnectClient, script: Script) -> None:
    async def never() -> AsyncIterator[run_service_pb2.WatchRunResponse]:
        await asyncio.Event().wait()
        yield run_service_pb2.WatchRunResponse()

    script.answers["watch_run"] = never
    with pytest.raises(ConnectError) as raised:
        await anext(aiter(client.execute_server_stream(request=WATCH, method=WATCH_RUN, timeout_ms=300)))
    assert raised.value.code is Code.DEADLINE_EXCEEDED


async def test_a_caller_who_leaves_ends_the_stream(client: ConnectClient, script: Script) -> None:
    ended = asyncio.Event()

    async def waits() -> AsyncIterator[run_service_pb2.WatchRunResponse]:
        try:
            yield run_service_pb2.WatchRunResponse()
            await asyncio.Event().wait()
        finally:
            ended.set()

    script.answers["watch_run"] = waits
    responses = client.execute_server_stream(request=WATCH, method=WATCH_RUN)
    await anext(aiter(responses))
    await responses.aclose()  # type: ignore[attr-defined]  # an async generator, though typed as an iterator
    await asyncio.wait_for(ended.wait(), 10)


async def test_facts_of_the_call_reach_the_handler(client: ConnectClient, script: Script) -> None:
    script.answers["get_run"] = run_service_pb2.GetRunResponse()
    headers = {"traceparent": "00-a-b-01"}
    await client.execute_unary(request=GET, method=GET_RUN, headers=headers, timeout_ms=60_000)
    call = script.calls[0]
    assert (call.transport, call.traceparent) == ("connect", "00-a-b-01")
    assert call.peer.startswith("127.0.0.1:")
    assert call.deadline_s is not None
    assert 50 < call.deadline_s <= 60


async def test_a_message_over_the_limit_is_refused(client: ConnectClient) -> None:
    large = run_service_pb2.GetRunRequest(name="x" * 200_000)
    with pytest.raises(ConnectError) as raised:
        await client.execute_unary(request=large, method=GET_RUN)
    assert raised.value.code is Code.RESOURCE_EXHAUSTED


async def test_a_read_can_be_a_get(site: Site, script: Script) -> None:
    script.answers["get_run"] = run_service_pb2.GetRunResponse(run=run_pb2.Run(name=NAME))
    query = f"encoding=json&connect=v1&message=%7B%22name%22%3A%22{NAME.replace('/', '%2F')}%22%7D"
    response = await site.ask("GET", f"{PATH}/GetRun?{query}")
    assert read(response) == {"run": {"name": NAME}}
    refused = await site.ask("GET", f"{PATH}/DeleteRun?{query}")
    assert refused.status == 405


async def test_plain_json_is_enough_and_unknown_fields_are_ignored(site: Site, script: Script) -> None:
    answer = run_service_pb2.GetRunResponse()
    answer.run.parameters["n"].number_value = 2
    script.answers["get_run"] = answer
    response = await site.ask("POST", f"{PATH}/GetRun", {"name": NAME, "newer": 1})
    assert bytes(response.content) == b'{"run":{"parameters":{"n":2}}}'


@pytest.mark.parametrize(("body", "content_type"), [(b"{", "application/json"), (b"\xff\xff", "application/proto")])
async def test_what_is_no_message_is_told(site: Site, body: bytes, content_type: str) -> None:
    response = await site.ask("POST", f"{PATH}/GetRun", body, {"content-type": content_type})
    assert (response.status, read(response)["code"]) == (400, "invalid_argument")
    assert read(response)["details"][0]["type"] == "google.rpc.ErrorInfo"


async def test_plain_grpc_is_sent_to_its_own_port(site: Site) -> None:
    response = await site.ask("POST", f"{PATH}/GetRun", b"", {"content-type": "application/grpc"})
    assert response.status == 415
    assert "gRPC address" in read(response)["error"]["message"]


async def test_an_unknown_method_is_not_found(site: Site) -> None:
    assert (await site.ask("POST", f"{PATH}/Nothing", {})).status == 404


def reason(error: ConnectError) -> str:
    info = next(d for d in error.details if d.type_name == "google.rpc.ErrorInfo")
    return str(ErrorInfo.FromString(info.message_bytes).reason)
