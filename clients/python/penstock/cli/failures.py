"""What goes wrong, as the user sees it: a message on stderr, an exit status, never a traceback.

0    fine
1    the run did not succeed
2    wrong use or input: also what the server refuses
3    the server was not reached, or could not answer (unavailable, out of time, internal error)
130  interrupted
"""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from penstock.cli.output import clean, complain
from penstock.errors import PenstockError

EXIT_RUN_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_NOT_REACHED = 3
EXIT_INTERRUPTED = 130

_NOT_REACHED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "DATA_LOSS", "CANCELLED"})
_HINTS = {
    "EXPERIMENT_NOT_FOUND": "see `penstock experiments list`, or make it: `penstock experiments create`",
    "PIPELINE_NOT_FOUND": "see `penstock pipelines list`, or make it: `penstock pipelines create`",
    "PIPELINE_VERSION_NOT_FOUND": "`penstock pipelines versions PIPELINE` shows those that exist",
    "PIPELINE_EXISTS": "`penstock pipelines upload` adds a version to it",
    "RUN_NOT_FOUND": "`penstock runs list` shows those that exist",
    "TASK_NOT_FOUND": "`penstock runs tasks RUN` shows those that exist",
    "JOB_NOT_FOUND": "`penstock jobs list` shows those that exist",
    "JOB_EXISTS": "`penstock jobs update` changes it",
    "JOB_ARCHIVED": "`penstock jobs unarchive` takes it back",
    "BACKFILL_NOT_FOUND": "`penstock jobs backfills JOB` shows those that exist",
    "BACKFILL_TOO_LARGE": "name a shorter range, or raise --slot-limit",
    "NAMESPACE_NOT_FOUND": "`penstock namespaces list` shows those that exist",
    "RUN_NOT_FINISHED": "cancel it first, or give --force",
    "EXPERIMENT_HAS_RUNS": "give --force to delete its runs too",
    "EXPERIMENT_HAS_JOBS": "give --force to delete those jobs too",
    "PIPELINE_HAS_VERSIONS": "give --force to delete its versions too",
}


class UsageError(Exception):
    """The command cannot do what it was asked; the message says what would be right."""


class FailureGroup(TyperGroup):
    """The root of the commands: turns what they raise into messages and exit statuses."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises typer.Exit in place of errors that users may meet."""
        try:
            return super().invoke(ctx)
        except PenstockError as error:
            raise typer.Exit(report(error, getattr(ctx.obj, "address", ""))) from None
        except BrokenPipeError:
            # Whoever read our output has closed it, as `head` does: there is nobody left to tell.
            _discard_output()
            raise typer.Exit(0) from None
        except OSError as error:
            raise typer.Exit(_wrong_use(_os_message(error))) from None
        except (ValueError, UsageError) as error:
            raise typer.Exit(_wrong_use(str(error))) from None
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


def report(error: PenstockError, address: str) -> int:
    """Tell of a failed call; the exit status it means."""
    if error.is_transport and error.code.name == "UNAVAILABLE":
        complain(f"no Penstock server answers at {address}: {clean(error.message)}")
        complain("start one with `penstock-server serve`, or name another with --target", label="")
        return EXIT_NOT_REACHED
    complain(clean(str(error), lines=True))
    hint = _HINTS.get(error.reason)
    if hint:
        complain(hint, label="")
    return EXIT_NOT_REACHED if error.code.name in _NOT_REACHED else EXIT_WRONG_USE


def _wrong_use(message: str) -> int:
    complain(clean(message, lines=True))
    return EXIT_WRONG_USE


def _os_message(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename is not None else ""
    return f"{name}{error.strerror or error}"


def _discard_output() -> None:
    """Point stdout elsewhere, so that the interpreter's last flush does not fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
