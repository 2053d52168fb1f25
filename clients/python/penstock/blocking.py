"""Performs operations for callers that block: one thread-safe `grpc` channel, the caller's own thread."""

import os
import time
from collections.abc import Callable, Generator
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import grpc
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


class BlockingDriver:
    """Performs the effects of operations with a channel. Threads may share it; processes may not."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.channel = channel
        self._timeout_s = timeout_s
        self._clock = clock
        self._sleep = sleep
        self._process_id = os.getpid()
        self._callables: dict[str, Any] = {}
        self._lock = Lock()
        self._is_closed = False

    def result(self, operation: Operation[T]) -> T:
        """Do the whole operation. Raises PenstockError."""
        progress = Progress(operation)
        streams: list[Any] = []
        try:
            while not isinstance(effect := progress.effect(), Ended):
                assert not isinstance(effect, Emit)
                self._answer(progress, effect, streams)
        finally:
            _leave(progress, streams)
        result: T = effect.result
        return result

    def items(self, operation: Items[T]) -> Generator[T, None, None]:
        """The items of the operation; it goes on as they are asked for. Raises PenstockError."""
        progress = Progress(operation)
        streams: list[Any] = []
        try:
            while not isinstance(effect := progress.effect(), Ended):
                if isinstance(effect, Emit):
                    yield effect.item
                    progress.bring(None)
                else:
                    self._answer(progress, effect, streams)
        finally:
            _leave(progress, streams)

    def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        self._is_closed = True
        self.channel.close()

    def _answer(self, progress: Progress, effect: Effect, streams: list[Any]) -> None:
        try:
            progress.bring(self._perform(effect, streams))
        except PenstockError as error:
            progress.fail(error)

    def _perform(self, effect: Effect, streams: list[Any]) -> object:
        match effect:
            case Invoke(request):
                return self._invoke(request)
            case Open(request, timeout_s):
                streams.append(self._callable(method_of(request))(request, timeout=timeout_s))
                return streams[-1]
            case Receive(stream):
                return _receive(stream)
            case Sleep(seconds):
                self._sleep(seconds)
                return None
            case Now():
                return self._clock()

    def _invoke(self, request: Message) -> Message:
        try:
            response: Message = self._callable(method_of(request))(request, timeout=self._timeout_s)
        except grpc.RpcError as failed:
            raise error_from(failed) from failed
        return response

    def _callable(self, method: Method) -> Any:
        if os.getpid() != self._process_id:
            raise RuntimeError("this client was made before a fork: make a client of its own in each process")
        if self._is_closed:
            raise closed()
        with self._lock:
            if method.path not in self._callables:
                connect = self.channel.unary_stream if method.is_stream else self.channel.unary_unary
                self._callables[method.path] = connect(
                    method.path,
                    request_serializer=method.request_type.SerializeToString,
                    response_deserializer=method.response_type.FromString,
                )
            return self._callables[method.path]


def open_channel(target: Target, token: str | None) -> grpc.Channel:
    """A channel with the client's defaults; it connects when it is first used."""
    options = channel_options()
    if target.is_secure:
        channel = grpc.secure_channel(target.address, grpc.ssl_channel_credentials(), options=options)
    else:
        channel = grpc.insecure_channel(target.address, options=options)
    return grpc.intercept_channel(channel, _TokenInterceptor(token)) if token else channel


def _receive(stream: Any) -> object:
    try:
        return next(stream, None)
    except grpc.RpcError as failed:
        raise error_from(failed) from failed


def _leave(progress: Progress, streams: list[Any]) -> None:
    progress.leave()
    for stream in streams:
        stream.cancel()


class _CallDetails(NamedTuple):
    """What an interceptor hands on in place of what it was given."""

    method: str
    timeout: float | None
    metadata: list[tuple[str, str | bytes]]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _TokenInterceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Sends the token with every call, those of the raw stubs included."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def _with_token(self, details: Any) -> _CallDetails:
        metadata = [*(details.metadata or ()), self._header]
        return _CallDetails(
            details.method,
            details.timeout,
            metadata,
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
