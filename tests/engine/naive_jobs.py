"""What a job comes to, said once more: each slot by itself, one after the other, from lists of all of them.

Shares no code with `engine/turns.py` and `engine/due_slots.py` but the draw of the jitter.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from penstock_server.model.jobs import CatchUp, JobSchedule, Overlap
from penstock_server.schedule.jitter import jitter_s


@dataclass
class NaiveJob:
    """A job as its user sees it."""

    uid: uuid.UUID
    schedule: JobSchedule
    grace_s: float
    slots: Sequence[datetime]
    """All that it will ever have."""
    position: int = 0
    """So many of them are decided on."""
    outcomes: dict[datetime, str] = field(default_factory=dict)
    """FIRED, WAITING, or the reason why a slot was skipped."""
    waiting: list[datetime] = field(default_factory=list)
    """Those that wait, oldest first."""
    order: list[datetime] = field(default_factory=list)
    """Slots that fired, in the order of their firing."""
    open: dict[datetime, bool] = field(default_factory=dict)
    """Runs that are not finished by their slots, and whether they are asked to end."""
    failures: int = 0
    is_enabled: bool = True

    def due(self, position: int) -> datetime:
        """When that slot is to fire."""
        slot = self.slots[position]
        most_s = self.schedule.jitter_s
        if position + 1 < len(self.slots):
            most_s = min(most_s, (self.slots[position + 1] - slot).total_seconds())
        return slot + timedelta(seconds=jitter_s(str(self.uid), slot, most_s))

    def look(self, now: datetime) -> None:
        """A server is there at this moment."""
        if not self.is_enabled:
            return
        queue, self.waiting = self.waiting, []
        for slot in [*queue, *self._fallen_due(now)]:
            self._decide(slot)
        if self.schedule.overlap is Overlap.REPLACE and self.waiting and not any(self.open.values()):
            self.open[min(self.open)] = True

    def end(self, slot: datetime, state: str) -> None:
        """The run of the slot has ended, and a server sees it."""
        del self.open[slot]
        if state == "SUCCEEDED":
            self.failures = 0
        elif state == "FAILED":
            self.failures += 1
        limit = self.schedule.max_consecutive_failures
        if limit and self.failures >= limit and self.is_enabled:
            self.is_enabled = False
            self._skip_waiting("JOB_DISABLED")

    def enable(self, now: datetime) -> None:
        """Somebody enables it: what lies in the past is no slot of it."""
        self.is_enabled, self.failures = True, 0
        while self.position < len(self.slots) and self.slots[self.position] <= now:
            self.position += 1

    def _skip_waiting(self, reason: str) -> None:
        while self.waiting:
            self.outcomes[self.waiting.pop()] = reason

    def _fallen_due(self, now: datetime) -> list[datetime]:
        """Slots that are to fire; those that were missed for good are told of here."""
        missed: list[datetime] = []
        fresh: list[datetime] = []
        while self.position < len(self.slots) and self.due(self.position) <= now:
            is_missed = (now - self.due(self.position)).total_seconds() > self.grace_s
            (missed if is_missed else fresh).append(self.slots[self.position])
            self.position += 1
        policy, limit = self.schedule.catch_up, self.schedule.catch_up_limit
        while missed and len(missed) > {CatchUp.NONE: 0, CatchUp.LATEST: 1, CatchUp.ALL: limit}[policy]:
            self.outcomes[missed.pop(0)] = "CATCH_UP"
        return missed + fresh

    def _decide(self, slot: datetime) -> None:
        policy = self.schedule.overlap
        if policy is Overlap.ALLOW or len(self.open) < self.schedule.max_concurrency:
            self.outcomes[slot] = "FIRED"
            self.order.append(slot)
            self.open[slot] = False
        elif policy is Overlap.SKIP:
            self.outcomes[slot] = "OVERLAP"
        else:
            if policy is not Overlap.QUEUE_ALL:
                self._skip_waiting("SUPERSEDED")
            self.outcomes[slot] = "WAITING"
            self.waiting.append(slot)
