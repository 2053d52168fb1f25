"""Serves PlainRoutes: the requests that no schema describes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from penstock_server.gateway.replies import failure_reply
from penstock_server.gateway.requests import QUERY_FIELDS_MAX
from penstock_server.gateway.templates import PathTemplate, compile_template
from penstock_server.model.errors import InvalidArgument, PenstockError
from penstock_server.rpc.call import Call
from penstock_server.rpc.plain import PlainRequest, PlainRoute

UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class PlainFound:
    """A route that serves a request, and what the request's path says."""

    route: PlainRoute
    variables: Mapping[str, str]

    async def answer(self, request: Request, call: Call) -> Response:
        """The answer, also where the route fails."""
        try:
            asked = PlainRequest(
                self.variables, _query(request.url.query), request.headers.get("content-type", ""), request.stream()
            )
            answer = await self.route.handler(asked, call)
        except PenstockError as error:
            return failure_reply(error, self.route.failure(error))
        if isinstance(answer.content, bytes):
            return Response(answer.content, media_type=answer.media_type)
        return StreamingResponse(answer.content, media_type=answer.media_type, headers=UNBUFFERED)


class PlainRoutes:
    """All plain routes of a server."""

    def __init__(self, routes: Sequence[PlainRoute]) -> None:
        self._routes: list[tuple[PathTemplate, PlainRoute]] = [(compile_template(r.path), r) for r in routes]

    def find(self, http_method: str, raw_path: str) -> PlainFound | None:
        """What serves the request; None when no plain route does."""
        for template, route in self._routes:
            if route.http_method == http_method and (variables := template.match(raw_path)) is not None:
                return PlainFound(route, variables)
        return None


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX)
    except ValueError as error:
        raise InvalidArgument("INVALID_QUERY", f"the query cannot be read: {error}") from error
    query: dict[str, str] = {}
    for name, value in pairs:
        query.setdefault(name, value)
    return query
