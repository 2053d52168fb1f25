"""The hook through which traces and metrics see every call, on every transport."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from penstock_server.rpc.call import Call

Finish: TypeAlias = Callable[[BaseException | None], None]
"""Called once at the end of a call: with None when it succeeded, with the PenstockError that was answered, or
with the CancelledError (for a stream also GeneratorExit) when the caller went away."""


class Observed(Protocol):
    """What is called: a Method, or a PlainRoute."""

    @property
    def full_name(self) -> str: ...
    @property
    def streaming(self) -> bool: ...


class CallObserver(Protocol):
    """Sees each call begin and end."""

    def begin(self, method: Observed, call: Call) -> tuple[Call, Finish]:
        """A call begins. Returns the call to hand on, with a traceparent of its own if it likes, and what to
        tell the end to. Runs in the task that serves the call; must not raise and must not block."""


class UnobservedCalls:
    """Looks away."""

    def begin(self, method: Observed, call: Call) -> tuple[Call, Finish]:
        """Nothing to note."""
        return call, _ignore


def _ignore(_error: BaseException | None) -> None:
    """The end of a call that nobody observes."""
