"""`penstock jobs ...`: what acts on jobs."""

from typing import TYPE_CHECKING

import typer

from penstock.cli.clocks import clock_of
from penstock.cli.job_options import JobArgument
from penstock.cli.output import OutputFormat, OutputOption, note, print_json
from penstock.cli.session import session_of

if TYPE_CHECKING:
    from penstock.v1.job_pb2 import Job


def register(app: typer.Typer) -> None:
    """Make the commands part of `penstock jobs`."""
    for name, command in (
        ("enable", enable_job),
        ("disable", disable_job),
        ("archive", archive_job),
        ("unarchive", unarchive_job),
        ("delete", delete_job),
        ("trigger", trigger_job),
    ):
        app.command(name)(command)


def enable_job(context: typer.Context, job: JobArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Let a job fire from now on; what it did not while it was disabled is not made up for.

    Example: penstock jobs enable nightly
    """
    with session_of(context).connect() as client:
        tell_job(client.jobs.enable(job), output)


def disable_job(context: typer.Context, job: JobArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Let a job fire no more; its runs go on.

    Example: penstock jobs disable nightly
    """
    with session_of(context).connect() as client:
        tell_job(client.jobs.disable(job), output)


def archive_job(context: typer.Context, job: JobArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Archive a job: it fires no more and is out of the way; its runs go on.

    Example: penstock jobs archive nightly
    """
    with session_of(context).connect() as client:
        tell_job(client.jobs.archive(job), output)


def unarchive_job(context: typer.Context, job: JobArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Take a job back from the archive, enabled or disabled as it was.

    Example: penstock jobs unarchive nightly
    """
    with session_of(context).connect() as client:
        tell_job(client.jobs.unarchive(job), output)


def delete_job(context: typer.Context, job: JobArgument) -> None:
    """Delete a job with its slots and backfills; its runs stay.

    Example: penstock jobs delete nightly
    """
    with session_of(context).connect() as client:
        client.jobs.delete(job)
    note(f"deleted {job}; its runs stay")


def trigger_job(context: typer.Context, job: JobArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Run a job at once, also one that is disabled; its overlap policy holds.

    Example: penstock jobs trigger nightly
    """
    from penstock.cli.job_text import print_slots

    with session_of(context).connect() as client:
        slot = client.jobs.trigger(job)
        if output is OutputFormat.JSON:
            print_json(slot)
        else:
            print_slots([slot], clock_of(client.jobs.get(job)))


def tell_job(job: "Job", output: OutputFormat) -> None:
    """Print the job as it is."""
    from penstock.cli.job_text import print_jobs

    if output is OutputFormat.JSON:
        print_json(job)
    else:
        print_jobs([job])
