"""`penstock jobs backfill` and what belongs to it: past slots that fire after all."""

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.clocks import clock_of
from penstock.cli.failures import UsageError
from penstock.cli.job_options import JobArgument
from penstock.cli.output import FilterOption, LimitOption, OutputFormat, OutputOption, note, print_json
from penstock.cli.session import session_of

if TYPE_CHECKING:
    from penstock.v1.backfill_pb2 import Backfill


def register(app: typer.Typer) -> None:
    """Make the commands part of `penstock jobs`."""
    app.command("backfill")(make_backfill)
    app.command("backfills")(list_backfills)
    app.command("cancel-backfill")(cancel_backfill)


def make_backfill(
    context: typer.Context,
    job: JobArgument,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="The range begins here.", show_default=False)],
    end: Annotated[
        str, typer.Option("--to", metavar="TIME", help="It ends here; of a date its last moment counts.")
    ] = "",
    max_concurrency: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="So many of its runs at a time.")
    ] = 1,
    slot_limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Refuse it when it has more slots.")
    ] = 1000,
    backfill_id: Annotated[str, typer.Option("--id", help="Id of the backfill; made up by default.")] = "",
    validate_only: Annotated[bool, typer.Option("--validate-only", help="Only tell what it would come to.")] = False,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Let the slots of a range fire that have not fired: skipped ones, and those before the job was made.

    Times without an offset are those of the job's clock.

    Examples:

        penstock jobs backfill nightly --from 2026-01-01 --to 2026-01-10 --validate-only

        penstock jobs backfill nightly --from 2026-01-01 --to 2026-01-10 --max-concurrency 2
    """
    with session_of(context).connect() as client:
        clock = clock_of(client.jobs.get(job))
        first, last = clock.read("--from", start), clock.read_end("--to", end, datetime.now(UTC))
        if first is None or last is None:
            raise UsageError("--from and --to must not be empty: they are the first and the last moment of the range")
        made = client.jobs.backfill(
            job,
            first,
            last,
            max_concurrency=max_concurrency,
            slot_limit=slot_limit,
            backfill_id=backfill_id,
            validate_only=validate_only,
        )
    _tell_made(job, made, output, validate_only=validate_only)


def list_backfills(
    context: typer.Context,
    job: JobArgument,
    filter: FilterOption = "",
    limit: LimitOption = 50,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List the backfills of a job and how far they are, the newest first.

    Example: penstock jobs backfills nightly --filter 'state = RUNNING'
    """
    from penstock.cli.job_text import print_backfills
    from penstock.v1.job_service_pb2 import ListBackfillsResponse

    with session_of(context).connect() as client:
        found = client.jobs.list_backfills(job, filter=filter, page_size=min(limit, 1000))
        backfills = list(islice(found, limit))
        if output is OutputFormat.JSON:
            print_json(ListBackfillsResponse(backfills=backfills))
        else:
            print_backfills(backfills, clock_of(client.jobs.get(job)))


def cancel_backfill(
    context: typer.Context,
    job: JobArgument,
    backfill: Annotated[str, typer.Argument(metavar="BACKFILL", help="Id of the backfill.", show_default=False)],
    runs: Annotated[bool, typer.Option("--runs", help="Cancel its runs too.")] = False,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Let no more slots of a backfill fire; its runs go on unless --runs is given.

    Example: penstock jobs cancel-backfill nightly backfill-x4k2m9pq --runs
    """
    from penstock.cli.job_text import print_backfills

    with session_of(context).connect() as client:
        cancelled = client.jobs.cancel_backfill(job, backfill, cancel_runs=runs)
        if output is OutputFormat.JSON:
            print_json(cancelled)
        else:
            print_backfills([cancelled], clock_of(client.jobs.get(job)))


def _tell_made(job: str, backfill: "Backfill", output: OutputFormat, *, validate_only: bool) -> None:
    from penstock.cli.output import say
    from penstock.names import last_segment

    if output is OutputFormat.JSON:
        print_json(backfill)
        return
    counts = f"{backfill.slot_count} slots to fire, {backfill.fired_before_count} have fired before"
    if validate_only:
        note(f"{counts}; nothing was made")
        return
    say(backfill.name)
    note(f"  {counts}")
    note(f"  penstock jobs backfills {job}                     to see how far it is")
    note(f"  penstock jobs cancel-backfill {job} {last_segment(backfill.name)}   to stop it")
