"""`penstock jobs create` and `update`: what a job is."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.clocks import Clock, clock_of, named_clock
from penstock.cli.failures import UsageError
from penstock.cli.job_control import tell_job
from penstock.cli.job_options import AboutOptions, JobArgument, MacroParametersOption, RunNameOption, ScheduleOptions
from penstock.cli.job_runs import NOTHING, RunChanges
from penstock.cli.limit_options import LimitOptions
from penstock.cli.option_groups import spread
from penstock.cli.output import OutputFormat, OutputOption, note, print_json, say
from penstock.cli.run import ExperimentOption, SourceArgument, ValidateOption
from penstock.cli.session import session_of
from penstock.cli.sources import job_source

if TYPE_CHECKING:
    from penstock.v1.job_pb2 import Job


LIFTABLE = {"start": "start_time", "end": "end_time", "jitter": "jitter"}
"""Options of a schedule that the value none lifts, with the fields they go into."""


def register(app: typer.Typer) -> None:
    """Make the commands part of `penstock jobs`."""
    app.command("create")(create_job)
    app.command("update")(update_job)


@spread
def create_job(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of the new job.", show_default=False)],
    source: SourceArgument,
    parameters: MacroParametersOption = None,
    *,
    schedule: ScheduleOptions,
    disabled: Annotated[bool, typer.Option("--disabled", help="Make it, but do not let it fire yet.")] = False,
    about: AboutOptions,
    run_name: RunNameOption = "",
    experiment: ExperimentOption = "",
    limits: LimitOptions,
    validate_only: ValidateOption = False,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Make a job: a pipeline that runs again and again.

    PIPELINE, PIPELINE@latest and an alias mean what they name when a slot fires; PIPELINE@3 is always version 3. Times
    without an offset are those of --time-zone; of a date --start means the first moment and --end the last.

    Examples:

        penstock jobs create nightly line-fit@latest --cron '0 2 * * *' --time-zone Europe/Berlin

        penstock jobs create hourly pipeline.yaml --every 1h -p 'day=${slot.time:%Y-%m-%d}' --overlap skip
    """
    if bool(schedule.cron) is bool(schedule.every):
        raise UsageError("give --cron or --every: one of them says when the job fires")
    clock = named_clock(schedule.time_zone or "UTC") if schedule.cron else Clock()
    with session_of(context).connect() as client:
        what, values = job_source(client, source, parameters or [])
        made = client.create_job(
            what,
            values,
            job_id=job,
            **schedule.arguments(clock),
            disabled=disabled,
            **about.arguments(),
            run_display_name=run_name,
            experiment=experiment or None,
            **limits.arguments(),
            validate_only=validate_only,
        )
    _tell_made(made, output, validate_only=validate_only)


@spread
def update_job(
    context: typer.Context,
    job: JobArgument,
    source: Annotated[
        str, typer.Option("--source", metavar="FILE|PIPELINE[@VERSION]", help="What its runs are from here on.")
    ] = "",
    parameters: MacroParametersOption = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", metavar="NAME", help="A parameter that takes its default again.")
    ] = None,
    *,
    schedule: ScheduleOptions,
    about: AboutOptions,
    run_name: RunNameOption = "",
    experiment: ExperimentOption = "",
    limits: LimitOptions,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Change what is given of a job; the next slot is of the new form, runs that are under way stay as they are.

    --start, --end, --jitter and what limits the runs are lifted with the value none; --label replaces all labels;
    --cron keeps the time zone unless --time-zone names another one.

    Examples:

        penstock jobs update nightly --cron '0 3 * * *'

        penstock jobs update nightly -p epochs=200 --end none
    """
    session = session_of(context)
    run = RunChanges(source, parameters or [], unset or [], run_name, experiment, limits)
    if not run.is_given and schedule == ScheduleOptions() and about == AboutOptions():
        raise UsageError("nothing to change: give --cron, --overlap, -p or another option; --help lists them")
    with session.connect() as client:
        present = client.jobs.get(job, with_spec=run.is_given)
        if schedule.cron or schedule.time_zone:
            schedule = _with_cron(schedule, present)
        clock = named_clock(schedule.time_zone) if schedule.cron else clock_of(present)
        lifted: dict[str, Any] = {option: "" for option in LIFTABLE if getattr(schedule, option) == NOTHING}
        changed = client.jobs.update(
            job,
            **replace(schedule, **lifted).arguments(clock),
            run=run.applied(client, session.namespace, present) if run.is_given else None,
            **about.arguments(),
            unset=[LIFTABLE[option] for option in lifted],
            etag=present.etag if run.is_given else "",
        )
    tell_job(changed, output)


def _with_cron(schedule: ScheduleOptions, job: "Job") -> ScheduleOptions:
    """Expression and zone, each as the job has it where it is not given."""
    expression = schedule.cron or job.cron.expression
    if not expression:
        raise UsageError("--time-zone goes with --cron: the job fires every so often, by no clock")
    return replace(schedule, cron=expression, time_zone=schedule.time_zone or job.cron.time_zone or "UTC")


def _tell_made(job: "Job", output: OutputFormat, *, validate_only: bool) -> None:
    if output is OutputFormat.JSON:
        print_json(job)
        return
    if validate_only:
        note(f"everything is right; no job was made; it {_outlook(job)}")
        return
    from penstock.names import last_segment

    name = last_segment(job.name)
    say(job.name)
    note(f"  {_outlook(job)}")
    note(f"  penstock jobs preview {name}       to see when it fires")
    note(f"  penstock jobs slots {name}         to see what came of it")
    note(f"  penstock jobs trigger {name}       to run it at once")


def _outlook(job: "Job") -> str:
    """What happens next."""
    from penstock.cli.job_text import job_state
    from penstock.names import last_segment

    if job.HasField("next_slot_time"):
        clock = clock_of(job)
        if job.next_slot_time.ToDatetime() < job.update_time.ToDatetime():
            return f"catches up with its slots since {clock.text(job.next_slot_time)}"
        return f"fires next at {clock.text(job.next_slot_time)}{f' ({clock.name})' if clock.name else ''}"
    if job_state(job) == "DISABLED":
        return f"is disabled: penstock jobs enable {last_segment(job.name)} lets it fire"
    return "never fires: no slot of its trigger lies ahead"
