"""`penstock run`: make a run of a file or of a pipeline that the server keeps."""

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.limit_options import LimitOptions
from penstock.cli.option_groups import spread
from penstock.cli.output import OutputFormat, OutputOption, note, print_json, say
from penstock.cli.session import session_of
from penstock.cli.sources import read_labels, read_source

if TYPE_CHECKING:
    from penstock.v1.run_pb2 import Run


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE|PIPELINE[@VERSION]",
        help="A compiled pipeline (.yaml, .yml, .json), or one on the server, by default its latest.",
        show_default=False,
    ),
]
ParametersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="NAME=VALUE",
        help="A parameter: text as it is where a STRING is declared, else JSON. NAME=@FILE reads a file.",
    ),
]
ExperimentOption = Annotated[str, typer.Option(help="The experiment it belongs to.")]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Show it until it has ended.")]
IdOption = Annotated[str, typer.Option("--id", help="Id of the run; made up by default.")]
DisplayNameOption = Annotated[str, typer.Option(help="Name for people.")]
LabelsOption = Annotated[
    list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label to select it by.")
]
ValidateOption = Annotated[bool, typer.Option("--validate-only", help="Check everything, make nothing.")]


@spread
def run(
    context: typer.Context,
    source: SourceArgument,
    parameters: ParametersOption = None,
    experiment: ExperimentOption = "",
    watch: WatchOption = False,
    output: OutputOption = OutputFormat.TEXT,
    run_id: IdOption = "",
    display_name: DisplayNameOption = "",
    labels: LabelsOption = None,
    *,
    limits: LimitOptions,
    validate_only: ValidateOption = False,
) -> None:
    """Run a compiled pipeline, or one that the server keeps.

    Returns once the server has accepted the run and prints its name, or with --watch shows it to its end.

    Exit status: 0 fine, 1 the run did not succeed (with --watch), 2 wrong use or input, 3 server not reached.

    Examples:

        penstock run pipeline.yaml -p slope=3 --watch

        penstock run line-fit@2 -p config=@config.json --experiment tuning
    """
    bounds = limits.arguments()
    session = session_of(context)
    with session.connect() as client:
        accepted = client.create_run(
            *read_source(client, source, parameters or []),
            run_id=run_id,
            display_name=display_name,
            labels=read_labels(labels or []),
            experiment=experiment or None,
            **bounds,
            validate_only=validate_only,
        )
        if watch and not validate_only:
            from penstock.cli.watching import follow

            note(f"run {accepted.name}")
            follow(client, accepted, output)
        _tell_accepted(accepted, output, validate_only=validate_only)


def _tell_accepted(accepted: "Run", output: OutputFormat, *, validate_only: bool) -> None:
    if output is OutputFormat.JSON:
        print_json(accepted)
    elif validate_only:
        note("everything is right; no run was made")
    else:
        from penstock.names import last_segment

        name = last_segment(accepted.name)
        say(accepted.name)
        note(f"  penstock runs watch {name}         to watch it")
        note(f"  penstock runs get {name}           to see how it is")
        note(f"  penstock runs cancel {name}        to stop it")
