"""`penstock logs`: what a step wrote."""

import sys
from typing import Annotated

import typer

from penstock.cli.session import session_of


def logs(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id or whole name of the run.", show_default=False)],
    task: Annotated[
        str,
        typer.Argument(metavar="TASK", help="Id of the task, such as train or outer.train.", show_default=False),
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the attempt has ended.")] = False,
    attempt: Annotated[int, typer.Option("--attempt", min=0, help="Number of the attempt; the newest by default.")] = 0,
) -> None:
    """Print what a step wrote to stdout and stderr, byte for byte.

    Examples:

        penstock logs my-run train -f

        penstock logs my-run outer.train --attempt 1
    """
    with session_of(context).connect() as client:
        for piece in client.logs(run, task, attempt=attempt, follow=follow):
            sys.stdout.buffer.write(piece.content)
            sys.stdout.buffer.flush()
