"""The events of a run as plain lines, for logs, pipes and terminals that cannot draw."""

from penstock.cli.output import clean, clock_text, first_line
from penstock.names import last_segment
from penstock.v1.event_pb2 import Event
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Attempt, Task

_SILENT_TASK_MOVES = frozenset({"PENDING", "QUEUED"})
"""Where a task goes to in the ordinary course of things: not told when it has only just been made."""
_ATTEMPT_FAILURES = frozenset({"FAILED", "LOST"})


class EventLines:
    """Makes lines of events. It remembers which notices it has told, since every step may have
    the same."""

    def __init__(self) -> None:
        self._noticed: set[tuple[str, str]] = set()

    def line(self, event: Event) -> str | None:
        """The line for an event; None for one that says nothing new to people."""
        what = self._what(event)
        if what is None:
            return None
        subject = last_segment(event.task) or last_segment(event.run)
        reason = ": ".join(part for part in (event.reason, first_line(event.message)) if part)
        return f"{clock_text(event.time)}  {what:<10}  {clean(subject)}{'  ' if reason else ''}{reason}"

    def _what(self, event: Event) -> str | None:
        match event.WhichOneof("transition"):
            case "run_transition":
                return Run.State.Name(event.run_transition.to_state).removeprefix("STATE_")
            case "task_transition":
                return _task_move(event)
            case "attempt_transition":
                return _attempt_move(event)
            case _:
                return self._notice(event)

    def _notice(self, event: Event) -> str | None:
        told = (event.reason, event.message)
        if event.task and told in self._noticed:
            return None
        self._noticed.add(told)
        return "note"


def _task_move(event: Event) -> str | None:
    move = event.task_transition
    to = Task.State.Name(move.to_state).removeprefix("STATE_")
    is_beginning = move.from_state in (Task.STATE_UNSPECIFIED, Task.STATE_PENDING)
    if last_segment(event.task) == "root" or (to in _SILENT_TASK_MOVES and is_beginning):
        return None
    return to


def _attempt_move(event: Event) -> str | None:
    """Only an attempt that ended badly is told: the moves of its task say the rest."""
    to = Attempt.State.Name(event.attempt_transition.to_state).removeprefix("STATE_")
    return f"attempt {event.attempt} {to}" if to in _ATTEMPT_FAILURES else None
