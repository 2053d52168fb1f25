"""Connect and gRPC-Web: the rpcs for browsers and generated clients, over `connectrpc`."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from connectrpc.code import Code as ConnectCode
from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_binary_codec
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import Code
from protobuf.wkt import Any as AnyDetail
from starlette.types import Message as StarletteMessage
from starlette.types import Receive, Scope, Send

from penstock_server.model.errors import InvalidArgument, PenstockError
from penstock_server.rpc.call import Call
from penstock_server.rpc.errors import to_status
from penstock_server.rpc.method import Method, Service, StreamHandler, UnaryHandler
from penstock_server.rpc.proto_json import fill, read_json, to_json

if TYPE_CHECKING:
    Context: TypeAlias = RequestContext[Message, Message]
    AnyEndpoint: TypeAlias = Any

M = TypeVar("M", bound=Message)

DEADLINE_MARGIN_S = 0.005
"""Our deadline passes this much before the library's, since its own error would carry no reason."""
_CODES = {code.name: code for code in ConnectCode} | {"CANCELLED": ConnectCode.CANCELED}


class JsonCodec:
    """Proto JSON as REST writes it; unknown fields are ignored, as in the binary form."""

    def name(self) -> str:
        """As in the content type."""
        return "json"

    def encode(self, message: Message) -> bytes:
        """Write."""
        return to_json(message)

    def decode(self, data: bytes | bytearray, message_class: type[M]) -> M:
        """Read. Raises ConnectError."""
        message = message_class()
        try:
            fill(message, read_json(bytes(data)) if data else {}, ignore_unknown_fields=True)
        except PenstockError as error:
            raise connect_error(error) from error
        return message


class BinaryCodec:
    """The binary form, with our error for what is not one."""

    def __init__(self) -> None:
        self._codec: Codec[Message, Message] = google_protobuf_binary_codec()

    def name(self) -> str:
        """As in the content type."""
        return self._codec.name()

    def encode(self, message: Message) -> bytes:
        """Write."""
        return self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[M]) -> M:
        """Read. Raises ConnectError."""
        try:
            return cast("M", self._codec.decode(data, message_class))
        except DecodeError as error:
            name = message_class.DESCRIPTOR.full_name
            wrong = InvalidArgument("REQUEST_UNREADABLE", f"the request is not a {name}, or nests too deeply")
            raise connect_error(wrong) from error


class ConnectApp(ConnectASGIApplication[Sequence[Service]]):
    """An ASGI application that serves all methods of some services under `/<service>/<method>`."""

    def __init__(self, services: Sequence[Service], *, body_bytes_max: int) -> None:
        super().__init__(
            service=services,
            endpoints=_endpoints,
            read_max_bytes=body_bytes_max,
            codecs=[BinaryCodec(), JsonCodec()],
        )

    @property
    def path(self) -> str:
        """Where it stands."""
        return "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is wrong with its body is told as the library tells errors."""
        await super().__call__(cast("Any", scope), cast("Any", _told(receive)), cast("Any", send))


def _told(receive: Receive) -> Receive:
    """`receive`, raising the library's errors in place of ours."""

    async def next_message() -> StarletteMessage:
        try:
            return await receive()
        except PenstockError as error:
            raise connect_error(error) from error

    return next_message


def _endpoints(services: Sequence[Service]) -> "Mapping[str, AnyEndpoint]":
    return {f"/{method.full_name}": _endpoint(method) for service in services for method in service.methods.values()}


def _endpoint(method: Method) -> "AnyEndpoint":
    info: MethodInfo[Any, Any] = MethodInfo(
        name=method.name,
        service_name=method.full_name.rpartition("/")[0],
        input=method.request_type,
        output=method.response_type,
        idempotency_level=IdempotencyLevel.NO_SIDE_EFFECTS if method.reads_only else IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.SERVER_STREAM if method.streaming else StreamType.UNARY,
    )
    if method.streaming:
        return Endpoint.server_stream(info, _stream(method))
    return Endpoint.unary(info, _unary(method))


def _unary(method: Method) -> "Callable[[Message, Context], Awaitable[Message]]":
    serve = cast("UnaryHandler", method.handler)

    async def handle(request: Message, context: "Context") -> Message:
        try:
            return await serve(request, _call(context))
        except PenstockError as error:
            raise connect_error(error) from error

    return handle


def _stream(method: Method) -> "Callable[[Message, Context], AsyncIterator[Message]]":
    serve = cast("StreamHandler", method.handler)

    async def handle(request: Message, context: "Context") -> AsyncIterator[Message]:
        try:
            async for response in serve(request, _call(context)):
                yield response
        except PenstockError as error:
            raise connect_error(error) from error

    return handle


def connect_error(error: PenstockError) -> ConnectError:
    """`error` with all its details, as the library tells errors."""
    status = to_status(error)
    details = [ErrorDetail(AnyDetail(type_url=detail.type_url, value=detail.value)) for detail in status.details]
    return ConnectError(_CODES[Code.Name(status.code)], status.message, details)


def _call(context: "Context") -> Call:
    metadata = {name.lower(): value for name, value in context.request_headers.items()}
    left_ms = context.timeout_ms
    expire_at = None if left_ms is None else time.monotonic() + left_ms / 1000 - DEADLINE_MARGIN_S
    return Call(
        transport="connect",
        peer=context.client_address or "",
        metadata=metadata,
        expire_at=expire_at,
        traceparent=metadata.get("traceparent"),
    )
