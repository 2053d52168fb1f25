"""What an import has come to, as it goes and in the end."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.cli.output import clean, note, print_table, say
from penstock.kfp_results import Choice, Kind, Outcome, Result

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from penstock.values import Json

EVERY = 100
"""Where there is no terminal, a line tells of so many of a kind."""
_ALL = (Kind.EXPERIMENTS, Kind.PIPELINES, Kind.VERSIONS, Kind.SCHEDULES, Kind.RUNS)


@dataclass
class Summary:
    """Counts, and all that has something to say."""

    counts: Counter[tuple[Kind, Outcome]] = field(default_factory=Counter)
    left_out: list[Result] = field(default_factory=list)
    noted: list[Result] = field(default_factory=list)
    enabled: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """One more."""
        self.counts[result.kind, result.outcome] += 1
        if result.enabled:
            self.enabled.append(result)
        if result.outcome is Outcome.LEFT_OUT:
            self.left_out.append(result)
        elif result.notes:
            self.noted.append(result)

    def seen(self, kind: Kind) -> int:
        """How many of a kind."""
        return sum(self.counts[kind, outcome] for outcome in Outcome)

    def tell(self, choice: Choice) -> None:
        """Print it."""
        kinds = [kind for kind in _ALL if self.seen(kind)]
        made = "WOULD BE MADE" if choice.dry_run else "MADE"
        rows = [[kind, *(str(self.counts[kind, outcome]) for outcome in Outcome)] for kind in kinds]
        print_table(["", made, "ALREADY THERE", "LEFT OUT"], rows)
        if choice.enable_schedules:
            self._tell_enabled("would be enabled" if choice.dry_run else "enabled")
        _tell_each("left out", self.left_out)
        _tell_each("note", self.noted)

    def _tell_enabled(self, label: str) -> None:
        for result in self.enabled:
            say(f"{label}: schedule {clean(result.title)} ({clean(result.id)})")
        if not self.enabled:
            say(f"{label}: no schedule; `penstock jobs list` shows why a job is disabled")

    def to_json(self) -> "dict[str, Json]":
        """The same for programs."""
        return {
            "counts": {
                kind: {outcome.replace(" ", "_"): self.counts[kind, outcome] for outcome in Outcome} for kind in _ALL
            },
            "enabled": [_json(result) for result in self.enabled],
            "left_out": [_json(result) for result in self.left_out],
            "notes": [_json(result) for result in self.noted],
        }


def _tell_each(label: str, results: Iterable[Result]) -> None:
    for result in results:
        reason = f"{result.reason}: " if result.reason else ""
        first, *more = result.notes or ("",)
        say(f"{label}: {result.kind} {clean(result.title)} ({clean(result.id)}): {reason}{clean(first)}")
        for line in more:
            say(f"    {clean(line)}")


def _json(result: Result) -> "dict[str, Json]":
    return {
        "kind": result.kind,
        "id": result.id,
        "title": result.title,
        "name": result.name,
        "reason": result.reason,
        "notes": list(result.notes),
    }


@contextmanager
def progress(summary: Summary) -> "Iterator[Watcher]":
    """Shows how far an import is: a bar for each kind on a terminal, elsewhere a line now and then."""
    if not sys.stderr.isatty():
        yield Watcher(summary)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from penstock.cli.drawing import console_on

    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console_on(err=True)) as bars:
        yield _Bars(summary, bars)


class Watcher:
    """Takes in results, and prints a line now and then."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def hear(self, result: Result) -> None:
        """One more."""
        self._summary.add(result)
        count = self._summary.seen(result.kind)
        if count % EVERY == 0 or count == result.total:
            note(f"{result.kind}: {_of(count, result.total)}")


class _Bars(Watcher):
    def __init__(self, summary: Summary, bars: "Progress") -> None:
        super().__init__(summary)
        self._bars = bars
        self._tasks: dict[Kind, TaskID] = {}

    def hear(self, result: Result) -> None:
        self._summary.add(result)
        if result.kind not in self._tasks:
            self._tasks[result.kind] = self._bars.add_task(result.kind, total=None)
        count = self._summary.seen(result.kind)
        self._bars.update(self._tasks[result.kind], completed=count, total=max(count, result.total))


def _of(count: int, total: int) -> str:
    return f"{count} of {max(count, total)}" if total else str(count)
