"""`penstock-server`: serve, migrate, config, version."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
import uvloop

from penstock_server.main.declared import SettingError
from penstock_server.main.logging import set_up_logging
from penstock_server.main.options import with_settings
from penstock_server.main.settings import LoadedSettings, config_text, load_settings
from penstock_server.model.errors import FailedPrecondition, InvalidArgument, PenstockError

T = TypeVar("T")

WRONG_USE = 2
"""Exit status when something has to be set or done otherwise."""
FAILED = 1
INTERRUPTED = 130

app = typer.Typer(
    name="penstock-server",
    help="The Penstock server: machine-learning pipelines over gRPC and HTTP, on Postgres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """The program's entry."""
    app()


@app.command()
@with_settings()
def serve(options: dict[str, str | None], config: Path | None) -> None:
    """Serve until told to end by SIGTERM or Ctrl-C.

    Without further options it needs nothing around it: the database, the artifacts and the files of steps lie in the
    data folder, and it listens on loopback. When it is ready it prints one line with both addresses.

    Told to end, it lets calls under way finish and leaves running steps running; the next server on the folder
    finds them again. Told twice, it ends at once.

    Every option is also a variable PENSTOCK_<NAME> and a setting in the TOML file; see `penstock-server config`.
    """
    settings = _load(options, config).settings
    set_up_logging(settings.log_format, settings.log_level)
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # its handlers end processes that are forked under uvloop
    # Brings in every part of the server; the other commands answer faster without.
    from penstock_server.main.serving import serve as serve_until_told

    _run(serve_until_told(settings))


@app.command()
@with_settings(["database_url"])
def migrate(options: dict[str, str | None], config: Path | None) -> None:
    """Bring a Postgres of your own to the schema of this version.

    Safe to repeat, to interrupt, and to run twice at once. The embedded one is migrated by `serve`.
    """
    settings = _load(options, config).settings
    if not settings.database_url:
        _fail("name the database with --database-url; the embedded one is migrated by `serve`", WRONG_USE)
    from penstock_server.store.migrations import migrate as apply

    for name in _run(apply(settings.database_url)):
        print(f"applied {name}")
    print("the database is up to date")


@app.command(name="config")
@with_settings()
def show_config(options: dict[str, str | None], config: Path | None) -> None:
    """Print the settings in force, and where each came from.

    Takes the options of `serve` and prints what it would use with them, as TOML, passwords masked.
    """
    print(config_text(_load(options, config)), end="")


@app.command()
def version() -> None:
    """Print the version."""
    print(f"penstock-server {version_of('penstock-server')}")


def _load(options: dict[str, str | None], config: Path | None) -> LoadedSettings:
    try:
        return load_settings(options, os.environ, config)
    except SettingError as error:
        _fail(str(error), WRONG_USE)


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except (FailedPrecondition, InvalidArgument) as error:
        _fail(error.message, WRONG_USE)
    except PenstockError as error:
        _fail(f"{error.message}{_cause(error)}", FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _cause(error: PenstockError) -> str:
    """What a library had to say, which tells why a database cannot be reached."""
    cause = error.__cause__
    return "" if cause is None else f": {cause}"


def _fail(message: str, status: int) -> NoReturn:
    print(f"penstock-server: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)
