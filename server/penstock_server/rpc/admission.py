"""How many calls are served at a time.

Further ones are refused at once, which costs little: a server that took them all would answer none in time.
"""

from types import TracebackType

from penstock_server.model.errors import ResourceExhausted

RETRY_S = 1.0


class Admission:
    """Room for so many calls, entered by each and left at its end. Of one event loop."""

    def __init__(self, most: int, what: str = "calls") -> None:
        self._most = most
        self._what = what
        """In the plural, for people."""
        self._inside = 0
        self.refused_count = 0
        """Of those that found no room, since the start."""

    @property
    def is_full(self) -> bool:
        """Whoever comes is refused."""
        return self._inside >= self._most

    def refusal(self) -> ResourceExhausted:
        """What somebody is told for whom there is no room; they are counted."""
        self.refused_count += 1
        return ResourceExhausted(
            "SERVER_BUSY",
            f"this server has {self._most} {self._what} under way and takes no more; repeat the call in a while",
            retry_after_s=RETRY_S,
        )

    def __enter__(self) -> None:
        """Go in. Raises ResourceExhausted SERVER_BUSY when there is no room."""
        if self.is_full:
            raise self.refusal()
        self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Make room."""
        self._inside -= 1
