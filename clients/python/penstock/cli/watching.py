"""Following a run to its end: a live tree on a terminal, lines elsewhere."""

from typing import TYPE_CHECKING

import typer

from penstock.cli.ending import tell_ending
from penstock.cli.failures import EXIT_INTERRUPTED, EXIT_RUN_FAILED
from penstock.cli.lines import EventLines
from penstock.cli.output import OutputFormat, note, print_json, say
from penstock.cli.tree import RunTree
from penstock.names import last_segment
from penstock.v1.run_pb2 import Run

if TYPE_CHECKING:
    from rich.console import Console

    from penstock import Client

REFRESHES_PER_SECOND = 8


def follow(client: "Client", run: Run, output: OutputFormat, *, after_sequence: int = 0) -> None:
    """Show a run until it has ended; where it is told in lines, from behind that event on.

    Raises typer.Exit: 0 when it succeeded, 1 when it did not, 130 when the user left; the run goes on then.
    With JSON the run is printed at its end on stdout and its progress on stderr.
    """
    is_json = output is OutputFormat.JSON
    try:
        _show_progress(client, run, after_sequence, err=is_json)
        ended = client.runs.get(run)
    except KeyboardInterrupt:
        _tell_leaving(run)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    tell_ending(client, ended, note if is_json else say)
    if is_json:
        print_json(ended)
    raise typer.Exit(0 if ended.state == Run.STATE_SUCCEEDED else EXIT_RUN_FAILED)


def _show_progress(client: "Client", run: Run, after_sequence: int, *, err: bool) -> None:
    from penstock.cli.drawing import console_on

    console = console_on(err=err)
    if console.is_terminal and not console.is_dumb_terminal:
        _draw_progress(client, run, console)
    else:
        _print_progress(client, run, after_sequence, err=err)


def _draw_progress(client: "Client", run: Run, console: "Console") -> None:
    from rich.live import Live

    from penstock.cli.drawing import Drawing, draw

    tree = RunTree(run, client.runs.tasks(run, page_size=1000))
    with Live(Drawing(tree), console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True) as live:
        for response in client.watch_run(run, after_sequence=run.event_sequence):
            tree.hear(response)
        live.refresh()
    draw(console, tree)


def _print_progress(client: "Client", run: Run, after_sequence: int, *, err: bool) -> None:
    lines = EventLines()
    for response in client.watch_run(run, after_sequence=after_sequence):
        line = lines.line(response.event)
        if line is not None:
            typer.echo(line, err=err)


def _tell_leaving(run: Run) -> None:
    name = last_segment(run.name)
    note(f"left run {name} alone: it goes on")
    note(f"  penstock runs watch {name}    to see it again")
    note(f"  penstock runs cancel {name}   to stop it")
