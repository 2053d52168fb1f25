"""REST: the rpcs as the `google.api.http` rules of the schema say, JSON in and JSON out, in the dialect of their API.

A stream is answered as one JSON object a line: `{"result": ...}` for each response and, when it fails on its
way, `{"error": ...}` as the last line. An error before the first response is an ordinary error answer.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from google.protobuf.message import Message
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from penstock_server.gateway.deadlines import expiry
from penstock_server.gateway.plain_routes import UNBUFFERED, PlainRoutes
from penstock_server.gateway.replies import JSON_TYPE, error_reply, method_refused
from penstock_server.gateway.requests import read_request
from penstock_server.gateway.routes import Found, Routes
from penstock_server.model.errors import InvalidArgument, PenstockError, ResourceExhausted
from penstock_server.rpc.call import Call
from penstock_server.rpc.dialect import Dialect, Dialects
from penstock_server.rpc.method import Service, StreamHandler, UnaryHandler
from penstock_server.rpc.plain import PlainRoute
from penstock_server.rpc.proto_json import dumps

LINES_TYPE = "application/x-ndjson"
ASIDE_BYTES = 64 * 1024
"""Larger messages are read and written in a thread, so that other calls do not wait for them."""
FIRST_RESPONSE_S = 0.25
"""A stream whose first response takes longer is begun without it, so that the caller sees it is served."""


class RestApp:
    """An ASGI application that serves all bindings of some services, and plain routes beside them."""

    def __init__(self, services: Sequence[Service], plain: Sequence[PlainRoute] = (), *, body_bytes_max: int) -> None:
        self._routes = Routes(services)
        self._plain = PlainRoutes(plain)
        self._dialects = Dialects(service.dialect for service in services)
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except PenstockError as error:
            response = error_reply(error, self._dialects.of(request.url.path))
        except ClientDisconnect:
            return  # nobody is left to answer
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        raw_path = _raw_path(request.scope)
        if plain := self._plain.find(request.method, raw_path):
            return await plain.answer(request, _call(request))
        found = self._routes.find(request.method, raw_path)
        if isinstance(found, Found):
            return await self._served(found, request)
        dialect = self._dialects.of(raw_path)
        if found:
            return method_refused(raw_path, found, dialect)
        return error_reply(dialect.unknown_path(raw_path), dialect)

    async def _served(self, found: Found, request: Request) -> Response:
        body = await self._body(request)
        if body:
            _check_type(request, found.route.dialect)
        if len(body) > ASIDE_BYTES:
            read = await asyncio.to_thread(read_request, found, request.url.query, body)
        else:
            read = read_request(found, request.url.query, body)
        call = replace(_call(request), given=read.given)
        method, dialect = found.route.method, found.route.dialect
        if method.streaming:
            return await _stream(cast("StreamHandler", method.handler)(read.message, call), dialect)
        answer = await cast("UnaryHandler", method.handler)(read.message, call)
        large = answer.ByteSize() > ASIDE_BYTES
        content = await asyncio.to_thread(dialect.write, answer) if large else dialect.write(answer)
        return Response(content, media_type=JSON_TYPE)

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        if int(request.headers.get("content-length") or 0) > self._body_bytes_max:
            raise self._too_large()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._body_bytes_max:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> ResourceExhausted:
        message = f"a request may have at most {self._body_bytes_max} bytes"
        return ResourceExhausted("REQUEST_TOO_LARGE", message)


async def _stream(responses: AsyncGenerator[Message, None], dialect: Dialect) -> Response:
    """The answer to a stream; raises what it fails with before its first response."""
    first = asyncio.ensure_future(anext(responses, None))
    try:
        done, _ = await asyncio.wait([first], timeout=FIRST_RESPONSE_S)
        if done:
            first.result()
    except BaseException:  # raised again: a caller who goes meanwhile must not leave the stream open
        first.cancel()
        await responses.aclose()
        raise
    return StreamingResponse(_lines(first, responses, dialect), media_type=LINES_TYPE, headers=UNBUFFERED)


async def _lines(
    first: "asyncio.Future[Message | None]", responses: AsyncGenerator[Message, None], dialect: Dialect
) -> AsyncIterator[bytes]:
    async with aclosing(responses):
        try:
            response = await first
            while response is not None:
                yield b'{"result":' + dialect.write(response) + b"}\n"
                response = await anext(responses, None)
        except PenstockError as error:
            yield dumps(dialect.failure(error).document) + b"\n"


def _check_type(request: Request, dialect: Dialect) -> None:
    """Raise InvalidArgument UNSUPPORTED_MEDIA_TYPE when the body is not plain JSON, or by its type may not be."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON_TYPE and not dialect.lenient:
        raise InvalidArgument("UNSUPPORTED_MEDIA_TYPE", f"send the body as Content-Type: {JSON_TYPE}")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise InvalidArgument("UNSUPPORTED_MEDIA_TYPE", "send the body without a Content-Encoding")


def _raw_path(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    return str(scope["path"]) if raw is None else raw.decode("ascii", "replace")


def _call(request: Request) -> Call:
    metadata = dict(request.headers)
    return Call(
        transport="rest",
        peer=f"{request.client.host}:{request.client.port}" if request.client else "",
        metadata=metadata,
        expire_at=expiry(metadata),
        traceparent=metadata.get("traceparent"),
    )
