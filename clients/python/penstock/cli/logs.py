"""`penstock logs`: what a step wrote."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.failures import UsageError
from penstock.cli.session import session_of
from penstock.errors import NotFoundError
from penstock.names import last_segment

if TYPE_CHECKING:
    from penstock import Client


def logs(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id or whole name of the run.", show_default=False)],
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="Id of the task, such as train or outer.train; the end of it does where no other task ends so.",
            show_default=False,
        ),
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
        try:
            _print(client, run, task, attempt, follow=follow)
        except NotFoundError as error:
            whole = _ending_with(client, run, task) if error.reason == "TASK_NOT_FOUND" else None
            if whole is None:
                raise
            _print(client, run, whole, attempt, follow=follow)


def _print(client: "Client", run: str, task: str, attempt: int, *, follow: bool) -> None:
    for piece in client.logs(run, task, attempt=attempt, follow=follow):
        sys.stdout.buffer.write(piece.content)
        sys.stdout.buffer.flush()


def _ending_with(client: "Client", run: str, task: str) -> str | None:
    """The id of the only task within others that is called so; None where there is none."""
    ids = [last_segment(each.name) for each in client.runs.tasks(run, page_size=1000)]
    found = [id for id in ids if id.endswith(f".{task}")]
    if len(found) > 1:
        raise UsageError(f"run {run} has several tasks {task}: {', '.join(found)}")
    return found[0] if found else None
