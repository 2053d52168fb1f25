"""Who may run a step: at most so many at a time on this server and in each run, in turns between runs.

A free slot goes to the run of the highest priority; among equals to the one that holds the fewest slots, and among
those to the one whose last turn is longest ago.
"""

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from penstock_server.model.changes import RunLimits
from penstock_server.model.ids import RunUid, TaskId


@dataclass(slots=True, eq=False)
class _Line:
    """The steps of one run that hold slots, and those that wait for one."""

    limits: RunLimits
    turn: int
    """Grows with each turn of any run: when this one had its last, or joined."""
    held: set[TaskId] = field(default_factory=set)
    waiting: deque[TaskId] = field(default_factory=deque)
    """In order; those that wait no more are passed over."""
    offers: int = 0
    """How often it has been entered into the order of turns; only the last entry counts."""

    @property
    def may_take(self) -> bool:
        most = self.limits.max_parallel_tasks
        return bool(self.waiting) and (most is None or len(self.held) < most)


class Slots:
    """The slots of a server, the steps that hold them and those that wait, in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held_count = 0
        self._lines: dict[RunUid, _Line] = {}
        self._order: list[tuple[int, int, int, RunUid, int]] = []
        """A heap: priority (negative), slots held, last turn, run, number of the offer."""
        self._turns = count()
        self._wanted: dict[tuple[RunUid, TaskId], float] = {}

    @property
    def limit(self) -> int:
        """How many slots there are."""
        return self._limit

    @property
    def held(self) -> int:
        """How many slots are taken; above the limit when attempts from before had to be kept."""
        return self._held_count

    @property
    def waiting(self) -> int:
        """How many steps wait."""
        return len(self._wanted)

    @property
    def waiting_since(self) -> float | None:
        """When the step that has been waiting longest began to; None when none waits."""
        return next(iter(self._wanted.values()), None)

    def set_limits(self, run: RunUid, limits: RunLimits) -> None:
        """The run has its turns by these limits from now on; without any, by the default ones."""
        line = self._line(run)
        line.limits = limits
        self._offer(run, line)

    def want(self, run: RunUid, task: TaskId, now: float) -> None:
        """The step waits for a slot, since `now`."""
        line = self._line(run)
        if (run, task) in self._wanted or task in line.held:
            return
        self._wanted[run, task] = now
        line.waiting.append(task)
        if len(line.waiting) == 1:
            self._offer(run, line)

    def keep(self, run: RunUid, task: TaskId) -> None:
        """The step runs already and holds a slot, whether or not one was free."""
        self._wanted.pop((run, task), None)
        line = self._line(run)
        if task not in line.held:
            line.held.add(task)
            self._held_count += 1
            self._offer(run, line)

    def give_back(self, run: RunUid, task: TaskId) -> None:
        """The step needs neither slot nor turn any more."""
        self._wanted.pop((run, task), None)
        line = self._lines.get(run)
        if line is not None and task in line.held:
            line.held.discard(task)
            self._held_count -= 1
            self._offer(run, line)

    def drop(self, run: RunUid) -> None:
        """The run is no longer this server's: its slots are free, its waiting steps and its limits forgotten."""
        line = self._lines.pop(run, None)
        if line is not None:
            self._held_count -= len(line.held)
            for task in line.waiting:
                self._wanted.pop((run, task), None)

    def grant(self) -> tuple[RunUid, TaskId] | None:
        """Give a free slot to the next step in turn; None when there is no slot or nobody may have one."""
        while self._held_count < self._limit and self._order:
            *_, run, offer = heappop(self._order)
            line = self._lines.get(run)
            if line is None or line.offers != offer:
                continue
            task = self._next(run, line)
            if task is not None:
                line.held.add(task)
                line.turn = next(self._turns)
                self._held_count += 1
            self._offer(run, line)
            if task is not None:
                return run, task
        return None

    def _next(self, run: RunUid, line: _Line) -> TaskId | None:
        while line.may_take:
            task = line.waiting.popleft()
            if self._wanted.pop((run, task), None) is not None:
                return task
        return None

    def _line(self, run: RunUid) -> _Line:
        line = self._lines.get(run)
        if line is None:
            line = self._lines[run] = _Line(RunLimits(), next(self._turns))
        return line

    def _offer(self, run: RunUid, line: _Line) -> None:
        """Enter the run into the order at its present place; what was entered before counts no more."""
        line.offers += 1
        if line.may_take:
            heappush(self._order, (-line.limits.priority, len(line.held), line.turn, run, line.offers))
