"""The tree of a run on a terminal: symbols, colours, times and reasons, drawn by rich."""

import sys
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions
from rich.text import Text

from penstock.cli.output import STYLES, clean, elapsed_text, first_line
from penstock.cli.tree import RunTree, state_name, task_id
from penstock.names import last_segment
from penstock.v1.task_pb2 import Task

_SYMBOLS = {
    "PENDING": "○",
    "QUEUED": "◔",
    "RUNNING": "●",
    "CANCELLING": "◌",
    "SUCCEEDED": "✔",
    "FAILED": "✖",
    "SKIPPED": "↷",
    "CANCELLED": "⊘",
}
_PLAIN_SYMBOLS = {
    "PENDING": ".",
    "QUEUED": ":",
    "RUNNING": ">",
    "CANCELLING": "<",
    "SUCCEEDED": "+",
    "FAILED": "x",
    "SKIPPED": "-",
    "CANCELLED": "!",
}
_PLAIN_LINES = str.maketrans({"│": "|", "├": "|", "└": "`", "─": "-"})
_QUIET = frozenset({"SUCCEEDED", "RUNNING"})
"""States that need no reason beside them."""
_STARTED = "STARTED"
"""Why a step runs that waits for nothing; another reason tells what its attempt waits for."""
LABEL_WIDTH_MAX = 48
WIDTH_ELSEWHERE = 240
ROWS_MAX = 200
"""Of a whole tree; `penstock runs tasks` lists the rest."""


class Drawing:
    """A tree as rich shows it; every refresh asks for it anew, so that times go on."""

    def __init__(self, tree: RunTree, *, is_whole: bool = False) -> None:
        self._tree = tree
        self._is_whole = is_whole
        """Draw all tasks up to a bound, even if the terminal has to scroll."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        height = options.height or options.max_height
        rows, hidden = self._tree.rows(ROWS_MAX if self._is_whole else max(height - 3, 1))
        is_plain = not console.encoding.lower().startswith("utf")
        labels = [f"{row.branch}{_symbol(row.task, is_plain)} {_label(row.task)}" for row in rows]
        width = min(max(map(len, labels), default=0), LABEL_WIDTH_MAX)
        yield self._heading(is_plain, console)
        for row, label in zip(rows, labels, strict=True):
            label = label.translate(_PLAIN_LINES) if is_plain else label
            yield _line(label.ljust(width), row.task, console)
        if hidden:
            yield Text(f"   and {hidden} more", style="dim")

    def _heading(self, is_plain: bool, console: Console) -> Text:
        run = self._tree.run
        state = state_name(run)
        symbol = (_PLAIN_SYMBOLS if is_plain else _SYMBOLS).get(state, "?")
        heading = _row(console)
        style = STYLES.get(state, "")
        heading.append(f"{symbol} ", style=style)
        heading.append(f"{last_segment(run.name)}  ", style="bold")
        heading.append(f"{state}  ", style=style)
        ended, known = self._tree.progress()
        heading.append(f"{elapsed_text(run.start_time, run.end_time)}  {ended} of {known} tasks", style="dim")
        if state not in _QUIET and run.message:
            heading.append(f"  {first_line(run.message)}")
        return heading


def console_on(*, err: bool = False) -> Console:
    """Where to draw. What is no terminal has no width to keep to."""
    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, highlight=False, width=None if stream.isatty() else WIDTH_ELSEWHERE)


def draw(console: Console, tree: RunTree) -> None:
    """Print the whole tree as it stands, on what is no terminal with every word."""
    console.print(Drawing(tree, is_whole=True), crop=console.is_terminal)


def _row(console: Console) -> Text:
    """An empty line, which is cut on a terminal that is too narrow, and nowhere else."""
    return Text(no_wrap=True, overflow="ellipsis" if console.is_terminal else "ignore")


def _line(label: str, task: Task, console: Console) -> Text:
    state = state_name(task)
    line = _row(console)
    line.append(label, style=STYLES.get(state, "dim"))
    line.append(f"  {elapsed_text(task.start_time, task.end_time):>7}", style="dim")
    line.append(f"  {_detail(task, state)}", style="" if state == "FAILED" else "dim")
    line.rstrip()
    return line


def _detail(task: Task, state: str) -> str:
    """What is worth a word: the reason, the number of the attempt, whose results were reused."""
    parts = []
    if task.cached_from:
        parts.append("cached")
    if task.attempt_count > 1:
        parts.append(f"attempt {task.attempt_count}")
    if state not in _QUIET:
        parts.append(first_line(task.message) or task.reason)
    elif state == "RUNNING" and task.attempt_count and task.reason != _STARTED:
        parts.append(": ".join(part for part in (task.reason, first_line(task.message)) if part))
    return ", ".join(part for part in parts if part)


def _label(task: Task) -> str:
    name = clean(task.display_name)
    key = clean(task.key or task_id(task))
    return f"{key} ({name})" if name and name != key else key


def _symbol(task: Task, is_plain: bool) -> str:
    return (_PLAIN_SYMBOLS if is_plain else _SYMBOLS).get(state_name(task), "?")
