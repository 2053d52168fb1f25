"""The plan against the reference: random programs, random outcomes, every order of events, engines that die.

One seed decides everything; a failure names it, and `played(Play(seed))` repeats it.
"""

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_server.engine import dags, loops, reasons, steps
from penstock_server.engine.effects import Adopt, Launch, Stop, WaitForRetry
from penstock_server.engine.history import check
from penstock_server.engine.inputs import CancelRequested, RetryDue, RetryRequested
from penstock_server.engine.state import LiveTask
from penstock_server.launch.base import Phase
from penstock_server.model.errors import PenstockError
from penstock_server.model.ids import ROOT_TASK, AttemptId, TaskId
from penstock_server.model.resources import Task, TaskKind, TaskValues
from penstock_server.model.states import RunState, TaskState
from penstock_server.spec import loops as items
from penstock_server.spec import resolve
from tests.engine.programs import Node, Program, Scope, graph_of, random_program
from tests.engine.reference import Meant, made_by, meaning
from tests.engine.world import World

MOVES_MAX = 20_000
PHASES = {"ok": Phase.SUCCEEDED, "fail": Phase.FAILED, "lost": Phase.LOST}
Move = Callable[[], object]


class Play:
    """A program, how its attempts end, and one order in which things happen."""

    def __init__(self, seed: int, *, crashes: float = 0.0, cancels: float = 0.0, after: Move = bool) -> None:
        """`crashes`, `cancels`: how likely each move is one; `after`: called after each move."""
        self.seed = seed
        self.random = Random(seed)
        self.program: Program = random_program(self.random)
        self.world = World(graph_of(self.program)).begin()
        self.crashes, self.cancels, self.after = crashes, cancels, after
        self.alive: set[AttemptId] = set()
        self.over: set[AttemptId] = set()
        self.stopping: set[AttemptId] = set()
        self.timers: set[TaskId] = set()
        self.all_is_well = False
        self.cancelled_at: int | None = None
        """How many attempts there were when the run was cancelled."""

    def outcome(self, task: str, attempt: int) -> str:
        """How that attempt ends."""
        fate = zlib.crc32(f"{self.seed}/{task}/{attempt}".encode()) % 10
        return "ok" if fate > 2 or self.all_is_well else "lost" if fate == 2 else "fail"

    def play(self) -> "Play":
        """Let things happen until nothing is left to happen."""
        for _ in range(MOVES_MAX):
            self._take_effects()
            moves = self._moves()
            if not moves:
                return self
            if self.random.random() < self.crashes:
                self._crash()
            elif self.cancelled_at is None and self.random.random() < self.cancels:
                self.cancelled_at = len(self.world.launches)
                self.world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
            else:
                self.random.choice(moves)()
            self.after()
        raise AssertionError(f"seed {self.seed}: the run does not come to an end")

    def tasks(self) -> dict[str, Task]:
        """The rows of all tasks but the root."""
        return {str(id): row for id, row in self.world.rows.tasks.items() if id != ROOT_TASK}

    def _take_effects(self) -> None:
        effects, self.world.effects = self.world.effects, []
        for effect in effects:
            if isinstance(effect, Launch | Adopt):
                attempt = AttemptId(self.world.run.uid, effect.task_id, effect.number)
                self.alive |= {attempt} - self.over
            elif isinstance(effect, Stop):
                self.stopping.add(AttemptId(self.world.run.uid, effect.task_id, effect.number))
            elif isinstance(effect, WaitForRetry):
                self.timers.add(effect.task_id)

    def _moves(self) -> list[Move]:
        moves: list[Move] = [partial(self.world.grant, task) for task in sorted(self.world.waiting)]
        moves += [partial(self._end, attempt) for attempt in sorted(self.alive)]
        moves += [partial(self.world.see, attempt.task_id, Phase.STARTED) for attempt in sorted(self.alive)]
        return moves + [partial(self._ring, task) for task in sorted(self.timers)]

    def _end(self, attempt: AttemptId) -> None:
        self.alive.discard(attempt)
        self.over.add(attempt)
        task = str(attempt.task_id)
        stopped = attempt in self.stopping
        phase = Phase.STOPPED if stopped else PHASES[self.outcome(task, attempt.number)]
        outputs = TaskValues({"n": made_by(task)} if phase is Phase.SUCCEEDED else {})
        for _ in range(self.random.choice([1, 1, 2])):
            self.world.see(task, phase, outputs=outputs)

    def _ring(self, task: TaskId) -> None:
        self.timers.discard(task)
        self.world.send(RetryDue(task))

    def _crash(self) -> None:
        """The engine dies; attempts go on, and the next engine has only the rows."""
        self.timers.clear()
        self.world.crash()


def difference(play: Play) -> str | None:
    """Where the run came to something else than the program means; None: nowhere."""
    expected = meaning(play.program, play.outcome)
    found = play.tasks()
    if found.keys() != expected.tasks.keys():
        return f"seed {play.seed}: tasks {sorted(found.keys() ^ expected.tasks.keys())}"
    for id, meant in expected.tasks.items():
        if (seen := _seen(found[id])) != meant:
            return f"seed {play.seed}: {id} is {seen}, reason {found[id].reason}, and should be {meant}"
    if play.world.run_state() != expected.state:
        return f"seed {play.seed}: the run is {play.world.run_state()} and should be {expected.state}"
    return None


def _seen(row: Task) -> Meant:
    ran = row.state in (TaskState.SUCCEEDED, TaskState.FAILED)
    x, status = row.inputs.parameters.get("x"), row.inputs.parameters.get("status")
    told = status["state"] if isinstance(status, dict) else None
    return Meant(
        row.state.value,
        row.attempt_count,
        row.outputs.parameters.get("n"),
        x if ran else None,  # type: ignore[arg-type]  # a number
        told if ran and row.kind is TaskKind.STEP else None,  # type: ignore[arg-type]  # a text
    )


SEEDS = st.integers(0, 2**32)


@settings(max_examples=800, deadline=None)
@given(SEEDS)
def test_every_task_comes_to_what_the_program_means(seed: int) -> None:
    play = Play(seed).play()
    assert difference(play) is None
    assert check(play.world.rows.events) == []


@settings(max_examples=800, deadline=None)
@given(SEEDS)
def test_engines_that_die_change_nothing(seed: int) -> None:
    play = Play(seed, crashes=0.05).play()
    assert difference(play) is None
    assert check(play.world.rows.events) == []


@settings(max_examples=800, deadline=None)
@given(SEEDS)
def test_no_more_iterations_are_under_way_than_a_loop_allows(seed: int) -> None:
    play = Play(seed, crashes=0.05)
    play.after = lambda: check_limits(play)
    play.play()


@settings(max_examples=800, deadline=None)
@given(SEEDS)
def test_after_a_cancel_only_exit_tasks_run_and_those_do(seed: int) -> None:
    play = Play(seed, cancels=0.1, crashes=0.02).play()
    assert check(play.world.rows.events) == []
    assert all(row.state.is_final for row in play.tasks().values())
    if play.cancelled_at is not None and play.world.run_state() is RunState.CANCELLED:
        begun = {str(attempt.task_id) for attempt in play.world.launches[play.cancelled_at :]}
        assert {task for task in begun if not _is_exit(play.program, task)} == set()
        assert {task for task in _sure_exits(play.program) if not play.tasks()[task].attempt_count} == set()


@settings(max_examples=800, deadline=None)
@given(SEEDS)
def test_a_retry_in_better_times_comes_to_what_the_program_means(seed: int) -> None:
    play = Play(seed, crashes=0.02).play()
    before = play.tasks()
    if play.world.run_state() is RunState.FAILED:
        play.all_is_well = True
        play.world.crash()
        play.world.send(RetryRequested())
        play.play()
        expected = meaning(play.program, play.outcome).tasks
        seen = {id: replace(_seen(row), attempts=0) for id, row in play.tasks().items() if id in expected}
        assert seen == {id: replace(meant, attempts=0) for id, meant in expected.items()}
        assert all(row.state.is_final for row in play.tasks().values())
        kept = {node.key for node in play.program.nodes if not node.waits_for and node.scope is None}
        done = {id for id, row in before.items() if id in kept and row.state is TaskState.SUCCEEDED}
        assert [play.tasks()[id].attempt_count for id in done] == [before[id].attempt_count for id in done]


def check_limits(play: Play) -> None:
    """Raise AssertionError when more iterations of a loop are under way than may be."""
    under_way = Counter(
        row.parent_id for row in play.tasks().values() if row.state in (TaskState.QUEUED, TaskState.RUNNING)
    )
    for task in play.world.run.tasks.values():
        iterator = task.spec.iterator if task.spec is not None and task.kind is TaskKind.LOOP else None
        if iterator is not None and iterator.parallelism:
            assert under_way[task.id] <= iterator.parallelism, f"seed {play.seed}: {task.id}"


FAULTS = {
    "a limit off by one": (loops, "_limit", lambda loop: (loop.spec.iterator.parallelism or len(loop.items)) + 1),
    "exit tasks that want success": (LiveTask, "waits_for_success", True),
    "outputs collected backwards": (items, "collected", lambda *_: TaskValues({"n": [3.0, 2.0, 1.0]})),
    "what was skipped taken for failed": (resolve, "UpstreamSkipped", resolve.ResolutionError),
    "losses that count too much": (steps, "LOSSES_MAX", 0),
    "tasks within what did not run forgotten": (dags, "_leave", lambda *_: None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, name, wrong = FAULTS[fault]
    monkeypatch.setattr(holder, name, wrong)
    assert any(_is_noticed(seed) for seed in range(300))


def _is_noticed(seed: int) -> bool:
    play = Play(seed)
    play.after = lambda: check_limits(play)
    try:
        play.play()
        wrong = difference(play) is not None
        play.all_is_well = True
        play.world.crash()
        play.world.send(RetryRequested())
        play.play()
    except (AssertionError, PenstockError):
        return True
    return wrong or not all(row.state.is_final for row in play.tasks().values())


def _node(program: Program, task: str) -> list[Node]:
    """The nodes from the root down to a task; an iteration adds none."""
    nodes: list[Node] = []
    scope: Scope | None = program
    for key in task.split("."):
        if not key.isdecimal():
            assert scope is not None
            nodes.append(next(node for node in scope.nodes if node.key == key))
            scope = nodes[-1].scope
    return nodes


def _is_exit(program: Program, task: str) -> bool:
    return any(node.is_exit for node in _node(program, task))


def _sure_exits(program: Program) -> set[str]:
    """Exit steps of the root that nothing may keep from running."""
    return {node.key for node in program.nodes if node.is_exit and _is_sure(node)}


def _is_sure(node: Node) -> bool:
    is_plain_step = node.scope is None and node.loop is None and node.above is None
    return is_plain_step and (node.has_default or isinstance(node.x, float))
