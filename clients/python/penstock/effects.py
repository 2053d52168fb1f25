"""What an operation of the client asks of the world, so that it is written once and runs in two ways.

An operation is a generator. It yields the effects below and is sent what they bring: it moves no bytes
itself, never sleeps, and does not know whether a thread or an event loop waits for it. `blocking.py` and
`asynchronous.py` each hold one driver that performs the effects, with `grpc` and with `grpc.aio`;
`faces.py` makes methods of operations.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

T = TypeVar("T")
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, slots=True)
class Invoke:
    """Make a unary call. Brings the response."""

    request: Message


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a server stream. Brings a handle for `Receive`; it is cancelled when the operation is left."""

    request: Message
    timeout_s: float | None = None
    """Seconds after which the stream fails with DEADLINE_EXCEEDED; None: it may go on for ever."""


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for the next message of a stream. Brings the message, or None at the stream's end."""

    stream: Any
    """What `Open` brought."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Ask for the time. Brings seconds on a clock that only goes forward."""


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Hand one item to whoever iterates."""

    item: T


Effect = Invoke | Open | Receive | Sleep | Now
Operation = Generator[Effect, Any, T]
"""Yields effects, is sent what they bring, is thrown a PenstockError when one failed, returns its result."""
Items = Generator[Effect | Emit[T], Any, None]
"""An operation whose results are the items it emits."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The operation has returned."""

    result: Any


class Progress:
    """An operation on its way: the part of a driver that is the same for threads and event loops."""

    def __init__(self, operation: Generator[Effect | Emit[Any], Any, Any]) -> None:
        self._operation = operation
        self._step: Callable[[], Effect | Emit[Any]] = partial(next, operation)

    def effect(self) -> Effect | Emit[Any] | Ended:
        """Go on to the next effect, or to the end."""
        try:
            return self._step()
        except StopIteration as end:
            return Ended(end.value)

    def bring(self, value: object) -> None:
        """The effect has brought `value`."""
        self._step = partial(self._operation.send, value)

    def fail(self, error: Exception) -> None:
        """The effect has failed."""
        self._step = partial(self._operation.throw, error)

    def leave(self) -> None:
        """Nobody waits for the operation any more."""
        self._operation.close()


def invoke(request: Message, response_type: type[ResponseT]) -> Operation[ResponseT]:
    """Call the method that takes `request`; no two methods share a request type."""
    response = yield Invoke(request)
    assert isinstance(response, response_type)
    return response


def receive(stream: object, response_type: type[ResponseT]) -> Operation[ResponseT | None]:
    """The next message of a stream, None at its end."""
    response = yield Receive(stream)
    assert response is None or isinstance(response, response_type)
    return response


def now() -> Operation[float]:
    """Seconds on a clock that only goes forward."""
    seconds = yield Now()
    assert isinstance(seconds, float)
    return seconds
