"""What commands print: resources as JSON or tables on stdout, everything else on stderr."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp


class OutputFormat(StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[
    OutputFormat,
    typer.Option("--output", "-o", help="json: the resource as proto JSON, and nothing else on stdout."),
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")]
FilterOption = Annotated[
    str,
    typer.Option("--filter", help="Show only what matches (AIP-160), such as 'labels.team = \"vision\"'."),
]
OrderOption = Annotated[str, typer.Option("--order-by", help="Sort by these fields, such as 'create_time desc'.")]

STYLES = {
    "SUCCEEDED": "green",
    "FAILED": "red",
    "RUNNING": "blue",
    "CANCELLING": "yellow",
    "CANCELLED": "yellow",
    "LOST": "red",
    "ENABLED": "green",
    "DISABLED": "yellow",
    "ARCHIVED": "yellow",
    "FIRED": "green",
    "WAITING": "blue",
}
"""The colour of each state that has one."""


def clean(text: str, *, lines: bool = False) -> str:
    """`text` without the control characters that would move a terminal's cursor; `lines` keeps line ends."""
    kept = "\n\t" if lines else ""
    return "".join(c if c in kept or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def first_line(text: str) -> str:
    """The first line of a message."""
    return clean(text.partition("\n")[0])


def brief(text: str, chars_max: int = 60) -> str:
    """What a table shows of a text: its first line, and of that not more than `chars_max` characters."""
    line = text.partition("\n")[0]
    return line if len(line) <= chars_max else f"{line[: chars_max - 1]}\N{HORIZONTAL ELLIPSIS}"


def called(id: str, display_name: str) -> str:
    """What a table shows of the display name beside the id: nothing where it says the same."""
    return "" if display_name == id else brief(display_name, 40)


def say(text: str) -> None:
    """Print a result."""
    typer.echo(text)


def note(text: str) -> None:
    """Print a message that is no result."""
    typer.echo(text, err=True)


def complain(text: str, *, label: str = "error: ") -> None:
    """Print an error, or with an empty label a line that goes with it."""
    typer.echo(typer.style(label, fg="red", bold=True) + text if label else f"  {text}", err=True)


def print_json(message: "Message", *, indent: int | None = 2) -> None:
    """Print a message as proto JSON; without an indent on one line."""
    import json

    from penstock.values import message_to_json

    say(json.dumps(message_to_json(message), indent=indent, ensure_ascii=False))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns, states in colour. Without rows only a note."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if not cells:
        note("none")
        return
    widths = [max(map(_width, column)) for column in zip(headers, *cells, strict=True)]
    for row in [list(headers), *cells]:
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        say("  ".join(_coloured(cell) for cell in padded).rstrip())


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print names and values under each other; what is empty is left out."""
    shown = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        say(f"{name.ljust(width)}  {_coloured(clean(value))}")


def time_text(time: "Timestamp") -> str:
    """A time on the user's clock; empty for one that is not set."""
    if not (time.seconds or time.nanos):
        return ""
    return _local(time).strftime("%Y-%m-%d %H:%M:%S")


def clock_text(time: "Timestamp") -> str:
    """The same without its date."""
    return _local(time).strftime("%H:%M:%S")


def duration_text(seconds: float) -> str:
    """A duration as people say it: `0.4s`, `12.3s`, `3m05s`, `2h07m`."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def elapsed_text(start: "Timestamp", end: "Timestamp", now_s: float | None = None) -> str:
    """How long something took, or has taken so far; empty when it has not started."""
    import time

    if not start.seconds:
        return ""
    until_s = end.seconds + end.nanos / 1e9 if end.seconds else now_s or time.time()
    return duration_text(max(0.0, until_s - start.seconds - start.nanos / 1e9))


def json_text(value: object) -> str:
    """A parameter's value on one line: a text as it is, others as JSON."""
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _local(time: "Timestamp") -> "datetime":
    from datetime import UTC

    return time.ToDatetime(tzinfo=UTC).astimezone()


def _width(text: str) -> int:
    """The columns that a terminal takes for it: ideographs take two, accents that join a letter none."""
    from unicodedata import combining, east_asian_width

    return sum(2 if east_asian_width(c) in "WF" else int(not combining(c)) for c in text)


def _coloured(cell: str) -> str:
    colour = STYLES.get(cell.strip())
    return typer.style(cell, fg=colour) if colour else cell
