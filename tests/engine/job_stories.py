"""Two years in the life of a job, decided on by the engine and by a naive calculation side by side.

A seed draws the trigger, the zone, the policies, how long runs take and how they end, and when no server is there.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random

from penstock_server.model.jobs import CatchUp, JobSchedule, Overlap
from tests.engine.decided_job import Decide, DecidedJob, decide, new_job
from tests.engine.naive_jobs import NaiveJob
from tests.engine.naive_slots import NaiveTrigger

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Africa/Cairo",
]
POLICIES = [(catch_up, overlap) for catch_up in CatchUp for overlap in Overlap]
BEGINNINGS = [datetime(2010, 7, 1, tzinfo=UTC), datetime(2017, 8, 15, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)]
"""Apia left out a whole day at the end of 2011; Sao Paulo, and Cairo again and again, changed what they do."""
DAILY = [
    NaiveTrigger("30 2 * * *"),
    NaiveTrigger("@daily"),
    NaiveTrigger("15 1,13 * * *"),
    NaiveTrigger("45 0-2 * * SUN"),
    NaiveTrigger("0 2 1,15 * *"),
    NaiveTrigger("0 3 * * MON-FRI"),
    NaiveTrigger(interval=timedelta(hours=20, minutes=7)),
]
"""Few a day, for years."""
DENSE = [
    NaiveTrigger("*/20 * * * *"),
    NaiveTrigger("0 * * * *"),
    NaiveTrigger(interval=timedelta(minutes=1)),
    NaiveTrigger(interval=timedelta(seconds=1)),
]
"""Many a day, for days or an hour."""
BEYOND = 0.05
"""Such a part of the story is longer than the distance of any two slots."""
YEARS_2 = timedelta(days=731)
DAYS_3 = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Story:
    """What is drawn."""

    trigger: NaiveTrigger
    zone: str
    schedule: JobSchedule
    made: datetime
    end: datetime
    grace_s: float
    run_s: float
    """About so long runs take."""
    failing: float
    """So many of them fail, from 0 to 1."""
    down_s: float
    """About so long no server is there, again and again; 0: never."""

    def slots(self) -> list[datetime]:
        """All slots that the job can have, and some beyond the end of the story: jitter ends before the next one."""
        start, end = self.schedule.start_time, self.schedule.end_time or self.end + BEYOND * (self.end - self.made)
        assert start is not None
        return self.trigger.slots(self.zone, start, end)


def story(random: Random, zone: str, catch_up: CatchUp, overlap: Overlap, *, is_dense: bool = False) -> Story:
    """A story with these policies."""
    trigger = random.choice(DENSE if is_dense else DAILY)
    start = random.choice(BEGINNINGS) + timedelta(minutes=random.randrange(60 * 24 * 30))
    usual_s = 3600.0 if is_dense else 86_400.0
    apart_s = usual_s if trigger.interval is None else trigger.interval.total_seconds()
    end = start + (min(DAYS_3, 2_500 * timedelta(seconds=apart_s)) if is_dense else YEARS_2)
    schedule = JobSchedule(
        interval_s=None if trigger.interval is None else trigger.interval.total_seconds(),
        cron=trigger.cron,
        time_zone=zone,
        start_time=start,
        end_time=start + 0.9 * (end - start) if random.random() < 0.3 else None,
        catch_up=catch_up,
        catch_up_limit=random.choice([1, 3, 100]),
        overlap=overlap,
        max_concurrency=random.randint(1, 3),
        jitter_s=random.choice([0, 0, 90.0, 86_400.0]),
        max_consecutive_failures=random.choice([0, 0, 3]),
    )
    return Story(
        trigger,
        zone,
        schedule,
        made=start + random.choice([0, 0, 0.02]) * (end - start),
        end=end,
        grace_s=random.choice([60.0, 3600.0]),
        run_s=apart_s * random.choice([0.1, 0.5, 1.1]),
        failing=random.choice([0.0, 0.2, 0.6]),
        down_s=min(60 * apart_s, usual_s) * random.choice([0.0, 0.5, 5.0, 40.0]),
    )


class Telling:
    """Plays a story on both, and compares them after each event."""

    def __init__(self, told: Story, random: Random, decide: Decide = decide) -> None:
        self.story, self._random = told, random
        self.slots = told.slots()
        uid = uuid.UUID(int=random.getrandbits(128))
        self.engine = DecidedJob(new_job(uid, told.schedule, told.made), told.grace_s, decide)
        self.naive = NaiveJob(uid, told.schedule, told.grace_s, self.slots)
        if told.schedule.catch_up is CatchUp.NONE:
            self.naive.position = sum(slot < told.made for slot in self.slots)
        self._ends: dict[datetime, tuple[datetime, str]] = {}
        """When the runs of slots end, and how."""
        self._back, self._down = told.made, told.made
        """Servers are there from the one moment to the other."""

    def tell(self) -> None:
        """To the end of the story. Raises AssertionError where the two disagree."""
        for now in self._moments():
            self._end_runs(now)
            if not self._is_served(now):
                continue
            self._look(now)
            if not self.naive.is_enabled and self._random.random() < 0.1:
                self.engine.enable(now)
                self.naive.enable(now)
                self._look(now)
        self._compare_shared()

    def _moments(self) -> Iterator[datetime]:
        """When something happens next: a slot falls due, a run ends, servers are back, somebody looks for no reason."""
        now = self.story.made
        while now < self.story.end:
            yield now
            ahead = [end for end, _ in self._ends.values()]
            position = self.naive.position
            while position < len(self.slots) and self.naive.due(position) <= now:
                position += 1
            if position < len(self.slots):
                ahead.append(self.naive.due(position))
            if self._back > now:
                ahead.append(self._back)
            later = min([moment for moment in ahead if moment > now], default=self.story.end)
            chance = now + self._random.random() * (later - now)
            now = chance if self._random.random() < 0.05 and chance > now else later

    def _is_served(self, now: datetime) -> bool:
        if now >= self._down and self.story.down_s:
            self._back = self._down + timedelta(seconds=self.story.down_s * self._random.random())
            self._down = self._back + timedelta(seconds=8 * self.story.down_s * self._random.random())
        return now >= self._back

    def _look(self, now: datetime) -> None:
        self.engine.look(now)
        self.naive.look(now)
        self._begin_runs(now)
        self._compare(now)

    def _end_runs(self, now: datetime) -> None:
        for slot, (end, state) in sorted(self._ends.items(), key=lambda each: (each[1][0], each[0])):
            if end <= now:
                del self._ends[slot]
                self.engine.end(slot, state)
                self.naive.end(slot, state)

    def _begin_runs(self, now: datetime) -> None:
        for slot, is_cancelling in self.naive.open.items():
            if slot not in self._ends:
                state = "FAILED" if self._random.random() < self.story.failing else "SUCCEEDED"
                self._ends[slot] = (now + timedelta(seconds=1 + self.story.run_s * 2 * self._random.random()), state)
            if is_cancelling and self._ends[slot][1] != "CANCELLED":
                soon = now + timedelta(seconds=60 * self._random.random())
                self._ends[slot] = (min(soon, self._ends[slot][0]), "CANCELLED")

    def _compare(self, now: datetime) -> None:
        engine, naive = self.engine, self.naive
        assert engine.order == naive.order, f"{now}: {engine.order[-3:]} fired, {naive.order[-3:]} expected"
        assert sorted(engine.waiting) == naive.waiting, f"{now}: other slots wait"
        cancelling = {slot for slot, run in engine.open.items() if run.is_cancelling}
        assert cancelling == {slot for slot, asked in naive.open.items() if asked}, f"{now}: other runs end"
        is_enabled, failures = engine.job.state == "ENABLED", engine.job.consecutive_failures
        assert (is_enabled, failures) == (naive.is_enabled, naive.failures), f"{now}: it stands otherwise"

    def _compare_shared(self) -> None:
        told = dict(self.engine.outcomes)
        for first, last in self.engine.shared:
            for slot in self.slots:
                if first <= slot <= last:
                    assert slot not in told, f"{slot} has two entries"
                    told[slot] = "CATCH_UP"
        wrong = {slot for slot in chain(told, self.naive.outcomes) if told.get(slot) != self.naive.outcomes.get(slot)}
        assert not wrong, [(slot, told.get(slot), self.naive.outcomes.get(slot)) for slot in sorted(wrong)[:5]]
