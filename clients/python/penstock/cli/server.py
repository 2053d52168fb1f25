"""`penstock server ...`: how the server is."""

import typer

from penstock.cli.output import (
    OutputFormat,
    OutputOption,
    duration_text,
    print_fields,
    print_json,
    time_text,
)
from penstock.cli.session import session_of

app = typer.Typer(no_args_is_help=True, help="Look at the server itself.")


@app.callback()
def server() -> None:
    """Look at the server itself."""


@app.command("status")
def server_status(context: typer.Context, output: OutputOption = OutputFormat.TEXT) -> None:
    """Show how the server is: version, launcher, database, load.

    Exit status: 0 it answered, 3 it was not reached.

    Example: penstock --target 127.0.0.1:8887 server status
    """
    session = session_of(context)
    with session.connect() as client:
        info = client.server_info()
    if output is OutputFormat.JSON:
        print_json(info)
        return
    database = type(info).DatabaseStatus.Name(info.database_status).removeprefix("DATABASE_STATUS_").lower()
    kind = "embedded Postgres" if info.embedded_database else "Postgres"
    print_fields(
        [
            ("target", session.address),
            ("server", info.server_id),
            ("version", info.version),
            ("status", "draining" if info.draining else "serving"),
            ("started", time_text(info.start_time)),
            ("up", duration_text(info.uptime.ToTimedelta().total_seconds())),
            ("launcher", info.launcher),
            ("database", f"{database}, {kind} {info.database_version}".rstrip()),
            ("runs", f"{info.owned_run_count} owned by this server"),
            ("steps", f"{info.running_step_count} running, at most {info.parallel_steps_max} at a time"),
        ]
    )
