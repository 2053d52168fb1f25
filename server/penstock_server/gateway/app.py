"""The ASGI application: everything that is served over HTTP, put together.

a flood is turned away, then
browser guard -> CORS -> probes
                      -> drain gate -> Connect and gRPC-Web   /penstock.v1.RunService/GetRun
                                    -> REST, plain routes      /v1/namespaces/default/runs/r1
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock_server.gateway.bodies import Pace, paced
from penstock_server.gateway.browsers import BrowserGuard
from penstock_server.gateway.connect import ConnectApp
from penstock_server.gateway.floods import Floods
from penstock_server.gateway.probes import Probes
from penstock_server.gateway.replies import error_reply
from penstock_server.gateway.rest import RestApp
from penstock_server.model.errors import InvalidArgument, Unavailable
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.dialect import Dialects
from penstock_server.rpc.method import Service
from penstock_server.rpc.plain import PlainRoute

CORS_HEADERS = (
    *("Authorization", "Content-Type", "Traceparent"),
    *("Connect-Protocol-Version", "Connect-Timeout-Ms", "Grpc-Timeout", "X-Grpc-Web", "X-User-Agent"),
)
CORS_EXPOSED = ("Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", "Retry-After")
DRAIN_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How HTTP is served."""

    body_bytes_max: int = 4 * 1024 * 1024
    pace: Pace = field(default_factory=Pace)
    """Of all bodies, also of uploads."""
    allowed_origins: tuple[str, ...] = ()
    """Origins whose web pages may use the server, beside its own; `*`: all."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that the server answers to, beside `localhost` and addresses; empty: any."""


class Gateway:
    """An ASGI application with a switch for the end of the server."""

    def __init__(
        self,
        services: Sequence[Service],
        probes: Probes,
        settings: GatewaySettings,
        plain: Sequence[PlainRoute] = (),
        calls: Admission | None = None,
    ) -> None:
        """`calls`: the room that calls find or do not find further in."""
        self.draining = False
        """While set, calls are refused with 503 and probes are still answered."""
        self._pace = settings.pace
        self._floods = None if calls is None else Floods(calls, [service.dialect for service in services])
        self._dialects = Dialects(service.dialect for service in services)
        connect = _WithoutPlainGrpc(ConnectApp(services, body_bytes_max=settings.body_bytes_max))
        rest = RestApp(services, plain, body_bytes_max=settings.body_bytes_max)
        self._app = Starlette(
            routes=[
                *probes.routes(),
                *(Mount(f"/{service.full_name}", app=self._gated(connect)) for service in services),
                Mount("/", app=self._gated(rest)),
            ],
            middleware=_middleware(settings),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if self._floods is not None and self._floods.turns_away(scope):
            await self._floods.refuse(scope, send)
        else:
            await self._app(scope, receive, send)

    def _gated(self, app: ASGIApp) -> ASGIApp:
        async def gate(scope: Scope, receive: Receive, send: Send) -> None:
            if self.draining:
                await error_reply(_draining(), self._dialects.of(scope["path"]))(scope, receive, send)
            else:
                await app(scope, paced(receive, self._pace), send)

        return gate


class _WithoutPlainGrpc:
    """Refuses gRPC over HTTP/1.1, which needs trailers that browsers and this server do not have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content_type = Headers(scope=scope).get("content-type", "")
        if content_type == "application/grpc" or content_type.startswith("application/grpc+"):
            await error_reply(_plain_grpc())(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _middleware(settings: GatewaySettings) -> list[Middleware]:
    origins = settings.allowed_origins
    layers = [Middleware(BrowserGuard, origins=origins, hosts=settings.allowed_hosts)]
    if origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=CORS_HEADERS,
            expose_headers=CORS_EXPOSED,
        )
        layers.insert(0, cors)
    return layers


def _plain_grpc() -> InvalidArgument:
    return InvalidArgument(
        "UNSUPPORTED_MEDIA_TYPE", "gRPC is served on the server's gRPC address; use gRPC-Web or Connect here"
    )


def _draining() -> Unavailable:
    return Unavailable("SERVER_DRAINING", "this server is about to end; repeat the call", retry_after_s=DRAIN_RETRY_S)
