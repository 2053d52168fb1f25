"""The engine's settings and bounds, as one value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What `main` hands to the engine."""

    artifact_root: str
    """URI under which outputs are published, for runs that name no root of their own."""
    max_parallel_steps: int
    """Steps at a time on this server."""
    runs_max: int = 1000
    """Runs in memory; further ones wait in the database, PENDING, for this server or another."""
    lease_ttl_s: float = 10.0
    """Without a renewal for so long, other servers may take the runs over."""
    poll_s: float = 2.0
    """So often the engine looks for work without being notified."""
    linger_s: float = 0.1
    """So long changes that nobody waits for stay before they are written by themselves: a step that is over by then
    costs one commit, and nobody sees the difference."""
    drain_timeout_s: float = 10.0
    """A drain waits no longer for the launcher."""
