"""The gRPC server: services on a port, with health, reflection, keepalive, limits and graceful drain."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from penstock_server.model.errors import FailedPrecondition, InvalidArgument, PenstockError
from penstock_server.rpc.call import Call
from penstock_server.rpc.errors import to_status
from penstock_server.rpc.method import Method, Service, StreamHandler, UnaryHandler

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

_STATUS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """How the server listens."""

    listen: str = "127.0.0.1:8887"
    """Address and port; port 0 takes a free one."""
    receive_bytes_max: int = 4 * 1024 * 1024
    send_bytes_max: int = 64 * 1024 * 1024
    keepalive_s: float = 60.0
    """A silent client is asked so often whether it is still there."""
    keepalive_timeout_s: float = 20.0
    """And is given up when it has not answered by then."""
    client_ping_interval_min_s: float = 10.0
    """A client that asks more often is disconnected."""

    pending_max: int = 32_768
    """So many calls wait to be taken up; the library cancels further ones."""

    def options(self) -> list[tuple[str, int]]:
        """As gRPC's channel arguments."""
        return [
            ("grpc.max_receive_message_length", self.receive_bytes_max),
            ("grpc.max_send_message_length", self.send_bytes_max),
            ("grpc.keepalive_time_ms", round(self.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", round(self.keepalive_timeout_s * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", round(self.client_ping_interval_min_s * 1000)),
            # The library cancels calls at random once a thousand wait to be taken up; ours is to say why, and when to
            # come again.
            ("grpc.server.max_pending_requests", self.pending_max),
            ("grpc.server.max_pending_requests_hard_limit", self.pending_max),
            ("grpc.so_reuseport", 0),  # otherwise a second server on the port would go unnoticed
        ]


class GrpcServer:
    """Serves `services` over gRPC from `start` to `drain`."""

    def __init__(self, services: Sequence[Service], settings: GrpcSettings) -> None:
        self._services = services
        self._settings = settings
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self.port = 0
        """The port that is listened on, once started."""

    async def start(self) -> None:
        """Listen and serve. Raises FailedPrecondition ADDRESS_IN_USE when the address cannot be taken."""
        server = grpc.aio.server(options=self._settings.options())
        server.add_generic_rpc_handlers([_generic_handler(service) for service in self._services])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [service.full_name for service in self._services]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
        try:
            self.port = server.add_insecure_port(self._settings.listen)
        except RuntimeError as error:
            raise FailedPrecondition(
                "ADDRESS_IN_USE",
                f"cannot listen on {self._settings.listen}; is another server using it? "
                "Choose another address with --grpc-listen",
            ) from error
        for name in names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await server.start()
        self._server = server

    async def announce_drain(self) -> None:
        """Answer NOT_SERVING to health checks from here on; calls are still served."""
        await self._health.enter_graceful_shutdown()

    async def drain(self, grace_s: float) -> None:
        """Take no new calls, give those under way `grace_s` seconds, then cut them. May be repeated."""
        await self.announce_drain()
        if self._server is not None:
            await self._server.stop(grace_s)


def _generic_handler(service: Service) -> grpc.GenericRpcHandler:
    handlers = {name: _method_handler(method) for name, method in service.methods.items()}
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _method_handler(method: Method) -> "grpc.RpcMethodHandler[bytes, bytes]":
    # Requests are parsed by us, so that one that cannot be is the caller's error and not the server's.
    if method.streaming:
        stream = cast("Callable[..., Any]", _stream(method))
        return grpc.unary_stream_rpc_method_handler(stream)
    return grpc.unary_unary_rpc_method_handler(cast("Callable[..., Any]", _unary(method)))


def _unary(method: Method) -> Callable[[bytes, Context], Awaitable[bytes]]:
    serve = cast("UnaryHandler", method.handler)

    async def handle(data: bytes, context: Context) -> bytes:
        try:
            response = await serve(_request(method, data), _call(context))
        except PenstockError as error:
            await _abort(context, to_status(error))
        return response.SerializeToString()

    return handle


def _stream(method: Method) -> Callable[[bytes, Context], AsyncIterator[bytes]]:
    serve = cast("StreamHandler", method.handler)

    async def handle(data: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            async for response in serve(_request(method, data), _call(context)):
                yield response.SerializeToString()
        except PenstockError as error:
            await _abort(context, to_status(error))

    return handle


def _request(method: Method, data: bytes) -> Message:
    request = method.request_type()
    try:
        request.ParseFromString(data)
    except DecodeError as error:
        raise InvalidArgument(
            "REQUEST_UNREADABLE",
            f"the request is not a {method.request_type.DESCRIPTOR.full_name}, or nests too deeply",
        ) from error
    return request


def _call(context: Context) -> Call:
    entries = cast("Metadata", context.invocation_metadata() or ())
    metadata = {key: value for key, value in entries if isinstance(value, str)}
    left_s = cast("float | None", context.time_remaining())
    return Call(
        transport="grpc",
        peer=context.peer(),
        metadata=metadata,
        expire_at=None if left_s is None else time.monotonic() + left_s,
        traceparent=metadata.get("traceparent"),
    )


async def _abort(context: Context, status: Status) -> NoReturn:
    details: Metadata = ((_STATUS_KEY, status.SerializeToString()),)
    await context.abort(_CODES[status.code], status.message, details)
