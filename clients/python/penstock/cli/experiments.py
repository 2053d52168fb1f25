"""`penstock experiments ...`: groups of runs."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.output import (
    FilterOption,
    LimitOption,
    OrderOption,
    OutputFormat,
    OutputOption,
    brief,
    called,
    note,
    print_fields,
    print_json,
    print_table,
    time_text,
)
from penstock.cli.session import session_of

if TYPE_CHECKING:
    from penstock.v1.experiment_pb2 import Experiment

app = typer.Typer(no_args_is_help=True, help="Group runs into experiments.")

ExperimentArgument = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="Id or whole name of the experiment.", show_default=False)
]


@app.command("create")
def create_experiment(
    context: typer.Context,
    experiment: Annotated[
        str, typer.Argument(metavar="EXPERIMENT", help="Id of the new experiment.", show_default=False)
    ],
    display_name: Annotated[str, typer.Option(help="Name for people.")] = "",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Make an experiment.

    Example: penstock experiments create tuning --description "learning rates"
    """
    with session_of(context).connect() as client:
        made = client.experiments.create(experiment, display_name=display_name, description=description)
    _tell(made, output)


@app.command("list")
def list_experiments(
    context: typer.Context,
    filter: FilterOption = "",
    order_by: OrderOption = "",
    limit: LimitOption = 50,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List the experiments.

    Example: penstock experiments list --filter 'NOT archive_time:*'
    """
    from penstock.names import last_segment
    from penstock.v1.experiment_service_pb2 import ListExperimentsResponse

    with session_of(context).connect() as client:
        found = client.experiments.list(filter=filter, order_by=order_by, page_size=min(limit, 1000))
        experiments = list(islice(found, limit))
    if output is OutputFormat.JSON:
        print_json(ListExperimentsResponse(experiments=experiments))
        return
    print_table(
        ["EXPERIMENT", "DISPLAY NAME", "CREATED", "ARCHIVED", "DESCRIPTION"],
        [
            [
                id := last_segment(experiment.name),
                called(id, experiment.display_name),
                time_text(experiment.create_time),
                time_text(experiment.archive_time),
                brief(experiment.description),
            ]
            for experiment in experiments
        ],
    )


@app.command("get")
def get_experiment(
    context: typer.Context, experiment: ExperimentArgument, output: OutputOption = OutputFormat.TEXT
) -> None:
    """Show an experiment. Its runs: penstock runs list --filter 'experiment = ...'.

    Example: penstock experiments get tuning
    """
    with session_of(context).connect() as client:
        _tell(client.experiments.get(experiment), output)


@app.command("delete")
def delete_experiment(
    context: typer.Context,
    experiment: ExperimentArgument,
    force: Annotated[bool, typer.Option("--force", help="Delete its runs too.")] = False,
) -> None:
    """Delete an experiment.

    Example: penstock experiments delete tuning
    """
    with session_of(context).connect() as client:
        client.experiments.delete(experiment, force=force)
    note(f"deleted {experiment}")


@app.command("archive")
def archive_experiment(
    context: typer.Context, experiment: ExperimentArgument, output: OutputOption = OutputFormat.TEXT
) -> None:
    """Archive an experiment: it takes no new runs.

    Example: penstock experiments archive tuning
    """
    with session_of(context).connect() as client:
        _tell(client.experiments.archive(experiment), output)


@app.command("unarchive")
def unarchive_experiment(
    context: typer.Context, experiment: ExperimentArgument, output: OutputOption = OutputFormat.TEXT
) -> None:
    """Take an experiment back from the archive.

    Example: penstock experiments unarchive tuning
    """
    with session_of(context).connect() as client:
        _tell(client.experiments.unarchive(experiment), output)


def _tell(experiment: "Experiment", output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(experiment)
        return
    print_fields(
        [
            ("name", experiment.name),
            ("display name", experiment.display_name),
            ("description", experiment.description),
            ("created", time_text(experiment.create_time)),
            ("archived", time_text(experiment.archive_time)),
        ]
    )
