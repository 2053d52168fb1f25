"""Who may run a step: at most so many at a time on this server, in turns between runs."""

from collections import OrderedDict, deque

from penstock_server.model.ids import RunUid, TaskId


class Slots:
    """The slots of a server, the steps that hold them and those that wait, in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[RunUid, set[TaskId]] = {}
        self._held_count = 0
        self._waiting: OrderedDict[RunUid, deque[TaskId]] = OrderedDict()
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

    def want(self, run: RunUid, task: TaskId, now: float) -> None:
        """The step waits for a slot, since `now`."""
        if (run, task) in self._wanted or task in self._held.get(run, ()):
            return
        self._wanted[run, task] = now
        self._waiting.setdefault(run, deque()).append(task)

    def keep(self, run: RunUid, task: TaskId) -> None:
        """The step runs already and holds a slot, whether or not one was free."""
        self._wanted.pop((run, task), None)
        self._hold(run, task)

    def give_back(self, run: RunUid, task: TaskId) -> None:
        """The step needs neither slot nor turn any more."""
        self._wanted.pop((run, task), None)
        tasks = self._held.get(run)
        if tasks is None or task not in tasks:
            return
        tasks.discard(task)
        self._held_count -= 1
        if not tasks:
            del self._held[run]

    def drop(self, run: RunUid) -> None:
        """The run is no longer this server's: its slots are free, its waiting steps forgotten."""
        self._held_count -= len(self._held.pop(run, ()))
        for task in self._waiting.pop(run, ()):
            self._wanted.pop((run, task), None)

    def grant(self) -> tuple[RunUid, TaskId] | None:
        """Give a free slot to the next step in turn; None when there is no slot or nobody waits."""
        while self._held_count < self._limit and self._waiting:
            run, queue = next(iter(self._waiting.items()))
            task = queue.popleft()
            if queue:
                self._waiting.move_to_end(run)
            else:
                del self._waiting[run]
            if self._wanted.pop((run, task), None) is not None:
                self._hold(run, task)
                return run, task
        return None

    def _hold(self, run: RunUid, task: TaskId) -> None:
        tasks = self._held.setdefault(run, set())
        if task not in tasks:
            tasks.add(task)
            self._held_count += 1
