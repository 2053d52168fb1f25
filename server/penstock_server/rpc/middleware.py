"""What every call goes through on every transport: admission, rules of the schema, deadline, errors, observation.

Handlers of a wrapped service raise only errors of `model.errors`, and cancellation when the caller left.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import cast

import structlog
from google.protobuf.message import Message

from penstock_server.model.errors import DeadlineExceeded, Internal, PenstockError
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.call import Call
from penstock_server.rpc.method import Method, Service, StreamHandler, UnaryHandler
from penstock_server.rpc.observer import CallObserver, Observed, UnobservedCalls
from penstock_server.rpc.plain import PlainAnswer, PlainRequest, PlainRoute
from penstock_server.rpc.rules import Rules

CALLS_MAX = 128
STREAMS_MAX = 4096

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def _new_error_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Middleware:
    """Wraps the methods of services, once, when the server is put together."""

    observer: CallObserver = field(default_factory=UnobservedCalls)
    rules: Rules = field(default_factory=Rules)
    unary_time_max_s: float = 60.0
    """A unary call that takes longer ends DEADLINE_EXCEEDED, whatever the caller's own deadline."""
    calls: Admission = field(default_factory=lambda: Admission(CALLS_MAX))
    """Room for unary calls and plain requests, all services and transports together."""
    streams: Admission = field(default_factory=lambda: Admission(STREAMS_MAX, "streams"))
    """Room for streams, which last for as long as somebody listens."""
    new_error_id: Callable[[], str] = _new_error_id
    """Names an unexpected failure, in the answer and in the log."""

    def wrap(self, service: Service) -> Service:
        """`service` with each of its methods wrapped."""
        methods = {name: self.wrap_method(method) for name, method in service.methods.items()}
        return replace(service, methods=methods)

    def wrap_method(self, method: Method) -> Method:
        """`method` with a handler that goes through everything."""
        handler = self._stream(method) if method.streaming else self._unary(method)
        return replace(method, handler=handler)

    def wrap_plain(self, route: PlainRoute) -> PlainRoute:
        """`route` with a handler that goes through everything but the rules of the schema."""

        room = self.streams if route.streaming else self.calls

        async def handle(request: PlainRequest, call: Call) -> PlainAnswer:
            call, finish = self.observer.begin(route, call)
            try:
                async with asyncio.timeout(route.time_max_s):
                    with room:
                        answer = await route.handler(request, call)
            except Exception as error:
                told = self._answer(route, error)
                finish(told)
                raise told from error
            except BaseException as error:
                finish(error)
                raise
            finish(None)
            return answer

        return replace(route, handler=handle)

    def _unary(self, method: Method) -> UnaryHandler:
        serve = cast("UnaryHandler", method.handler)
        begin, room, check, limit_s = self.observer.begin, self.calls, self.rules.check, self.unary_time_max_s

        async def handle(request: Message, call: Call) -> Message:
            call, finish = begin(method, call)
            try:
                with room:
                    check(request)
                    left_s = call.deadline_s
                    async with asyncio.timeout(limit_s if left_s is None else min(left_s, limit_s)):
                        response = await serve(request, call)
            except Exception as error:
                answer = self._answer(method, error)
                finish(answer)
                raise answer from error
            except BaseException as error:
                finish(error)
                raise
            finish(None)
            return response

        return handle

    def _stream(self, method: Method) -> StreamHandler:
        serve = cast("StreamHandler", method.handler)

        async def handle(request: Message, call: Call) -> AsyncGenerator[Message, None]:
            call, finish = self.observer.begin(method, call)
            try:
                with self.streams:
                    self.rules.check(request)
                    async with aclosing(_until_deadline(serve(request, call), call)) as responses:
                        async for response in responses:
                            yield response
            except Exception as error:
                answer = self._answer(method, error)
                finish(answer)
                raise answer from error
            except BaseException as error:
                finish(error)
                raise
            finish(None)

        return handle

    def _answer(self, method: Observed, error: Exception) -> PenstockError:
        """What the caller is told of `error`."""
        if isinstance(error, PenstockError) and not isinstance(error, Internal):
            return error
        if isinstance(error, TimeoutError):
            return DeadlineExceeded("DEADLINE_EXCEEDED", "the call's time ran out; allow it more time or ask for less")
        error_id = self.new_error_id()
        log.error("rpc_failed", method=method.full_name, error_id=error_id, exc_info=error)
        return Internal(
            "INTERNAL",
            f"the server failed; its log has the details under error id {error_id}",
            metadata={"error_id": error_id},
        )


async def _until_deadline(responses: AsyncGenerator[Message, None], call: Call) -> AsyncGenerator[Message, None]:
    """`responses`, each awaited no longer than the caller waits."""
    async with aclosing(responses):
        while True:
            async with asyncio.timeout(call.deadline_s):
                response = await anext(responses, None)
            if response is None:
                return
            yield response
