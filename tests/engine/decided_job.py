"""A job in memory that goes through turns of `turns.decide`, and holds each turn to what must always be so."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock_server.engine import turns
from penstock_server.engine.job_progress import beginning, forward, progress
from penstock_server.model.ids import RunUid
from penstock_server.model.job_turns import EndedRun, OpenRun, Situation, SlotDecision, Turn, WaitingSlot
from penstock_server.model.jobs import Job, JobRun, JobSchedule, JobState, Overlap, SlotState
from penstock_server.model.states import RunState

Decide = Callable[[Situation, float], Turn]


def decide(situation: Situation, grace_s: float) -> Turn:
    """The engine's decision."""
    return turns.decide(situation, grace_s=grace_s)


def new_job(uid: uuid.UUID, schedule: JobSchedule, now: datetime) -> Job:
    """A job as it is made at this moment."""
    job = Job(
        uid=uid,
        namespace="default",
        id="job",
        display_name="job",
        description="",
        labels={},
        run=JobRun("default", spec_digest="sha256:0"),
        schedule=replace(schedule, start_time=schedule.start_time or now),
        state=JobState.ENABLED,
        reason="",
        message="",
        consecutive_failures=0,
        cursor_time=now,
        next_slot_time=None,
        last_slot_time=None,
        last_run_id=None,
        fired_count=0,
        sequence=1,
        job_sequence=1,
        active_run_count=0,
        waiting_slot_count=0,
        revision=1,
        create_time=now,
        update_time=now,
        archive_time=None,
    )
    return replace(job, cursor_time=beginning(job, now))


@dataclass
class DecidedJob:
    """The rows of one job."""

    job: Job
    grace_s: float
    decide: Decide = decide
    attention_time: datetime | None = None
    outcomes: dict[datetime, str] = field(default_factory=dict)
    """FIRED, WAITING, or the reason why a slot was skipped."""
    shared: list[tuple[datetime, datetime]] = field(default_factory=list)
    """First and last of the slots that share an entry."""
    waiting: dict[datetime, WaitingSlot] = field(default_factory=dict)
    open: dict[datetime, OpenRun] = field(default_factory=dict)
    """Runs that are not finished, by their slots."""
    ended: list[EndedRun] = field(default_factory=list)
    """Unseen."""
    order: list[datetime] = field(default_factory=list)
    """Slots that fired, in the order of their firing."""

    def __post_init__(self) -> None:
        self.attention_time = progress(self.job, self.job.create_time).attention_time

    def look(self, now: datetime) -> None:
        """A server is there at this moment: take turns while the job asks for one."""
        for _ in range(1_000):
            if not self.ended and (self.attention_time is None or self.attention_time > now):
                return
            self._turn(now)
        raise AssertionError(f"turns without end at {now}")

    def end(self, slot: datetime, state: str) -> None:
        """The run of the slot has ended."""
        run = self.open.pop(slot)
        self.ended.append(EndedRun(run.id, RunState(state), "", None))

    def enable(self, now: datetime) -> None:
        """Somebody enables it."""
        job = replace(self.job, state=JobState.ENABLED, consecutive_failures=0, cursor_time=forward(self.job, now))
        self.job, self.attention_time = job, progress(job, now).attention_time

    def _turn(self, now: datetime) -> None:
        self.job = replace(self.job, active_run_count=len(self.open), waiting_slot_count=len(self.waiting))
        waiting = [self.waiting[slot] for slot in sorted(self.waiting)]
        open_runs = [self.open[slot] for slot in sorted(self.open)]
        ended, self.ended = self.ended, []
        turn = self.decide(Situation(self.job, now, waiting, open_runs, ended), self.grace_s)
        assert turn.cursor_time >= self.job.cursor_time, "the cursor went back"
        for decision in turn.slots:
            self._write(decision)
        for run in turn.cancel:
            (slot,) = (slot for slot, each in self.open.items() if each.uid == run.uid)
            self.open[slot] = replace(run, is_cancelling=True)
        standing = turn.standing
        self.job = replace(
            self.job,
            state=standing.state,
            reason=standing.reason,
            consecutive_failures=standing.consecutive_failures,
            cursor_time=turn.cursor_time,
            next_slot_time=turn.next_slot_time,
        )
        self.attention_time = turn.attention_time

    def _write(self, decision: SlotDecision) -> None:
        slot = decision.slot_time
        if decision.last_slot_time is not None:
            assert decision.state is SlotState.SKIPPED
            self.shared.append((slot, decision.last_slot_time))
            return
        assert decision.is_new == (slot not in self.outcomes), f"{slot} is decided on twice"
        if not decision.is_new:
            del self.waiting[slot]
        self.outcomes[slot] = decision.reason
        if decision.state is SlotState.WAITING:
            self.outcomes[slot] = "WAITING"
            self.waiting[slot] = WaitingSlot(slot, decision.kind, decision.due_time, decision.reason)
        elif decision.state is SlotState.FIRED:
            self._fire(slot)

    def _fire(self, slot: datetime) -> None:
        self.outcomes[slot] = "FIRED"
        self.order.append(slot)
        self.open[slot] = OpenRun(RunUid(uuid.uuid4()), f"job-{len(self.order)}", None, False)
        schedule = self.job.schedule
        is_bounded = schedule.overlap is not Overlap.ALLOW
        assert not is_bounded or len(self.open) <= schedule.max_concurrency, f"too many runs at {slot}"
