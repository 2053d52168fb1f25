"""The gRPC server, on a real channel, with handlers of the test's own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeAlias

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penstock.v1 import server_pb2, server_service_pb2, server_service_pb2_grpc
from penstock_server.api.grpc_server import GrpcServer, GrpcSettings
from penstock_server.model.errors import FailedPrecondition, NotFound
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.call import Call
from penstock_server.rpc.method import service_of
from penstock_server.rpc.middleware import Middleware

SERVICE = server_service_pb2.DESCRIPTOR.services_by_name["ServerService"]
METHOD = "/penstock.v1.ServerService/GetServerInfo"


class Servicer:
    """Answers what the test wants."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.error: Exception | None = None
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def get_server_info(
        self, _request: server_service_pb2.GetServerInfoRequest, call: Call
    ) -> server_service_pb2.GetServerInfoResponse:
        self.calls.append(call)
        self.entered.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return server_service_pb2.GetServerInfoResponse(server_info=server_pb2.ServerInfo(version="1"))


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
async def server(servicer: Servicer) -> AsyncIterator[GrpcServer]:
    service = Middleware().wrap(service_of(SERVICE, servicer))
    server = GrpcServer([service], GrpcSettings(listen="127.0.0.1:0"))
    await server.start()
    yield server
    await server.drain(0)


@pytest.fixture
async def channel(server: GrpcServer) -> AsyncGenerator[grpc.aio.Channel, None]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> "Stub":
    return server_service_pb2_grpc.ServerServiceStub(channel)


RawCall: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
Stub: TypeAlias = "server_service_pb2_grpc.ServerServiceAsyncStub"
REQUEST = server_service_pb2.GetServerInfoRequest()


def details(error: grpc.aio.AioRpcError) -> Status:
    return Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])


async def test_a_call_reaches_the_handler_with_its_facts(stub: Stub, servicer: Servicer) -> None:
    response = await stub.GetServerInfo(REQUEST, timeout=60, metadata=[("traceparent", "00-a-b-01")])
    call = servicer.calls[0]
    assert response.server_info.version == "1"
    assert (call.transport, call.traceparent) == ("grpc", "00-a-b-01")
    assert call.peer
    assert call.deadline_s is not None
    assert 50 < call.deadline_s < 61


async def test_a_call_without_a_deadline_has_none(stub: Stub, servicer: Servicer) -> None:
    await stub.GetServerInfo(REQUEST)
    assert servicer.calls[0].deadline_s is None


async def test_an_error_carries_its_details(stub: Stub, servicer: Servicer) -> None:
    servicer.error = NotFound("RUN_NOT_FOUND", "no such run; ü", metadata={"name": "x"})
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.GetServerInfo(REQUEST)
    info = ErrorInfo()
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert raised.value.details() == details(raised.value).message == "no such run; ü"
    assert details(raised.value).details[0].Unpack(info)
    assert (info.reason, dict(info.metadata)) == ("RUN_NOT_FOUND", {"name": "x"})


async def test_bytes_that_are_no_request_are_the_callers_fault(channel: grpc.aio.Channel) -> None:
    call: RawCall = channel.unary_unary(METHOD)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"\xff\xff\xff")
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not any(detail.Is(BadRequest.DESCRIPTOR) for detail in details(raised.value).details)


async def test_a_message_over_the_limit_is_refused(channel: grpc.aio.Channel) -> None:
    call: RawCall = channel.unary_unary(METHOD)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"\0" * (4 * 1024 * 1024 + 1))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_deadline_ends_the_call(stub: Stub, servicer: Servicer) -> None:
    servicer.go_on.clear()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.GetServerInfo(REQUEST, timeout=0.05)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_call_for_which_there_is_no_room_may_be_repeated(servicer: Servicer) -> None:
    service = Middleware(calls=Admission(1)).wrap(service_of(SERVICE, servicer))
    server = GrpcServer([service], GrpcSettings(listen="127.0.0.1:0"))
    await server.start()
    servicer.go_on.clear()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = server_service_pb2_grpc.ServerServiceStub(channel)
        first = stub.GetServerInfo(REQUEST)
        await servicer.entered.wait()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetServerInfo(REQUEST)
        info, retry = ErrorInfo(), RetryInfo()
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(raised.value).details[0].Unpack(info)
        assert details(raised.value).details[1].Unpack(retry)
        assert (info.reason, retry.retry_delay.seconds) == ("SERVER_BUSY", 1)
        servicer.go_on.set()
        await first
        await stub.GetServerInfo(REQUEST)
    await server.drain(0)


async def test_an_unknown_method_is_unimplemented(channel: grpc.aio.Channel) -> None:
    unknown: RawCall = channel.unary_unary("/penstock.v1.ServerService/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await unknown(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_health_says_serving_until_the_drain(server: GrpcServer, channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "penstock.v1.ServerService"):
        response = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert response.status == health_pb2.HealthCheckResponse.SERVING
    await server.announce_drain()
    response = await health.Check(health_pb2.HealthCheckRequest(service=""))
    assert response.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_drain_lets_calls_under_way_end(server: GrpcServer, stub: Stub, servicer: Servicer) -> None:
    servicer.go_on.clear()
    call = stub.GetServerInfo(REQUEST)
    await servicer.entered.wait()
    drain = asyncio.create_task(server.drain(30))
    servicer.go_on.set()
    assert (await call).server_info.version == "1"
    await asyncio.wait_for(drain, 10)
    await server.drain(0)


async def test_reflection_describes_the_schema(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="penstock.v1.ServerService")
    async for response in stub.ServerReflectionInfo(iter([request])):
        files = response.file_descriptor_response.file_descriptor_proto
        assert any(b"penstock/v1/server_service.proto" in file for file in files)
    listed = reflection_pb2.ServerReflectionRequest(list_services="")
    async for response in stub.ServerReflectionInfo(iter([listed])):
        names = {service.name for service in response.list_services_response.service}
        assert {"penstock.v1.ServerService", "grpc.health.v1.Health"} <= names


async def test_an_address_in_use_is_told(server: GrpcServer) -> None:
    second = GrpcServer([], GrpcSettings(listen=f"127.0.0.1:{server.port}"))
    with pytest.raises(FailedPrecondition, match="ADDRESS_IN_USE"):
        await second.start()
