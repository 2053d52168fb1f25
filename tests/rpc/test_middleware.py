"""What every call goes through."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from google.protobuf.message import Message
from structlog.testing import capture_logs

from penstock.v1 import run_service_pb2
from penstock_server.model.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.call import Call
from penstock_server.rpc.method import Method, StreamHandler, UnaryHandler, service_of, snake_case
from penstock_server.rpc.middleware import Middleware
from penstock_server.rpc.observer import Finish, Observed

RUN_SERVICE = run_service_pb2.DESCRIPTOR.services_by_name["RunService"]
REQUEST = run_service_pb2.GetRunRequest(name="namespaces/default/runs/one")
CALL = Call("test")


class Ends:
    """An observer that notes how calls ended."""

    def __init__(self) -> None:
        self.ends: list[type[BaseException] | None] = []

    def begin(self, method: Observed, call: Call) -> tuple[Call, Finish]:
        return call, lambda error: self.ends.append(error if error is None else type(error))


def method(handler: UnaryHandler | StreamHandler, *, streaming: bool = False) -> Method:
    descriptor = RUN_SERVICE.methods_by_name["WatchRun" if streaming else "GetRun"]
    return Method(
        "penstock.v1.RunService/Test",
        descriptor,
        run_service_pb2.GetRunRequest,
        run_service_pb2.GetRunResponse,
        handler,
        streaming=streaming,
        reads_only=True,
    )


async def unary(handler: UnaryHandler, middleware: Middleware, call: Call = CALL) -> Message:
    serve: UnaryHandler = middleware.wrap_method(method(handler)).handler  # type: ignore[assignment]  # unary
    return await serve(REQUEST, call)


def stream(handler: StreamHandler, middleware: Middleware, call: Call = CALL) -> AsyncGenerator[Message, None]:
    wrapped = middleware.wrap_method(method(handler, streaming=True))
    serve: StreamHandler = wrapped.handler  # type: ignore[assignment]  # streaming
    return serve(REQUEST, call)


async def answer(_request: object, _call: Call) -> Message:
    return run_service_pb2.GetRunResponse()


async def test_a_good_call_is_answered_and_observed() -> None:
    observer = Ends()
    assert await unary(answer, Middleware(observer)) == run_service_pb2.GetRunResponse()
    assert observer.ends == [None]


async def test_a_request_that_breaks_the_schema_never_reaches_the_handler() -> None:
    observer = Ends()
    wrapped = Middleware(observer).wrap_method(method(answer))
    serve: UnaryHandler = wrapped.handler  # type: ignore[assignment]  # unary
    with pytest.raises(InvalidArgument) as raised:
        await serve(run_service_pb2.GetRunRequest(name="runs/one"), CALL)
    assert raised.value.violations[0].field == "name"
    assert "namespaces/{id}/runs/{id}" in raised.value.message
    assert observer.ends == [InvalidArgument]


async def test_domain_errors_pass_unchanged() -> None:
    async def refuse(_request: object, _call: Call) -> Message:
        raise NotFound("RUN_NOT_FOUND", "no such run")

    with pytest.raises(NotFound, match="no such run"):
        await unary(refuse, Middleware())


@pytest.mark.parametrize("error", [KeyError("secret"), Internal("BROKEN", "secret")])
async def test_an_unexpected_error_is_logged_with_an_id_and_leaks_nothing(error: Exception) -> None:
    async def fail(_request: object, _call: Call) -> Message:
        raise error

    with capture_logs() as logs, pytest.raises(Internal) as raised:
        await unary(fail, Middleware(new_error_id=lambda: "id-1"))
    assert "secret" not in raised.value.message
    assert raised.value.metadata == {"error_id": "id-1"}
    assert (logs[0]["error_id"], logs[0]["exc_info"]) == ("id-1", error)


async def test_the_callers_deadline_ends_a_call() -> None:
    async def wait(_request: object, _call: Call) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(DeadlineExceeded):
        await unary(wait, Middleware(), Call("test", expire_at=time.monotonic() + 0.01))
    with pytest.raises(DeadlineExceeded):
        await unary(wait, Middleware(unary_time_max_s=0.01))


async def test_a_stream_is_passed_on_and_its_error_translated() -> None:
    async def count(_request: object, _call: Call) -> AsyncGenerator[Message, None]:
        yield run_service_pb2.GetRunResponse()
        raise ValueError

    observer = Ends()
    responses = stream(count, Middleware(observer))
    await anext(responses)
    with capture_logs(), pytest.raises(Internal):
        await anext(responses)
    assert observer.ends == [Internal]


async def test_a_stream_whose_caller_leaves_is_closed() -> None:
    closed = asyncio.Event()

    async def endless(_request: object, _call: Call) -> AsyncGenerator[Message, None]:
        try:
            while True:
                yield run_service_pb2.GetRunResponse()
        finally:
            closed.set()

    observer = Ends()
    async with aclosing(stream(endless, Middleware(observer))) as responses:
        await anext(responses)
    assert closed.is_set()
    assert observer.ends == [GeneratorExit]


async def test_a_call_for_which_there_is_no_room_is_refused_at_once_and_observed() -> None:
    go_on, observer = asyncio.Event(), Ends()

    async def wait(_request: object, _call: Call) -> Message:
        await go_on.wait()
        return run_service_pb2.GetRunResponse()

    middleware = Middleware(observer, calls=Admission(1))
    first = asyncio.ensure_future(unary(wait, middleware))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(ResourceExhausted) as raised:
            await unary(answer, middleware)
        assert (raised.value.reason, raised.value.retry_after_s) == ("SERVER_BUSY", 1.0)
    go_on.set()
    await first
    await unary(answer, middleware)
    assert observer.ends == [ResourceExhausted] * 3 + [None] * 2


@pytest.mark.parametrize("error", [NotFound("RUN_NOT_FOUND", "no"), ValueError(), asyncio.CancelledError()])
async def test_a_call_that_fails_makes_room(error: BaseException) -> None:
    async def fail(_request: object, _call: Call) -> Message:
        raise error

    middleware = Middleware(calls=Admission(1))
    for _ in range(2):
        with capture_logs(), pytest.raises((NotFound, Internal, asyncio.CancelledError)):
            await unary(fail, middleware)
    await unary(answer, middleware)


async def test_streams_have_room_of_their_own() -> None:
    async def endless(_request: object, _call: Call) -> AsyncGenerator[Message, None]:
        while True:
            yield run_service_pb2.GetRunResponse()

    middleware = Middleware(calls=Admission(1), streams=Admission(1, "streams"))
    async with aclosing(stream(endless, middleware)) as responses:
        await anext(responses)
        with pytest.raises(ResourceExhausted, match="1 streams under way"):
            await anext(stream(endless, middleware))
        await unary(answer, middleware)
    await anext(stream(endless, middleware))


async def test_a_stream_ends_at_the_callers_deadline() -> None:
    async def silent(_request: object, _call: Call) -> AsyncGenerator[Message, None]:
        await asyncio.Event().wait()
        yield run_service_pb2.GetRunResponse()

    call = Call("test", expire_at=time.monotonic() + 0.01)
    with pytest.raises(DeadlineExceeded):
        await anext(stream(silent, Middleware(), call))


def test_a_service_without_a_handler_for_each_method_is_refused() -> None:
    with pytest.raises(TypeError, match="create_run"):
        service_of(RUN_SERVICE, object())


def test_names_of_methods_are_those_of_handlers() -> None:
    assert snake_case("GetPipelineVersionInterface") == "get_pipeline_version_interface"
