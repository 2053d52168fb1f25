"""What a handler knows of the call it serves, whatever transport brought it."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who asks, until when, and as part of which trace."""

    transport: str
    """`grpc`, `connect` or `rest`."""
    peer: str = ""
    """Address of the other end, as the transport writes it."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Request headers with lower-case names; binary ones are left out."""
    expire_at: float | None = None
    """When the caller stops waiting, on the clock of `time.monotonic`; None: never."""
    traceparent: str | None = None
    """W3C trace context of the span that this call is part of."""
    principal: str | None = None
    """Who calls; None while nobody has to say."""
    given: frozenset[str] | None = None
    """Fields, by their names in the schema, that the JSON object in the body named, empty ones too: a message does not
    tell those from absent ones. None where the transport cannot say."""

    @property
    def trace_context(self) -> str | None:
        """`traceparent`, where it has the form that is kept; callers write what they like."""
        given = self.traceparent
        return given if given is not None and _TRACEPARENT.match(given) else None

    @property
    def deadline_s(self) -> float | None:
        """Seconds left, at least 0; None without a deadline."""
        return None if self.expire_at is None else max(0.0, self.expire_at - time.monotonic())
