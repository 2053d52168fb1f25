"""Streams that go on after a cut: where they were, after a pause, for as long as somebody has patience."""

import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from grpc import StatusCode

from penstock.effects import Open, Operation, Sleep, invoke, now, receive
from penstock.errors import PenstockError, UnavailableError

ResponseT = TypeVar("ResponseT", bound=Message)

_CUTS = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "DEADLINE_EXCEEDED"})
"""What a lost connection or a proxy's limit looks like when no server explains itself."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before trying again, and when to give up."""

    first_s: float = 0.1
    longest_s: float = 5.0
    patience_s: float = 300.0
    """Seconds since the first failure in a row after which the failure is raised."""

    def delay_s(self, failures: int) -> float:
        """The pause after so many failures in a row.

        Doubling, bounded, spread so that clients do not come together.
        """
        longest = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret


CREATING = Backoff(first_s=0.1, longest_s=1.0, patience_s=3.0)
"""For a create that carries a `request_id`: as patient as the channel is with reads."""


def invoke_repeatably(
    request: Message, response_type: type[ResponseT], backoff: Backoff = CREATING
) -> Operation[ResponseT]:
    """Make a unary call that is safe to repeat, and repeat it while the server is away for a moment."""
    outage = _Outage(backoff)
    while True:
        try:
            return (yield from invoke(request, response_type))
        except PenstockError as error:
            if error.code.name != "UNAVAILABLE":
                raise
            yield from outage.pause(error)


class ResumingStream(ABC, Generic[ResponseT]):
    """A server stream that is opened again after a cut. Subclasses know where to go on."""

    def __init__(self, response_type: type[ResponseT], *, backoff: Backoff, deadline: float | None = None) -> None:
        self._response_type = response_type
        self._deadline = deadline
        self._outage = _Outage(backoff)
        self._stream: Any = None
        self._received: deque[ResponseT] = deque()
        """What has come and was not handed out yet."""

    @abstractmethod
    def request(self) -> Message:
        """The request that goes on after what `accept` has seen."""

    @abstractmethod
    def accept(self, response: ResponseT) -> bool:
        """Note where to go on; False for a response that brings nothing new."""

    def parts(self, response: ResponseT) -> Iterable[ResponseT]:
        """The responses that one of the stream stands for, in order."""
        return (response,)

    def is_complete(self) -> bool:
        """Whether a stream that ended well told everything there is to tell."""
        return True

    def next(self) -> Operation[ResponseT | None]:
        """The next new response, None at the end. Raises TimeoutError once the deadline has passed."""
        while True:
            try:
                response = yield from self._receive()
            except PenstockError as error:
                yield from self._recover(error)
                continue
            if response is None:
                return None
            self._outage.end()
            if self.accept(response):
                return response

    def _receive(self) -> Operation[ResponseT | None]:
        if self._received:
            return self._received.popleft()
        if self._stream is None:
            self._stream = yield Open(self.request(), (yield from self._remaining_s()))
        response = yield from receive(self._stream, self._response_type)
        if response is None and not self.is_complete():
            raise UnavailableError(StatusCode.UNAVAILABLE, "the stream ended before all was told")
        if response is None:
            return None
        first, *more = self.parts(response)
        self._received.extend(more)
        return first

    def _recover(self, error: PenstockError) -> Operation[None]:
        self._stream = None
        yield from self._remaining_s()
        if not _is_cut(error):
            raise error
        yield from self._outage.pause(error)

    def _remaining_s(self) -> Operation[float | None]:
        if self._deadline is None:
            return None
        remaining_s = self._deadline - (yield from now())
        if remaining_s <= 0:
            raise TimeoutError("the time given to wait is over")
        return remaining_s


class _Outage:
    """Failures in a row, and the patience left for them."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0
        self._since = 0.0

    def end(self) -> None:
        """The server has answered."""
        self._failures = 0

    def pause(self, error: PenstockError) -> Operation[None]:
        """Wait before the next try, or raise `error` when patience is used up."""
        time = yield from now()
        self._since = self._since if self._failures else time
        self._failures += 1
        delay_s = max(self._backoff.delay_s(self._failures), error.retry_after_s or 0.0)
        if time + delay_s - self._since > self._backoff.patience_s:
            raise error
        yield Sleep(delay_s)


def _is_cut(error: PenstockError) -> bool:
    return error.code.name == "UNAVAILABLE" or (error.is_transport and error.code.name in _CUTS)
