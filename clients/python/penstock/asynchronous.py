"""Performs operations for asyncio: one `grpc.aio` channel, opened in the event loop that first uses it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from penstock.channel import Target, channel_options
from penstock.effects import (
    Effect,
    Emit,
    Ended,
    Invoke,
    Items,
    Now,
    Open,
    Operation,
    Progress,
    Receive,
    Sleep,
)
from penstock.errors import PenstockError
from penstock.methods import Method, method_of
from penstock.status import closed, error_from

T = TypeVar("T")


class AsynchronousDriver:
    """Performs the effects of operations with a channel. It belongs to one event loop."""

    def __init__(
        self,
        connect: Callable[[], grpc.aio.Channel],
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connect = connect
        self._timeout_s = timeout_s
        self._clock = clock
        self._sleep = sleep
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: grpc.aio.Channel | None = None
        self._callables: dict[str, Any] = {}
        self._is_closed = False

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel of the running event loop; opened when first asked for."""
        loop = asyncio.get_running_loop()
        if self._channel is None:
            self._channel, self._loop = self._connect(), loop
        if loop is not self._loop:
            raise RuntimeError("this client belongs to another event loop: make one in each loop")
        return self._channel

    async def result(self, operation: Operation[T]) -> T:
        """Do the whole operation. Raises PenstockError."""
        progress = Progress(operation)
        streams: list[Any] = []
        try:
            while not isinstance(effect := progress.effect(), Ended):
                assert not isinstance(effect, Emit)
                await self._answer(progress, effect, streams)
        finally:
            _leave(progress, streams)
        result: T = effect.result
        return result

    async def items(self, operation: Items[T]) -> AsyncGenerator[T, None]:
        """The items of the operation; it goes on as they are asked for. Raises PenstockError."""
        progress = Progress(operation)
        streams: list[Any] = []
        try:
            while not isinstance(effect := progress.effect(), Ended):
                if isinstance(effect, Emit):
                    yield effect.item
                    progress.bring(None)
                else:
                    await self._answer(progress, effect, streams)
        finally:
            _leave(progress, streams)

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        self._is_closed = True
        if self._channel is not None:
            await self._channel.close()

    async def _answer(self, progress: Progress, effect: Effect, streams: list[Any]) -> None:
        try:
            progress.bring(await self._perform(effect, streams))
        except PenstockError as error:
            progress.fail(error)

    async def _perform(self, effect: Effect, streams: list[Any]) -> object:
        match effect:
            case Invoke(request):
                return await self._invoke(request)
            case Open(request, timeout_s):
                streams.append(self._callable(method_of(request))(request, timeout=timeout_s))
                return streams[-1]
            case Receive(stream):
                return await _receive(stream)
            case Sleep(seconds):
                await self._sleep(seconds)
                return None
            case Now():
                return self._clock()

    async def _invoke(self, request: Message) -> Message:
        try:
            response: Message = await self._callable(method_of(request))(request, timeout=self._timeout_s)
        except grpc.RpcError as failed:
            raise error_from(failed) from failed
        return response

    def _callable(self, method: Method) -> Any:
        if self._is_closed:
            raise closed()
        channel = self.channel
        if method.path not in self._callables:
            connect = channel.unary_stream if method.is_stream else channel.unary_unary
            self._callables[method.path] = connect(
                method.path,
                request_serializer=method.request_type.SerializeToString,
                response_deserializer=method.response_type.FromString,
            )
        return self._callables[method.path]


def open_channel(target: Target, token: str | None) -> grpc.aio.Channel:
    """A channel of the running event loop with the client's defaults; it connects when it is first used."""
    options = channel_options()
    interceptors = [_UnaryToken(token), _StreamToken(token)] if token else None
    if target.is_secure:
        credentials = grpc.ssl_channel_credentials()
        return grpc.aio.secure_channel(target.address, credentials, options, interceptors=interceptors)
    return grpc.aio.insecure_channel(target.address, options, interceptors=interceptors)


async def _receive(stream: Any) -> object:
    try:
        message = await stream.read()
    except grpc.RpcError as failed:
        raise error_from(failed) from failed
    return None if message is grpc.aio.EOF else message


def _leave(progress: Progress, streams: list[Any]) -> None:
    progress.leave()
    for stream in streams:
        stream.cancel()


def _with_token(details: grpc.aio.ClientCallDetails, token: str) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    metadata.add("authorization", f"Bearer {token}")
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


class _UnaryToken(grpc.aio.UnaryUnaryClientInterceptor):
    """Sends the token with every unary call, those of the raw stubs included.

    One class for both kinds would not do: grpc.aio takes an interceptor for one of them.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_with_token(client_call_details, self._token), request)


class _StreamToken(grpc.aio.UnaryStreamClientInterceptor):
    """Sends the token with every stream."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_with_token(client_call_details, self._token), request)
