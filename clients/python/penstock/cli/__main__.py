"""The entry point of the command line `penstock`, also as `python -m penstock.cli`."""

import os
from typing import Annotated

import typer

from penstock.cli import experiments, jobs, namespaces, pipelines, runs, server
from penstock.cli.failures import FailureGroup
from penstock.cli.import_kfp import import_kfp
from penstock.cli.logs import logs
from penstock.cli.run import run
from penstock.cli.session import Session

app = typer.Typer(
    cls=FailureGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("logs")(logs)
app.command("import-kfp")(import_kfp)
app.add_typer(runs.app, name="runs")
app.add_typer(jobs.app, name="jobs")
app.add_typer(pipelines.app, name="pipelines")
app.add_typer(experiments.app, name="experiments")
app.add_typer(namespaces.app, name="namespaces")
app.add_typer(server.app, name="server")


def _print_version(asked: bool) -> None:
    if asked:
        from penstock import __version__

        typer.echo(f"penstock {__version__}")
        raise typer.Exit


@app.callback()
def penstock(
    context: typer.Context,
    target: Annotated[
        str,
        typer.Option(
            envvar="PENSTOCK_TARGET",
            metavar="HOST:PORT",
            help="The server; grpcs://HOST:PORT for TLS.",
        ),
    ] = "127.0.0.1:8887",
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", envvar="PENSTOCK_NAMESPACE", help="The namespace to work in.")
    ] = "default",
    token: Annotated[str, typer.Option(envvar="PENSTOCK_TOKEN", help="Sent with every call.", show_default=False)] = "",
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Run machine-learning pipelines on a Penstock server and watch them.

    Examples:

        penstock run pipeline.yaml -p slope=3 --watch

        penstock --target penstock.example:8887 runs list --filter 'state = RUNNING'
    """
    context.obj = Session(target, namespace, token or None)


def main() -> None:
    """Run the command line and exit with its status."""
    # What gRPC would log of lost connections lands in the middle of what is drawn; errors are told by us.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    app(prog_name="penstock")


if __name__ == "__main__":
    main()
