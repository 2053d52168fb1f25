"""What must hold of a history whatever has happened, told by the events alone."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from penstock_server.engine.history import check
from penstock_server.model.ids import ROOT_TASK, TaskId
from penstock_server.model.resources import Event, EventSubject
from tests.engine.programs import Node, Program, Scope


def problems_of(events: Sequence[Event], program: Program, limit: int | None) -> list[str]:
    """Everything that is wrong with a finished run of the program, of which `limit` steps may run at a time."""
    reader = _Reader(program, limit)
    for event in events:
        reader.read(event)
    return [*check(events), *reader.problems, *reader.disagreements()]


class _Reader:
    """Replays a history beside the program it is of."""

    def __init__(self, program: Program, limit: int | None) -> None:
        self.program = program
        self.limit = limit
        self.problems: list[str] = []
        self.states: dict[TaskId, str] = {}
        self.live: set[TaskId] = set()

    def read(self, event: Event) -> None:
        """Take in the next event."""
        if event.subject is EventSubject.ATTEMPT and event.task_id is not None:
            self._read_attempt(event)
        elif event.subject is EventSubject.TASK and event.task_id is not None and event.to_state is not None:
            self._read_task(event, event.task_id, event.to_state)

    def disagreements(self) -> list[str]:
        """Holders that have ended otherwise than what they hold."""
        children: defaultdict[str, list[str]] = defaultdict(list)
        for task, state in self.states.items():
            if task != ROOT_TASK:
                children[task.rpartition(".")[0] or ROOT_TASK].append(state)
        wrong = []
        for holder, states in children.items():
            held = self.states[TaskId(holder)]
            if held == "SUCCEEDED" and ("FAILED" in states or "CANCELLED" in states):
                wrong.append(f"{holder} succeeded, and within it {Counter(states)}")
        return wrong

    def _read_attempt(self, event: Event) -> None:
        assert event.task_id is not None
        if event.to_state in ("LAUNCHING", "RUNNING"):
            self.live.add(event.task_id)
        else:
            self.live.discard(event.task_id)
        if self.limit is not None and len(self.live) > self.limit:
            self.problems.append(f"event {event.sequence}: {len(self.live)} steps at a time, {self.limit} may be")

    def _read_task(self, event: Event, task: TaskId, state: str) -> None:
        self.states[task] = state
        node = _node_of(self.program, task)
        if node is None or event.from_state != "PENDING" or state not in ("QUEUED", "RUNNING"):
            return
        around = task.rpartition(".")[0]
        for key in sorted(node.waits_for):
            before = self.states.get(TaskId(f"{around}.{key}" if around else key))
            if before not in (("SUCCEEDED",) if not node.is_exit else _FINAL):
                self.problems.append(f"event {event.sequence}: {task} starts while {key} stands at {before}")


_FINAL = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED")


def _node_of(program: Program, task: str) -> Node | None:
    """The node that a task is of; None for the root and for iterations."""
    if task == ROOT_TASK or task.rpartition(".")[2].isdecimal():
        return None
    scope: Scope | None = program
    node: Node | None = None
    for key in task.split("."):
        if not key.isdecimal():
            assert scope is not None
            node = next(each for each in scope.nodes if each.key == key)
            scope = node.scope
    return node
