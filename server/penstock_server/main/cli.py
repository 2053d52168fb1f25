"""`penstock-server`: serve, migrate, config, version."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from penstock_server.main.settings import Settings, read_settings
from penstock_server.model.errors import PenstockError

app = typer.Typer(
    name="penstock-server",
    help="The Penstock server: machine-learning pipelines over gRPC, on Postgres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path | None, typer.Option(help="TOML file with settings.", show_default=False)]
DataDir = Annotated[Path | None, typer.Option(help="Folder of database, artifacts and steps [penstock-data].")]
DatabaseUrl = Annotated[str | None, typer.Option(help="A Postgres of your own [the embedded one].")]
GrpcListen = Annotated[str | None, typer.Option(help="Address of gRPC [127.0.0.1:8887]; port 0: a free one.")]
HttpListen = Annotated[str | None, typer.Option(help="Address of HTTP [127.0.0.1:8888]; port 0: a free one.")]
Launcher = Annotated[str | None, typer.Option(help="What executes steps [process].")]
Parallel = Annotated[int | None, typer.Option(help="Steps at a time on this server [the cores].")]
Grace = Annotated[float | None, typer.Option(help="Seconds between asking a step to end and force [10].")]
StepEnvironment = Annotated[str | None, typer.Option(help="Further variables that steps get, with commas.")]
LeaseTtl = Annotated[float | None, typer.Option(help="Seconds until a silent server's runs are taken [10].")]
Drain = Annotated[float | None, typer.Option(help="Seconds that calls get when the server ends [10].")]
LogFormat = Annotated[str | None, typer.Option(help="human, json or auto [auto].")]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error [info].")]
Otlp = Annotated[str | None, typer.Option(help="Where traces and metrics are sent (OTLP over gRPC).")]
Origins = Annotated[str | None, typer.Option(help="Origins that may call over HTTP, with commas.")]
MessageSize = Annotated[int | None, typer.Option(help="Bytes of a request at most [4194304].")]
PoolSize = Annotated[int | None, typer.Option(help="Connections to the database at most [16].")]
StatementTimeout = Annotated[float | None, typer.Option(help="Seconds until a statement is given up [30].")]


def main() -> None:
    """The program's entry."""
    app()


@app.command()
def serve(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    grpc_listen: GrpcListen = None,
    http_listen: HttpListen = None,
    launcher: Launcher = None,
    max_parallel_steps: Parallel = None,
    step_grace_s: Grace = None,
    step_environment: StepEnvironment = None,
    lease_ttl_s: LeaseTtl = None,
    drain_s: Drain = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    otlp_endpoint: Otlp = None,
    allowed_origins: Origins = None,
    message_size_max: MessageSize = None,
    database_pool_size: PoolSize = None,
    statement_timeout_s: StatementTimeout = None,
    config: Config = None,
) -> None:
    """Serve until asked to end (SIGTERM or Ctrl-C).

    Prints one line with both addresses when it is ready. Running steps go on when the server ends, and are found again
    by the next one on the folder.
    """
    options = {name: value for name, value in locals().items() if name != "config"}
    settings = _settings(options, config)

    # Assembly brings in every part of the server; other commands answer faster without.
    from penstock_server.main.serving import serve as serve_until_told

    _run(serve_until_told(settings))


@app.command()
def migrate(database_url: DatabaseUrl = None, config: Config = None) -> None:
    """Bring your own Postgres to the schema of this version. Safe to repeat, and to run twice at once."""
    settings = _settings({"database_url": database_url}, config)
    if not settings.database_url:
        _fail("name the database with --database-url; the embedded one is migrated by serve", 2)

    from penstock_server.store.migrations import migrate as apply

    applied = _run(apply(settings.database_url))
    for name in applied:
        print(f"applied {name}")
    print("the database is up to date")


@app.command(name="config")
def show_config(config: Config = None) -> None:
    """Print the settings in force, secrets masked."""
    for name, value in _settings({}, config).masked().items():
        print(f"{name} = {value}")


@app.command()
def version() -> None:
    """Print the version."""
    print(package_version("penstock-server"))


def _settings(options: dict[str, Any], config: Path | None) -> Settings:
    try:
        return read_settings(options, os.environ, config)
    except PenstockError as error:
        _fail(error.message, 2)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except PenstockError as error:
        _fail(error.message, 2)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str, status: int) -> NoReturn:
    print(f"penstock-server: {message}", file=sys.stderr)
    sys.exit(status)
