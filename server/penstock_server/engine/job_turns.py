"""Takes turns of jobs: one transaction each, in which slots make their runs."""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock_server.engine import turns
from penstock_server.engine.announcements import Announcements
from penstock_server.engine.job_runs import renamed, run_of_slot
from penstock_server.engine.new_runs import MadeRun, NewRuns
from penstock_server.engine.run_requests import NewRunRequest
from penstock_server.model.errors import AlreadyExists, PenstockError, Unavailable
from penstock_server.model.job_turns import FiredSlot, SlotDecision, Turn
from penstock_server.model.jobs import PIPELINE_DELETED, PIPELINE_VERSION_DELETED, Job, SlotState
from penstock_server.store import job_turns
from penstock_server.store.database import Connection, Database

RUN_REFUSED = "RUN_REFUSED"
_GONE = {"PIPELINE_NOT_FOUND": PIPELINE_DELETED, "PIPELINE_VERSION_NOT_FOUND": PIPELINE_VERSION_DELETED}
"""Why a run is refused, where no later one can be made either, and what the job says of that."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """The bounds of turns."""

    grace_s: float = 60.0
    """A slot that no server has taken up so long after it fell due was missed."""
    slots_kept: int = 10_000
    """So many slots of a job stay in its record, and all that wait."""


@dataclass(slots=True)
class _Making:
    """What has become of the slots that were to fire."""

    decisions: list[SlotDecision] = field(default_factory=list)
    fired: dict[datetime, FiredSlot] = field(default_factory=dict)
    made: list[MadeRun] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why runs could not be made, those of backfills aside."""
    gone: tuple[str, str] | None = None
    """Reason and message where there is nothing to make runs of."""


class JobTurns:
    """Takes turns."""

    def __init__(self, database: Database, new_runs: NewRuns, settings: TurnSettings) -> None:
        self._database = database
        self._new_runs = new_runs
        self._settings = settings
        self._announcements = Announcements(database, job_turns.announce)

    async def take(self, uid: uuid.UUID) -> bool:
        """Take the turn of a job; False when another server has it, or the job is gone. Raises Unavailable."""
        async with self._database.transaction() as connection:
            now = await job_turns.lock(connection, uid)
            if now is None:
                return False
            made = await self.take_locked(connection, await job_turns.job_of(connection, uid), now)
        self.take_up(uid, made)
        return True

    async def take_locked(
        self, connection: Connection, job: Job, now: datetime, triggered: turns.Candidate | None = None
    ) -> Sequence[MadeRun]:
        """Take the turn of a job that is locked in the caller's transaction, with a slot made by hand.

        Returns the runs that were made, for `take_up` once that is committed.
        """
        situation = await job_turns.read(connection, job, now)
        turn = turns.decide(situation, grace_s=self._settings.grace_s, triggered=triggered)
        making = _Making()
        for decision in turn.slots:
            await self._make(connection, job, now, decision, making)
        turn = _with_refusals(job, turn, making, now)
        kept, has_backfills = self._settings.slots_kept, bool(situation.backfills)
        await job_turns.write(connection, job, turn, making.fired, kept=kept, has_backfills=has_backfills)
        if turn.standing.reason == turns.TOO_MANY_FAILURES != job.reason:
            _log.warning("job disabled", extra={"job": f"{job.namespace}/{job.id}", "why": turn.standing.message})
        return making.made

    def take_up(self, uid: uuid.UUID, made: Sequence[MadeRun]) -> None:
        """The turn of the job is committed: tell of it, and take its runs up at once where this server's engine has
        offered to."""
        self._announcements.tell(uid)
        for run in made:
            self._new_runs.hand_on(run)

    async def _make(
        self, connection: Connection, job: Job, now: datetime, decision: SlotDecision, making: _Making
    ) -> None:
        if decision.state is not SlotState.FIRED:
            making.decisions.append(decision)
            return
        index = job.fired_count + len(making.fired) + 1
        request = run_of_slot(job, decision.slot_time, index, now, decision.backfill_uid)
        try:
            made = await self._made(connection, request)
        except Unavailable:
            raise
        except PenstockError as error:
            # A slot whose run cannot be made is told of where its user looks for it; the job goes on.
            message = f"{error.reason}: {error.message}"
            making.decisions.append(replace(decision, state=SlotState.SKIPPED, reason=RUN_REFUSED, message=message))
            if decision.backfill_uid is None:
                making.refused.append(message)
            if error.reason in _GONE:
                making.gone = (_GONE[error.reason], error.message)
            return
        making.decisions.append(decision)
        making.made.append(made)
        making.fired[decision.slot_time] = FiredSlot(made.run.uid, made.run.id, index)

    async def _made(self, connection: Connection, request: NewRunRequest) -> MadeRun:
        try:
            return await self._new_runs.make(connection, request)
        except AlreadyExists:
            return await self._new_runs.make(connection, renamed(request))


def _with_refusals(job: Job, turn: Turn, making: _Making, now: datetime) -> Turn:
    """The turn as it came out: runs that were refused count as failed, and others may have their room."""
    if not making.refused:
        return replace(turn, slots=making.decisions)
    standing = turn.standing
    if making.gone is not None:
        # Its deletion disables a job, but for one that was made or changed in that very moment.
        standing = turns.without_version(standing, *making.gone)
    standing = turns.after_failures(job, standing, len(making.refused), making.refused[-1])
    return replace(turn, slots=making.decisions, standing=standing, attention_time=now)
