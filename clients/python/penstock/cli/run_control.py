"""`penstock runs ...`: what acts on runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.failures import UsageError
from penstock.cli.output import OutputFormat, OutputOption, note, print_json, print_table, say
from penstock.cli.run import ParametersOption
from penstock.cli.session import session_of
from penstock.cli.sources import declared_types
from penstock.cli.values import read_parameters

if TYPE_CHECKING:
    from penstock import Client
    from penstock.runs import Forecast
    from penstock.v1.run_pb2 import Run

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id or whole name of the run.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Make the commands part of `penstock runs`."""
    for name, command in (
        ("cancel", cancel_run),
        ("pause", pause_run),
        ("resume", resume_run),
        ("retry", retry_run),
        ("rerun", rerun_run),
        ("update", update_run),
        ("archive", archive_run),
        ("unarchive", unarchive_run),
        ("delete", delete_run),
    ):
        app.command(name)(command)


def cancel_run(
    context: typer.Context,
    run: RunArgument,
    message: Annotated[str, typer.Option("--message", "-m", help="Why; the run shows it.")] = "",
    exit_tasks: Annotated[bool, typer.Option("--exit-tasks", help="Do not let exit tasks run either.")] = False,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Stop a run: nothing new starts but exit tasks, what runs is stopped.

    Example: penstock runs cancel my-run -m "wrong data"
    """
    with session_of(context).connect() as client:
        _tell(client.runs.cancel(run, message=message, cancel_exit_tasks=exit_tasks), output)


def retry_run(
    context: typer.Context,
    run: RunArgument,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it until it has ended.")] = False,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Start a failed or cancelled run again; what succeeded is kept.

    Example: penstock runs retry my-run --watch
    """
    with session_of(context).connect() as client:
        past = client.runs.get(run).event_sequence if watch else 0
        retried = client.runs.retry(run)
        if watch:
            from penstock.cli.watching import follow

            follow(client, retried, output, after_sequence=past)
        _tell(retried, output)


def delete_run(
    context: typer.Context,
    run: RunArgument,
    force: Annotated[bool, typer.Option("--force", help="Cancel it first if it has not ended.")] = False,
) -> None:
    """Delete a run that has ended, with its tasks, events and logs; artifacts stay.

    Example: penstock runs delete my-run --force
    """
    with session_of(context).connect() as client:
        client.runs.delete(run, force=force)
    note(f"deleted {run}" if not force else f"deleting {run}")


def archive_run(context: typer.Context, run: RunArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Archive a run: it stays as it is, out of the way.

    Example: penstock runs archive my-run
    """
    with session_of(context).connect() as client:
        _tell(client.runs.archive(run), output)


def unarchive_run(context: typer.Context, run: RunArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Take a run back from the archive.

    Example: penstock runs unarchive my-run
    """
    with session_of(context).connect() as client:
        _tell(client.runs.unarchive(run), output)


def pause_run(context: typer.Context, run: RunArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Pause a run: nothing new starts, what runs goes on.

    Example: penstock runs pause my-run
    """
    with session_of(context).connect() as client:
        _tell(client.runs.pause(run), output)


def resume_run(context: typer.Context, run: RunArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Let a paused run go on.

    Example: penstock runs resume my-run
    """
    with session_of(context).connect() as client:
        _tell(client.runs.resume(run), output)


def update_run(
    context: typer.Context,
    run: RunArgument,
    priority: Annotated[
        int | None, typer.Option(min=-1000, max=1000, help="Steps of runs with a higher one start first.")
    ] = None,
    max_parallel_tasks: Annotated[
        int | None, typer.Option(min=0, help="Steps of it at a time; 0: as many as the server lets.")
    ] = None,
    display_name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Change what can be changed of a run, also while it is under way.

    Example: penstock runs update my-run --priority 10
    """
    given = (priority, max_parallel_tasks, display_name, description)
    if all(value is None for value in given):
        raise UsageError("nothing to change: give --priority, --max-parallel-tasks, --display-name or --description")
    with session_of(context).connect() as client:
        changed = client.runs.update(
            run,
            priority=priority,
            max_parallel_tasks=max_parallel_tasks,
            display_name=display_name,
            description=description,
        )
    _tell(changed, output)


def rerun_run(
    context: typer.Context,
    run: RunArgument,
    parameters: ParametersOption = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", metavar="NAME", help="A parameter that takes its default again.")
    ] = None,
    source: Annotated[
        str, typer.Option("--with", metavar="PIPELINE[@VERSION]", help="Another version to run than the old run's.")
    ] = "",
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Tell what would be reused and what would run; make nothing.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it until it has ended.")] = False,
    run_id: Annotated[str, typer.Option("--id", help="Id of the new run; made up by default.")] = "",
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Make a new run from an old one; steps that nothing has changed for are not run again.

    Examples:

        penstock runs rerun my-run -p slope=4 --forecast

        penstock runs rerun my-run --with line-fit@latest --watch
    """
    with session_of(context).connect() as client:
        values = _changed_parameters(client, run, source, parameters or [])
        if forecast:
            _tell_forecast(
                client.runs.forecast_rerun(run, values, unset_parameters=unset or (), source=source or None), output
            )
            return
        made = client.runs.rerun(run, values, unset_parameters=unset or (), source=source or None, run_id=run_id)
        if watch:
            from penstock.cli.watching import follow

            note(f"run {made.name}")
            follow(client, made, output)
        _tell(made, output)


def _changed_parameters(client: "Client", run: str, source: str, assignments: list[str]) -> dict[str, object]:
    """The parameters by the types that the version declares, or else the spec of the old run."""
    if not assignments:
        return {}
    if source:
        return read_parameters(assignments, declared_types(client.pipelines.get_version(source)))
    from penstock.ir import parameter_types

    return read_parameters(assignments, parameter_types(client.runs.get(run, with_spec=True).spec.text) or {})


def _tell_forecast(forecast: "Forecast", output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(forecast)
        return
    reused = [[each.task_id, "reused", f"from {each.source_task_id}"] for each in forecast.reused]
    will_run = [[task, "runs", ""] for task in forecast.will_run]
    open = [[task, "open", "depends on what will run"] for task in forecast.undetermined]
    print_table(["TASK", "WOULD BE", ""], reused + will_run + open)
    say("")
    note(f"{len(reused)} reused, {len(will_run)} to run, {len(open)} open; no run was made")


def _tell(run: "Run", output: OutputFormat) -> None:
    from penstock.cli.tree import state_name
    from penstock.names import last_segment

    if output is OutputFormat.JSON:
        print_json(run)
    else:
        print_table(["RUN", "STATE", "REASON"], [[last_segment(run.name), state_name(run), run.reason]])
