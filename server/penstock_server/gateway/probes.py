"""What those who run the server ask over HTTP: is it alive, is it ready, how is it doing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(frozen=True, slots=True)
class Exposition:
    """Metrics as a scraper reads them."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Probes:
    """Where the answers come from."""

    not_ready: Callable[[], Awaitable[Sequence[str]]]
    """Why the server cannot serve just now; empty when it can."""
    metrics: Callable[[str], Exposition]
    """The metrics, in a form that the given Accept header allows."""

    def routes(self) -> list[Route]:
        """`/healthz`, `/readyz` and `/metrics`."""
        return [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
        ]

    async def _healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _readyz(self, _request: Request) -> Response:
        reasons = await self.not_ready()
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": list(reasons)}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def _metrics(self, request: Request) -> Response:
        exposition = self.metrics(request.headers.get("accept", ""))
        return Response(exposition.content, headers={"Content-Type": exposition.content_type})
