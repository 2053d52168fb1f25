"""`penstock runs ...`: look at runs; what acts on them is in `run_control`."""

from itertools import islice
from typing import TYPE_CHECKING

import typer

from penstock.cli.limits import limits_text
from penstock.cli.output import (
    FilterOption,
    LimitOption,
    OrderOption,
    OutputFormat,
    OutputOption,
    called,
    elapsed_text,
    json_text,
    print_fields,
    print_json,
    print_table,
    say,
    time_text,
)
from penstock.cli.run_control import RunArgument, register
from penstock.cli.session import session_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.struct_pb2 import Value

    from penstock import Client
    from penstock.v1.run_pb2 import Run

app = typer.Typer(no_args_is_help=True, help="Look at runs and act on them.")


@app.command("list")
def list_runs(
    context: typer.Context,
    filter: FilterOption = "",
    order_by: OrderOption = "",
    limit: LimitOption = 50,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List runs, the newest first.

    Examples:

        penstock runs list --filter 'state = RUNNING'

        penstock runs list --filter 'labels.team = "vision" AND create_time > "2026-01-01T00:00:00Z"'
    """
    from penstock.cli.tree import state_name
    from penstock.names import last_segment
    from penstock.v1.run_service_pb2 import ListRunsResponse

    with session_of(context).connect() as client:
        found = client.runs.list(filter=filter, order_by=order_by, page_size=min(limit, 1000))
        runs = list(islice(found, limit))
    if output is OutputFormat.JSON:
        print_json(ListRunsResponse(runs=runs))
        return
    print_table(
        ["RUN", "DISPLAY NAME", "STATE", "PIPELINE", "CREATED", "TOOK", "REASON"],
        [
            [
                id := last_segment(run.name),
                called(id, run.display_name),
                state_name(run),
                _pipeline(run),
                time_text(run.create_time),
                elapsed_text(run.start_time, run.end_time),
                run.reason,
            ]
            for run in runs
        ],
    )


@app.command("get")
def get_run(context: typer.Context, run: RunArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Show a run: what it was asked, how it is, its tasks.

    Example: penstock runs get my-run -o json
    """
    with session_of(context).connect() as client:
        shown = client.runs.get(run)
        if output is OutputFormat.JSON:
            print_json(shown)
        else:
            _print_run(client, shown)


@app.command("watch")
def watch_run(context: typer.Context, run: RunArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Show a run until it has ended: a live tree of its tasks, or plain lines where there is no terminal.

    Ctrl-C leaves the run alone. Exit status: 0 it succeeded, 1 it did not, 130 you left.

    Example: penstock runs watch my-run
    """
    from penstock.cli.watching import follow

    with session_of(context).connect() as client:
        follow(client, client.runs.get(run), output)


@app.command("tasks")
def list_tasks(
    context: typer.Context,
    run: RunArgument,
    filter: FilterOption = "",
    limit: LimitOption = 1000,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List the tasks of a run.

    Example: penstock runs tasks my-run --filter 'state = FAILED'
    """
    from penstock.cli.output import first_line
    from penstock.cli.tree import state_name, task_id
    from penstock.v1.run_service_pb2 import ListTasksResponse

    with session_of(context).connect() as client:
        tasks = list(islice(client.runs.tasks(run, filter=filter, page_size=min(limit, 1000)), limit))
    if output is OutputFormat.JSON:
        print_json(ListTasksResponse(tasks=tasks))
        return
    print_table(
        ["TASK", "STATE", "TOOK", "REASON", "MESSAGE"],
        [
            [
                task_id(task),
                state_name(task),
                elapsed_text(task.start_time, task.end_time),
                task.reason,
                first_line(task.message or (task.cache_note and f"not reused: {task.cache_note}")),
            ]
            for task in tasks
        ],
    )


@app.command("events")
def list_events(
    context: typer.Context,
    run: RunArgument,
    limit: LimitOption = 10_000,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List what happened in a run, in order.

    Example: penstock runs events my-run -o json
    """
    from penstock.cli.lines import EventLines
    from penstock.v1.run_service_pb2 import ListEventsResponse

    with session_of(context).connect() as client:
        events = list(islice(client.runs.events(run, page_size=min(limit, 1000)), limit))
    if output is OutputFormat.JSON:
        print_json(ListEventsResponse(events=events))
        return
    lines = EventLines()
    for event in events:
        line = lines.line(event)
        if line is not None:
            say(line)


def _pipeline(run: "Run") -> str:
    """`line-fit@3` for `namespaces/default/pipelines/line-fit/versions/3`."""
    parts = run.pipeline_version.split("/")
    return f"{parts[3]}@{parts[5]}" if len(parts) == 6 else ""


def _job(run: "Run") -> str:
    """The job that made the run, and for which slot."""
    return f"{run.job}, slot of {time_text(run.slot_time)}" if run.job else ""


def _values(values: "Mapping[str, Value]") -> str:
    from penstock.values import from_values

    return ", ".join(f"{name}={json_text(value)}" for name, value in sorted(from_values(values).items()))


def _print_run(client: "Client", run: "Run") -> None:
    from penstock.cli.drawing import console_on, draw
    from penstock.cli.ending import tell_ending
    from penstock.cli.tree import RunTree, state_name
    from penstock.watching import has_ended

    print_fields(
        [
            ("name", run.name),
            ("display name", run.display_name),
            ("state", state_name(run)),
            ("reason", ": ".join(part for part in (run.reason, run.message.partition("\n")[0]) if part)),
            ("pipeline", run.pipeline_version or "a spec of its own"),
            ("experiment", run.experiment),
            ("job", _job(run)),
            ("limits", limits_text(run)),
            ("runs again", run.rerun_of),
            ("ran in", run.origin),
            ("paused", time_text(run.pause_time)),
            ("labels", ", ".join(f"{key}={run.labels[key]}" for key in sorted(run.labels))),
            ("parameters", _values(run.parameters)),
            ("created", time_text(run.create_time)),
            ("archived", time_text(run.archive_time)),
        ]
    )
    say("")
    draw(console_on(), RunTree(run, client.runs.tasks(run, page_size=1000)))
    if has_ended(run):
        say("")
        tell_ending(client, run, say)


register(app)
