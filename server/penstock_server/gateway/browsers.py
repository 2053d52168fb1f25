"""Keeps web pages that nobody invited from using the server through their visitor's browser.

Who may reach a server on loopback may run programs on the machine, and every page in a browser there can
reach it. So a request that a page of another origin makes is refused unless that origin is allowed, and a
server on loopback answers only to names that cannot have been pointed at it by somebody else (DNS rebinding).
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock_server.gateway.replies import error_reply
from penstock_server.model.errors import PermissionDenied

ANY = "*"


class BrowserGuard:
    """ASGI middleware that refuses uninvited origins and hosts."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str], hosts: Collection[str]) -> None:
        self._app = app
        self._origins = origins
        self._hosts = hosts
        """Names to answer to, beside `localhost` and addresses; empty or with `*`: to any."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, or refuse."""
        if scope["type"] == "http" and (refusal := self._refusal(Headers(scope=scope))):
            await error_reply(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> PermissionDenied | None:
        host = headers.get("host", "")
        if not self._answers_to(host):
            return PermissionDenied(
                "HOST_NOT_ALLOWED",
                "this server does not answer to that Host; add it to the server's setting allowed_hosts",
            )
        origin = headers.get("origin")
        if origin is None or origin in self._origins or ANY in self._origins:
            return None
        if urlsplit(origin).netloc == host and host:
            return None
        return PermissionDenied(
            "ORIGIN_NOT_ALLOWED",
            "pages of that origin may not use this server; add it to the server's setting allowed_origins",
        )

    def _answers_to(self, host: str) -> bool:
        if not self._hosts or ANY in self._hosts:
            return True
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._hosts or name in ("", "localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
