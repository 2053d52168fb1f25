"""What the API asks of backfills: past slots of a job that are to fire after all."""

from dataclasses import replace
from datetime import datetime

from penstock_server.engine import turns
from penstock_server.engine.due_slots import timetable_of
from penstock_server.engine.job_progress import INSTANT
from penstock_server.engine.job_turns import JobTurns
from penstock_server.engine.jobs import check_open
from penstock_server.engine.new_runs import MadeRun
from penstock_server.model.errors import FailedPrecondition, FieldViolation, InvalidArgument
from penstock_server.model.jobs import Backfill, BackfillState, Job
from penstock_server.store import backfills, jobs
from penstock_server.store.backfills import NewBackfill
from penstock_server.store.database import Connection, Database

SLOTS_MAX = 10_000
"""No backfill has more."""
BACKFILL_CANCELLED = "BACKFILL_CANCELLED"


class Backfills:
    """Checks and records what the API asks."""

    def __init__(self, database: Database, turns: JobTurns) -> None:
        self._database = database
        self._turns = turns

    async def create(
        self, namespace: str, job_id: str, new: NewBackfill, *, slot_limit: int, validate_only: bool = False
    ) -> Backfill:
        """The new backfill, or the one that the same request made before; with `validate_only` nothing is made.

        Raises NotFound(JOB_NOT_FOUND), InvalidArgument (BACKFILL_RANGE_INVALID, BACKFILL_TOO_LARGE),
        AlreadyExists (BACKFILL_EXISTS, REQUEST_ID_REUSED), FailedPrecondition(JOB_ARCHIVED).
        """
        try:
            async with self._database.transaction() as connection:
                made, runs = await self._create(connection, namespace, job_id, new, slot_limit)
                if validate_only:
                    raise _NothingMade(made)
        except _NothingMade as answer:
            return answer.backfill
        self._turns.take_up(made.job_uid, runs)
        return made

    async def cancel(self, namespace: str, job_id: str, id: str, *, cancel_runs: bool = False) -> Backfill:
        """Skip what waits of it, and with `cancel_runs` cancel its runs; one that is being cancelled stays so.

        Raises NotFound (JOB_NOT_FOUND, BACKFILL_NOT_FOUND), FailedPrecondition(BACKFILL_FINISHED).
        """
        async with self._database.transaction() as connection:
            job, now = await jobs.lock(connection, namespace, job_id)
            found = await backfills.get(connection, job, id)
            if found.state.is_final and found.state is not BackfillState.CANCELLED:
                name = backfills.resource_name(job, id)
                message = f"{name} is {found.state} already; nothing is left to be cancelled"
                raise FailedPrecondition("BACKFILL_FINISHED", message, metadata={"name": name, "state": found.state})
            await backfills.set_state(connection, found.uid, BackfillState.CANCELLING)
            skipped = await backfills.skip_waiting(
                connection, job, found.uid, reason=BACKFILL_CANCELLED, message="its backfill was cancelled"
            )
            if cancel_runs:
                await backfills.cancel_runs(connection, found.uid, f"cancelled with its backfill {id}")
            runs = await self._turn(connection, job, now, skipped)
            cancelled = await backfills.get(connection, job, id)
        self._turns.take_up(cancelled.job_uid, runs)
        return cancelled

    async def _create(
        self, connection: Connection, namespace: str, job_id: str, new: NewBackfill, slot_limit: int
    ) -> tuple[Backfill, list[MadeRun]]:
        job, now = await jobs.lock(connection, namespace, job_id)
        repeated = await backfills.find_repeat(connection, job, new.request) if new.request is not None else None
        if repeated is not None:
            return repeated, []
        check_open(job)
        _check_range(new, now)
        # What the trigger has made due by now is decided on first, so that the two do not cross.
        runs = [*await self._turns.take_locked(connection, job, now)]
        job = await jobs.get(connection, namespace, job_id)
        slots = slots_of(job, new)
        if len(slots) > slot_limit:
            description = f"has more than {slot_limit} slots; take a shorter range, or a higher slot_limit"
            raise _wrong("BACKFILL_TOO_LARGE", "backfill", description)
        uid = await backfills.insert(connection, job, new)
        await backfills.add_slots(connection, job, uid, slots, reason=turns.BACKLOG, message="its turn comes")
        runs += await self._turn(connection, job, now, len(slots))
        return await backfills.get(connection, job, new.id), runs

    async def _turn(self, connection: Connection, job: Job, now: datetime, changes: int) -> list[MadeRun]:
        """Take a turn of the job after so many numbers of its sequence were given away."""
        job = await jobs.get(connection, job.namespace, job.id)
        return [*await self._turns.take_locked(connection, replace(job, sequence=job.sequence + changes), now)]


def slots_of(job: Job, new: NewBackfill) -> list[datetime]:
    """The slots of the job's trigger within the range, as if it had neither start nor end; the newest that a backfill
    may have, and one more. One whose jitter lies ahead is left to the trigger."""
    timetable = timetable_of(job.schedule)
    ahead = timetable.next_after(job.cursor_time) if job.fires else None
    found: list[datetime] = []
    slot = timetable.previous(new.end_time + INSTANT)
    while slot is not None and slot >= new.start_time and len(found) <= SLOTS_MAX:
        if slot != ahead:
            found.append(slot)
        slot = timetable.previous(slot)
    return found[::-1]


def _check_range(new: NewBackfill, now: datetime) -> None:
    if new.end_time < new.start_time:
        raise _wrong("BACKFILL_RANGE_INVALID", "backfill.end_time", "lies before backfill.start_time")
    if new.end_time > now:
        raise _wrong("BACKFILL_RANGE_INVALID", "backfill.end_time", "lies in the future; a backfill is for the past")


def _wrong(reason: str, field: str, description: str) -> InvalidArgument:
    return InvalidArgument(reason, f"{field} {description}", violations=[FieldViolation(field, description)])


class _NothingMade(Exception):  # an answer that rolls the transaction back
    def __init__(self, backfill: Backfill) -> None:
        super().__init__()
        self.backfill = backfill
