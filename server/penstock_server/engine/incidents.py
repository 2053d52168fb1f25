"""What the log says of the engine's work beyond the ordinary: runs of other servers, attempts that the platform failed.

A step that ends, well or by its own fault, is told of in its run alone: a busy server has thousands of them a minute.
"""

import logging
from collections.abc import Sequence

from penstock_server.engine.state import LiveRun
from penstock_server.launch.base import Observation, Phase
from penstock_server.model.ids import ServerId
from penstock_server.store.leases import ClaimedRun

_log = logging.getLogger(__name__)


def note_takeovers(claimed: Sequence[ClaimedRun]) -> None:
    """Runs are this server's that were another's: one whose lease ran out, or one that gave them up."""
    taken: dict[ServerId | None, list[str]] = {}
    for claim in claimed:
        if claim.from_owner is not None or claim.is_under_way:
            taken.setdefault(claim.from_owner, []).append(str(claim.uid))
    for owner, runs in taken.items():
        level = logging.INFO if owner is None else logging.WARNING
        from_server = None if owner is None else str(owner)
        _log.log(level, "runs taken over", extra={"count": len(runs), "from_server": from_server, "runs": runs})


def note_failure(run: LiveRun, seen: Observation) -> None:
    """An attempt has ended by no fault of its step; what follows is decided already."""
    facts = {
        "run": f"{run.record.namespace}/{run.record.id}",
        "attempt": str(seen.attempt),
        "class": seen.failure_class,
        "reason": seen.reason,
        "why": seen.message,
        "host": seen.host,
        "handle": seen.handle,
        "is_tried_again": not run.tasks[seen.attempt.task_id].state.is_final,
    }
    _log.warning("attempt lost" if seen.phase is Phase.LOST else "attempt failed", extra=facts)
