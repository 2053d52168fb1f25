"""What a turn of a job comes to: which slots fire, wait or are skipped, and why. Pure: state in, decisions out.

failures of runs that ended ──► slots that are due ──► overlap policy ──► backfills ──► when to look again
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from penstock_server.engine.due_slots import due_slots, due_time, timetable_of
from penstock_server.model.job_turns import EndedRun, OpenRun, Situation, SlotDecision, Standing, Turn
from penstock_server.model.jobs import Job, JobState, Overlap, SlotKind, SlotState
from penstock_server.model.states import RunState

FIRED_MAX = 50
"""So many slots fire in a turn; those beyond wait for the next one, which follows at once."""
LOOK_AGAIN_S = 30.0
"""A job with slots that wait is looked at so often, whatever wakes it before."""
MESSAGE_MAX = 300
"""So much of what a run says of its failure is told of its job, at most its first line."""
DISABLED_BY_USER = "DISABLED_BY_USER"
TOO_MANY_FAILURES = "TOO_MANY_FAILURES"
JOB_ARCHIVED = "JOB_ARCHIVED"
JOB_DISABLED = "JOB_DISABLED"
OVERLAP = "OVERLAP"
SUPERSEDED = "SUPERSEDED"
CONCURRENCY = "CONCURRENCY"
BACKLOG = "BACKLOG"
_MESSAGES = {
    JOB_ARCHIVED: "the job is archived",
    JOB_DISABLED: "the job was disabled while it waited",
    SUPERSEDED: "a newer slot waits in its place",
    BACKLOG: "it fires in a moment",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A slot that is to fire as soon as it may."""

    slot_time: datetime
    kind: SlotKind
    due_time: datetime
    waits_for: str | None = None
    """The reason it waits with already; None: it is new."""
    backfill_uid: UUID | None = None
    request_id: UUID | None = None


def decide(situation: Situation, *, grace_s: float, triggered: Candidate | None = None) -> Turn:
    """The turn of a job; `triggered` is a slot that somebody makes by hand."""
    deciding = _Deciding(situation, grace_s)
    deciding.run(triggered)
    return deciding.turn()


def after_failures(job: Job, standing: Standing, failures: int, message: str) -> Standing:
    """How a job stands after so many failures more, the last of them for the reason in `message`."""
    count = standing.consecutive_failures + failures
    limit = job.schedule.max_consecutive_failures
    if not limit or count < limit or standing.state is JobState.DISABLED:
        return Standing(standing.state, standing.reason, standing.message, count)
    told = f"{count} runs in a row have failed, the last one: {message}"
    return Standing(JobState.DISABLED, TOO_MANY_FAILURES, told, count)


def without_version(standing: Standing, reason: str, message: str) -> Standing:
    """How a job stands that has nothing to run: its pipeline or the version is gone, which `reason` says."""
    if standing.state is JobState.DISABLED:
        return standing
    return Standing(JobState.DISABLED, reason, message, standing.consecutive_failures)


def standing_of(job: Job) -> Standing:
    """How a job stands."""
    return Standing(job.state, job.reason, job.message, job.consecutive_failures)


def seen(job: Job, ended: Sequence[EndedRun]) -> Standing:
    """How a job stands once it knows of the runs that have ended."""
    standing = standing_of(job)
    for run in ended:
        if run.backfill_uid is not None or run.state is RunState.CANCELLED:
            continue
        if run.state is RunState.SUCCEEDED:
            standing = Standing(standing.state, standing.reason, standing.message, 0)
        else:
            standing = after_failures(job, standing, 1, f"{run.id}: {_shortened(run.message)}")
    return standing


def _shortened(message: str) -> str:
    first, _, more = message.partition("\n")
    return f"{first[:MESSAGE_MAX]} ..." if more or len(first) > MESSAGE_MAX else first


@dataclass(slots=True)
class _Deciding:
    situation: Situation
    grace_s: float
    slots: list[SlotDecision] = field(default_factory=list)
    cancel: list[OpenRun] = field(default_factory=list)
    waits: bool = False
    """Something waits for a run to finish."""
    is_backlogged: bool = False
    """Something is to fire at once, in another turn."""
    standing: Standing = field(init=False)
    cursor_time: datetime = field(init=False)
    room: int | None = field(init=False)
    """So many runs may still start; None: any number."""
    fires_left: int = FIRED_MAX

    def __post_init__(self) -> None:
        job = self.situation.job
        self.standing = seen(job, self.situation.ended)
        self.cursor_time = job.cursor_time
        is_bounded = job.schedule.overlap is not Overlap.ALLOW
        self.room = max(0, job.schedule.max_concurrency - job.active_run_count) if is_bounded else None

    @property
    def fires(self) -> bool:
        return self.standing.state is JobState.ENABLED and self.situation.job.archive_time is None

    def run(self, triggered: Candidate | None) -> None:
        waiting = [Candidate(w.slot_time, w.kind, w.due_time, w.reason) for w in self.situation.waiting]
        if self.situation.job.archive_time is not None:
            self._skip_archived(waiting)
            return
        due = self._due() if self.fires else []
        if not self.fires:
            self._skip([slot for slot in waiting if slot.kind is SlotKind.SCHEDULED], JOB_DISABLED)
            waiting = [slot for slot in waiting if slot.kind is not SlotKind.SCHEDULED]
        self._admit([*waiting, *due, *([triggered] if triggered is not None else [])])
        for backfill in self.situation.backfills:
            own_room = backfill.max_concurrency - backfill.active_count
            self._backfill(own_room, [_of_backfill(slot, backfill.uid) for slot in backfill.waiting])

    def turn(self) -> Turn:
        job, now = self.situation.job, self.situation.now
        next_slot_time, times = None, []
        if self.fires:
            timetable = timetable_of(job.schedule)
            next_slot_time = timetable.next_after(self.cursor_time)
            if next_slot_time is not None:
                times.append(due_time(job, timetable, next_slot_time))
        if self.is_backlogged:
            times.append(now)
        if self.waits:
            times.append(now + timedelta(seconds=LOOK_AGAIN_S))
        attention_time = min(times, default=None)
        return Turn(self.slots, self.cancel, self.standing, self.cursor_time, next_slot_time, attention_time)

    def _due(self) -> list[Candidate]:
        job = self.situation.job
        due = due_slots(job, timetable_of(job.schedule), self.situation.now, self.grace_s)
        self.slots += due.skipped
        self.cursor_time = due.cursor_time
        return [Candidate(slot, SlotKind.SCHEDULED, when) for slot, when in due.to_fire]

    def _admit(self, queue: list[Candidate]) -> None:
        """Fire what there is room for; the overlap policy decides on the rest."""
        edge = len(queue) if self.room is None else min(self.room, len(queue))
        self._fire(queue[:edge])
        beyond = queue[edge:]
        if not beyond:
            return
        policy = self.situation.job.schedule.overlap
        if policy is Overlap.SKIP:
            self._skip(beyond, OVERLAP, self._full())
            return
        kept = beyond if policy is Overlap.QUEUE_ALL else beyond[-1:]
        self._skip(beyond[: len(beyond) - len(kept)], SUPERSEDED)
        self._wait(kept, CONCURRENCY, f"{self._full()}; it waits for one to finish")
        if policy is Overlap.REPLACE:
            self._make_room()

    def _make_room(self) -> None:
        """Cancel the oldest run, unless one is on its way out already. Those made here can be so in the next turn."""
        runs = self.situation.open_runs
        if any(run.is_cancelling for run in runs):
            return
        self.cancel += [run for run in runs if run.backfill_uid is None][:1]
        has_fired = any(slot.state is SlotState.FIRED for slot in self.slots)
        self.is_backlogged = self.is_backlogged or (has_fired and not self.cancel)

    def _backfill(self, own_room: int, waiting: list[Candidate]) -> None:
        room = max(0, own_room if self.room is None else min(own_room, self.room))
        self._fire(waiting[:room])
        self.waits = self.waits or len(waiting) > room

    def _fire(self, slots: list[Candidate]) -> None:
        at_once, later = slots[: self.fires_left], slots[self.fires_left :]
        self.slots += [_decision(slot, SlotState.FIRED, "", "") for slot in at_once]
        self.fires_left -= len(at_once)
        if self.room is not None:
            self.room -= len(slots)
        self._wait(later, BACKLOG, _MESSAGES[BACKLOG])
        self.is_backlogged = self.is_backlogged or bool(later)

    def _wait(self, slots: list[Candidate], reason: str, message: str) -> None:
        self.slots += [
            _decision(slot, SlotState.WAITING, reason, message)
            for slot in slots
            if slot.waits_for != reason and slot.backfill_uid is None
        ]
        self.waits = self.waits or bool(slots)

    def _skip(self, slots: list[Candidate], reason: str, message: str = "") -> None:
        message = message or _MESSAGES[reason]
        self.slots += [_decision(slot, SlotState.SKIPPED, reason, message) for slot in slots]

    def _skip_archived(self, waiting: list[Candidate]) -> None:
        self._skip(waiting, JOB_ARCHIVED)
        for backfill in self.situation.backfills:
            self._skip([_of_backfill(slot, backfill.uid) for slot in backfill.waiting], JOB_ARCHIVED)
        self.is_backlogged = any(backfill.waiting for backfill in self.situation.backfills)

    def _full(self) -> str:
        count = self.situation.job.schedule.max_concurrency
        return f"{count} run{'s' * (count > 1)} of the job had not finished, which is as many as may be at a time"


def _of_backfill(slot: datetime, uid: UUID) -> Candidate:
    return Candidate(slot, SlotKind.BACKFILL, slot, BACKLOG, uid)


def _decision(slot: Candidate, state: SlotState, reason: str, message: str) -> SlotDecision:
    return SlotDecision(
        slot.slot_time,
        slot.kind,
        slot.due_time,
        state,
        reason,
        message,
        backfill_uid=slot.backfill_uid,
        is_new=slot.waits_for is None,
        request_id=slot.request_id,
    )
