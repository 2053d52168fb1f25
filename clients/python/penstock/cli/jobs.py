"""`penstock jobs ...`: look at jobs; what makes, changes and fills them up is in modules of its own."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import backfills, job_changes, job_control
from penstock.cli.clocks import UTC_CLOCK, clock_of, named_clock
from penstock.cli.durations import read_duration
from penstock.cli.failures import EXIT_INTERRUPTED, UsageError
from penstock.cli.job_options import CronOption, EndOption, EveryOption, JobArgument, StartOption, TimeZoneOption
from penstock.cli.output import (
    FilterOption,
    LimitOption,
    OrderOption,
    OutputFormat,
    OutputOption,
    note,
    print_json,
    print_table,
    say,
)
from penstock.cli.session import session_of

if TYPE_CHECKING:
    from datetime import datetime

    from penstock import Client
    from penstock.v1.job_pb2 import Job

app = typer.Typer(no_args_is_help=True, help="Run pipelines again and again, by the clock or every so often.")
for module in (job_changes, job_control, backfills):
    module.register(app)

SLOTS_SHOWN = 5


@app.command("list")
def list_jobs(
    context: typer.Context,
    filter: FilterOption = "",
    order_by: OrderOption = "",
    limit: LimitOption = 50,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List jobs, the newest first.

    Examples:

        penstock jobs list --filter 'state = ENABLED' --order-by next_slot_time

        penstock jobs list --filter 'reason = TOO_MANY_FAILURES'
    """
    from penstock.cli.job_text import print_jobs
    from penstock.v1.job_service_pb2 import ListJobsResponse

    with session_of(context).connect() as client:
        jobs = list(islice(client.jobs.list(filter=filter, order_by=order_by, page_size=min(limit, 1000)), limit))
    if output is OutputFormat.JSON:
        print_json(ListJobsResponse(jobs=jobs))
    else:
        print_jobs(jobs)


@app.command("get")
def get_job(context: typer.Context, job: JobArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Show a job: when it fires, how it stands, its newest slots.

    Example: penstock jobs get nightly
    """
    from penstock.cli.job_text import print_job, print_slots

    with session_of(context).connect() as client:
        shown = client.jobs.get(job)
        if output is OutputFormat.JSON:
            print_json(shown)
            return
        slots = list(islice(client.jobs.slots(job, page_size=SLOTS_SHOWN), SLOTS_SHOWN))
    print_job(shown)
    if slots:
        say("")
        print_slots(slots, clock_of(shown))


@app.command("slots")
def list_slots(
    context: typer.Context,
    job: JobArgument,
    filter: FilterOption = "",
    order_by: OrderOption = "",
    limit: LimitOption = 50,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List the slots of a job and what came of them, the newest first.

    Examples:

        penstock jobs slots nightly --filter 'state = SKIPPED'

        penstock jobs slots nightly --filter 'slot_time >= 2026-01-01 AND kind = MANUAL'
    """
    from penstock.cli.job_text import print_slots
    from penstock.v1.job_service_pb2 import ListJobSlotsResponse

    with session_of(context).connect() as client:
        found = client.jobs.slots(job, filter=filter, order_by=order_by, page_size=min(limit, 1000))
        slots = list(islice(found, limit))
        if output is OutputFormat.JSON:
            print_json(ListJobSlotsResponse(slots=slots))
        else:
            print_slots(slots, clock_of(client.jobs.get(job)))
            if next(found, None) is not None:
                say(f"... and older ones: --limit {10 * limit} shows more")


@app.command("preview")
def preview_slots(
    context: typer.Context,
    job: Annotated[
        str,
        typer.Argument(metavar="[JOB]", help="A job; without one, --cron or --every say when.", show_default=False),
    ] = "",
    cron: CronOption = "",
    every: EveryOption = "",
    time_zone: TimeZoneOption = "",
    start: StartOption = "",
    end: EndOption = "",
    after: Annotated[str, typer.Option(metavar="TIME", help="Begin after it; by default now.")] = "",
    count: Annotated[int, typer.Option("--count", "-c", min=1, max=1000, help="How many.")] = 10,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Show when a job fires next, or when one would that is not made yet.

    Examples:

        penstock jobs preview nightly

        penstock jobs preview --cron '30 2 * * *' --time-zone Europe/Berlin --after 2026-03-28 --count 3
    """
    if bool(job) is bool(cron or every):
        raise UsageError("give a JOB, or --cron or --every: one of the two")
    clock = named_clock(time_zone or "UTC") if cron else named_clock("")
    with session_of(context).connect() as client:
        if job:
            clock = clock_of(client.jobs.get(job))
        times = client.jobs.preview(
            job or None,
            cron=cron,
            every=read_duration("--every", every, days_max=3650),
            time_zone=time_zone,
            start_time=clock.read("--start", start),
            end_time=clock.read_end("--end", end),
            after=clock.read("--after", after),
            count=count,
        )
    if output is OutputFormat.JSON:
        _print_times(times)
    elif times:
        print_table([clock.heading("SLOT"), "UTC"], [[clock.text(time), UTC_CLOCK.text(time)] for time in times])
    else:
        note("none: it has ended")


@app.command("watch")
def watch_job(context: typer.Context, job: JobArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Follow a job: its newest slots, then a line for each thing that happens, until you leave with Ctrl-C.

    With -o json each line is a response of WatchJob. Exit status: 130 you left, 2 the job was deleted.

    Example: penstock jobs watch nightly
    """
    with session_of(context).connect() as client:
        try:
            _follow(client, client.jobs.get(job), output)
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


def _follow(client: "Client", job: "Job", output: OutputFormat) -> None:
    from penstock.cli.job_lines import JobLines, slot_line

    newest = list(islice(client.jobs.slots(job, page_size=SLOTS_SHOWN), SLOTS_SHOWN))
    oldest = min((slot.sequence for slot in newest), default=1)
    clock, lines = clock_of(job), JobLines()
    for response in client.watch_job(job, after_sequence=oldest - 1):
        if output is OutputFormat.JSON:
            print_json(response, indent=None)
            continue
        line = lines.line(response.job) if response.HasField("job") else slot_line(response.slot, clock)
        if line is not None:
            say(line)


def _print_times(times: "list[datetime]") -> None:
    from penstock.v1.job_service_pb2 import PreviewJobSlotsResponse

    response = PreviewJobSlotsResponse()
    for time in times:
        response.slot_times.add().FromDatetime(time)
    print_json(response)
