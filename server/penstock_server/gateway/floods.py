"""Turns calls away that find no room, before anything is read or looked up for them.

What a call costs before it is refused further in is a good part of a small call: ten thousand at once would keep those
waiting who were let in.
"""

from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import Scope, Send

from penstock_server.gateway.probes import PATHS
from penstock_server.gateway.replies import error_reply
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.dialect import Dialect, Dialects


class Floods:
    """Looks whether there is room, and refuses in the dialect of the path; Connect's clients read the status."""

    def __init__(self, calls: Admission, dialects: Iterable[Dialect]) -> None:
        self._calls = calls
        self._dialects = Dialects(dialects)
        self._replies: dict[str, Response] = {}

    def turns_away(self, scope: Scope) -> bool:
        """True for a call that would find no room; probes are always answered."""
        return self._calls.is_full and scope["type"] == "http" and scope["path"] not in PATHS

    async def refuse(self, scope: Scope, send: Send) -> None:
        """Say so."""
        refusal, dialect = self._calls.refusal(), self._dialects.of(scope["path"])
        reply = self._replies.get(dialect.prefix)
        if reply is None:
            reply = self._replies[dialect.prefix] = error_reply(refusal, dialect)
        await send({"type": "http.response.start", "status": reply.status_code, "headers": reply.raw_headers})
        await send({"type": "http.response.body", "body": reply.body})
