"""How long after its slot a run is made, so that jobs due at the same moment do not all start at once."""

import hashlib
from datetime import UTC, datetime

_RANGE = 2**64


def jitter_s(job_uid: str, slot_time: datetime, jitter_max_s: float) -> float:
    """Seconds from 0 to below `jitter_max_s`, spread evenly; every server finds the same for a job's slot."""
    key = f"{job_uid} {slot_time.astimezone(UTC).isoformat()}"
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return drawn * jitter_max_s / _RANGE
