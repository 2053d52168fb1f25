"""`penstock run`: make a run of a file or of a pipeline that the server keeps."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.durations import read_duration
from penstock.cli.output import OutputFormat, OutputOption, note, print_json, say
from penstock.cli.session import session_of
from penstock.cli.sources import read_labels, read_source

if TYPE_CHECKING:
    from penstock.v1.run_pb2 import Run


class CachePolicy(StrEnum):
    """What the run does with results of earlier runs."""

    DEFAULT = "default"
    DISABLED = "disabled"
    REFRESH = "refresh"


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
CacheOption = Annotated[
    CachePolicy | None,
    typer.Option(help="Results of earlier runs: used as the pipeline says, unused, or renewed.", show_default=False),
]
CacheAgeOption = Annotated[str, typer.Option(metavar="DURATION", help="Reuse no results that are older.")]
DeadlineOption = Annotated[
    str, typer.Option(metavar="DURATION", help="Fail it after this long, such as 90s, 30m or 2h.")
]
TaskTimeoutOption = Annotated[str, typer.Option(metavar="DURATION", help="Stop attempts at a step after this long.")]
QueueTimeoutOption = Annotated[
    str, typer.Option(metavar="DURATION", help="Fail a step that has waited for a slot for this long.")
]
PriorityOption = Annotated[
    int, typer.Option(min=-1000, max=1000, help="Steps of runs with a higher one start first.", show_default=False)
]
ParallelOption = Annotated[
    int, typer.Option(min=0, metavar="N", help="Steps of it at a time at most.", show_default=False)
]
ValidateOption = Annotated[bool, typer.Option("--validate-only", help="Check everything, make nothing.")]


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
    cache: CacheOption = None,
    cache_max_age: CacheAgeOption = "",
    deadline: DeadlineOption = "",
    task_timeout: TaskTimeoutOption = "",
    queue_timeout: QueueTimeoutOption = "",
    priority: PriorityOption = 0,
    max_parallel_tasks: ParallelOption = 0,
    validate_only: ValidateOption = False,
) -> None:
    """Run a compiled pipeline, or one that the server keeps.

    Returns once the server has accepted the run and prints its name, or with --watch shows it to its end.

    Exit status: 0 fine, 1 the run did not succeed (with --watch), 2 wrong use or input, 3 server not reached.

    Examples:

        penstock run pipeline.yaml -p slope=3 --watch

        penstock run line-fit@2 -p config=@config.json --experiment tuning
    """
    deadline_s = read_duration("--deadline", deadline)
    task_timeout_s = read_duration("--task-timeout", task_timeout)
    queue_timeout_s = read_duration("--queue-timeout", queue_timeout)
    cache_max_age_s = read_duration("--cache-max-age", cache_max_age, days_max=3650)
    session = session_of(context)
    with session.connect() as client:
        accepted = client.create_run(
            *read_source(client, source, parameters or []),
            run_id=run_id,
            display_name=display_name,
            labels=read_labels(labels or []),
            experiment=experiment or None,
            cache_policy=cache.value if cache is not None else "",
            cache_max_age=cache_max_age_s,
            deadline=deadline_s,
            task_timeout=task_timeout_s,
            queue_timeout=queue_timeout_s,
            priority=priority,
            max_parallel_tasks=max_parallel_tasks,
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
