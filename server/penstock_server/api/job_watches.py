"""JobService: the watch of a job. It tells how job and slots are, not each step on the way.

What is new is read by sequence: changes of a job are made under its lock, one after the other, so that whoever
has seen number `n` asks for what is above `n` and misses nothing. Notifications only say when to look.
"""

import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from penstock.v1 import job_service_pb2 as pb
from penstock_server.api import job_convert, names
from penstock_server.engine.wakeups import Wakeups
from penstock_server.model.errors import NotFound
from penstock_server.model.jobs import Job, JobSlot
from penstock_server.rpc.call import Call
from penstock_server.rpc.paging import Cursor, Tokens
from penstock_server.store import job_slots, jobs
from penstock_server.store.database import Database

BATCH = 200
"""Slots read at a time."""
_NOTHING = -1
"""Lower than the number of any change."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """How far a watch is."""

    uid: uuid.UUID
    job_sequence: int
    """Of the newest change of the job itself that was told."""
    slot_sequence: int
    """Of the newest change of a slot that was told."""


@dataclass(frozen=True, slots=True)
class JobWatches:
    """Serves the watching rpc of `penstock.v1.JobService`; the schema says what it does."""

    database: Database
    tokens: Tokens
    wakeups: Wakeups

    async def watch_job(self, request: pb.WatchJobRequest, _call: Call) -> AsyncGenerator[pb.WatchJobResponse, None]:
        """The job and its slots, and each change of them, until the job is deleted."""
        scope = names.JOB.parse(request.name)
        async with self.database.connection() as connection:
            job = await jobs.get(connection, *scope)
        question = ("WatchJob", request.name)
        seen = _start(job, self.tokens.read_resume(request.resume_token, *question), request.after_sequence)
        with self.wakeups.of_job(job.uid) as wakeup:
            while True:
                job, slots = await self._news(seen)
                if job.job_sequence > seen.job_sequence:
                    seen = _Seen(seen.uid, job.job_sequence, seen.slot_sequence)
                    yield pb.WatchJobResponse(job=job_convert.job(job), resume_token=self._token(seen, question))
                for slot in slots:
                    seen = _Seen(seen.uid, seen.job_sequence, slot.sequence)
                    told = job_convert.job_slot(slot, *scope)
                    yield pb.WatchJobResponse(slot=told, resume_token=self._token(seen, question))
                if len(slots) < BATCH:
                    await wakeup.wait()

    async def _news(self, seen: _Seen) -> tuple[Job, Sequence[JobSlot]]:
        """The job as it is, and the slots that have changed. Raises NotFound JOB_DELETED."""
        async with self.database.connection() as connection:
            job = await jobs.find_by_uid(connection, seen.uid)
            if job is None:
                raise _deleted()
            return job, await job_slots.changed_after(connection, seen.uid, seen.slot_sequence, BATCH)

    def _token(self, seen: _Seen, question: tuple[str, ...]) -> str:
        return self.tokens.write((str(seen.uid), seen.job_sequence, seen.slot_sequence), *question)


def _start(job: Job, cursor: Cursor | None, after_sequence: int) -> _Seen:
    """Where a watch begins. Raises NotFound JOB_DELETED for a token of an earlier job of that name."""
    if cursor is None:
        return _Seen(job.uid, _NOTHING, after_sequence)
    uid, job_sequence, slot_sequence = cursor
    if uid != str(job.uid):
        raise _deleted()
    return _Seen(job.uid, int(str(job_sequence)), int(str(slot_sequence)))


def _deleted() -> NotFound:
    return NotFound("JOB_DELETED", "the job was deleted; nothing more will be told of it")
