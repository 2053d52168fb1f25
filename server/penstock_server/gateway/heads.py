"""Request lines and headers: of bounded size, and in time, so that silent or endless callers hold no connection."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIME_MAX_S = 10.0
HEAD_BYTES_MAX = 64 * 1024
SECOND_LOOK_S = 0.1


class BoundedHeads(HttpToolsProtocol):
    """One connection."""

    head_time_max_s = HEAD_TIME_MAX_S
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    """Runs while a head is awaited: from the start of a connection, and from the first byte of each further request."""

    def connection_made(self, transport: Any) -> None:
        """The first head is awaited."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._head_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on, unless the head has become too long."""
        super().data_received(data)
        if self._head_timer is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse("Request line and headers are too long.")

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._head_timer is None:
            self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_done()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(self.head_time_max_s, self._look_again)

    def _look_again(self) -> None:
        """Late, unless it was the event loop that was: what has come by now is read before the next timer."""
        late = "Request line and headers came too slowly."
        self._head_timer = self.loop.call_later(SECOND_LOOK_S, self._refuse, late)

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, message: str) -> None:
        self._head_done()
        if not self.transport.is_closing():
            self.send_400_response(message)
