"""`penstock jobs create` and `update`: what a job is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.clocks import Clock, clock_of, named_clock
from penstock.cli.durations import read_duration
from penstock.cli.failures import UsageError
from penstock.cli.job_control import tell_job
from penstock.cli.job_options import (
    CatchUpLimitOption,
    CatchUpOption,
    ConcurrencyOption,
    CronOption,
    DescriptionOption,
    EndOption,
    EveryOption,
    FailuresOption,
    JitterOption,
    JobArgument,
    JobLabelsOption,
    MacroParametersOption,
    NameOption,
    OverlapOption,
    RunNameOption,
    StartOption,
    TimeZoneOption,
)
from penstock.cli.job_runs import NOTHING, RunChanges, Span
from penstock.cli.output import OutputFormat, OutputOption, note, print_json, say
from penstock.cli.run import (
    CacheAgeOption,
    CacheOption,
    DeadlineOption,
    ExperimentOption,
    ParallelOption,
    PriorityOption,
    QueueTimeoutOption,
    SourceArgument,
    TaskTimeoutOption,
    ValidateOption,
)
from penstock.cli.session import session_of
from penstock.cli.sources import job_source, read_labels

if TYPE_CHECKING:
    from penstock.v1.job_pb2 import Job


def register(app: typer.Typer) -> None:
    """Make the commands part of `penstock jobs`."""
    app.command("create")(create_job)
    app.command("update")(update_job)


def create_job(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of the new job.", show_default=False)],
    source: SourceArgument,
    parameters: MacroParametersOption = None,
    cron: CronOption = "",
    every: EveryOption = "",
    time_zone: TimeZoneOption = "",
    start: StartOption = "",
    end: EndOption = "",
    catch_up: CatchUpOption = None,
    catch_up_limit: CatchUpLimitOption = None,
    overlap: OverlapOption = None,
    max_concurrency: ConcurrencyOption = None,
    jitter: JitterOption = "",
    max_consecutive_failures: FailuresOption = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Make it, but do not let it fire yet.")] = False,
    display_name: NameOption = None,
    description: DescriptionOption = None,
    labels: JobLabelsOption = None,
    run_name: RunNameOption = "",
    experiment: ExperimentOption = "",
    cache: CacheOption = None,
    cache_max_age: CacheAgeOption = "",
    deadline: DeadlineOption = "",
    task_timeout: TaskTimeoutOption = "",
    queue_timeout: QueueTimeoutOption = "",
    priority: PriorityOption = 0,
    max_parallel_tasks: ParallelOption = 0,
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
    if bool(cron) is bool(every):
        raise UsageError("give --cron or --every: one of them says when the job fires")
    clock = named_clock(time_zone or "UTC") if cron else Clock()
    with session_of(context).connect() as client:
        made = client.create_job(
            *job_source(client, source, parameters or []),
            job_id=job,
            cron=cron,
            every=read_duration("--every", every, days_max=3650),
            time_zone=time_zone,
            start_time=clock.read("--start", start),
            end_time=clock.read_end("--end", end),
            catch_up=catch_up.value if catch_up is not None else "",
            catch_up_limit=catch_up_limit or 0,
            overlap=overlap.policy if overlap is not None else "",
            max_concurrency=max_concurrency or 0,
            jitter=read_duration("--jitter", jitter, days_max=1),
            max_consecutive_failures=max_consecutive_failures or 0,
            disabled=disabled,
            display_name=display_name or "",
            description=description or "",
            labels=read_labels(labels or []),
            run_display_name=run_name,
            experiment=experiment or None,
            cache_policy=cache.value if cache is not None else "",
            cache_max_age=read_duration("--cache-max-age", cache_max_age, days_max=3650),
            deadline=read_duration("--deadline", deadline),
            task_timeout=read_duration("--task-timeout", task_timeout),
            queue_timeout=read_duration("--queue-timeout", queue_timeout),
            priority=priority,
            max_parallel_tasks=max_parallel_tasks,
            validate_only=validate_only,
        )
    _tell_made(made, output, validate_only=validate_only)


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
    cron: CronOption = "",
    every: EveryOption = "",
    time_zone: TimeZoneOption = "",
    start: StartOption = "",
    end: EndOption = "",
    catch_up: CatchUpOption = None,
    catch_up_limit: CatchUpLimitOption = None,
    overlap: OverlapOption = None,
    max_concurrency: ConcurrencyOption = None,
    jitter: JitterOption = "",
    max_consecutive_failures: FailuresOption = None,
    display_name: NameOption = None,
    description: DescriptionOption = None,
    labels: JobLabelsOption = None,
    run_name: RunNameOption = "",
    experiment: ExperimentOption = "",
    cache: CacheOption = None,
    cache_max_age: CacheAgeOption = "",
    deadline: DeadlineOption = "",
    task_timeout: TaskTimeoutOption = "",
    queue_timeout: QueueTimeoutOption = "",
    priority: Annotated[int | None, typer.Option(min=-1000, max=1000, help="Of its runs.")] = None,
    max_parallel_tasks: Annotated[int | None, typer.Option(min=0, help="Steps of a run at a time; 0: any.")] = None,
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
    run = RunChanges(
        source,
        parameters or [],
        unset or [],
        run_name,
        experiment,
        cache.value if cache is not None else "",
        priority,
        max_parallel_tasks,
        {
            "cache_max_age": Span("--cache-max-age", cache_max_age, days_max=3650),
            "deadline": Span("--deadline", deadline),
            "task_timeout": Span("--task-timeout", task_timeout),
            "queue_timeout": Span("--queue-timeout", queue_timeout),
        },
    )
    options = (cron, every, time_zone, start, end, jitter, catch_up, catch_up_limit, overlap, max_concurrency)
    others = (max_consecutive_failures, display_name, description, labels)
    if not run.is_given and all(value in (None, "") for value in (*options, *others)):
        raise UsageError("nothing to change: give --cron, --overlap, -p or another option; --help lists them")
    with session.connect() as client:
        present = client.jobs.get(job, with_spec=run.is_given)
        if cron or time_zone:
            cron, time_zone = _cron(present, cron, time_zone)
        clock = named_clock(time_zone) if cron else clock_of(present)
        changed = client.jobs.update(
            job,
            cron=cron,
            every=read_duration("--every", every, days_max=3650),
            time_zone=time_zone,
            start_time=clock.read("--start", _given(start)),
            end_time=clock.read_end("--end", _given(end)),
            catch_up=catch_up.value if catch_up is not None else None,
            catch_up_limit=catch_up_limit,
            overlap=overlap.policy if overlap is not None else None,
            max_concurrency=max_concurrency,
            jitter=read_duration("--jitter", _given(jitter), days_max=1),
            max_consecutive_failures=max_consecutive_failures,
            run=run.applied(client, session.namespace, present) if run.is_given else None,
            display_name=display_name,
            description=description,
            labels=None if labels is None else read_labels(labels),
            unset=_lifted({"start_time": start, "end_time": end, "jitter": jitter}),
            etag=present.etag if run.is_given else "",
        )
    tell_job(changed, output)


def _cron(job: "Job", cron: str, time_zone: str) -> tuple[str, str]:
    """Expression and zone, each as the job has it where it is not given."""
    expression = cron or job.cron.expression
    if not expression:
        raise UsageError("--time-zone goes with --cron: the job fires every so often, by no clock")
    return expression, time_zone or job.cron.time_zone or "UTC"


def _given(text: str) -> str:
    return "" if text == NOTHING else text


def _lifted(options: Mapping[str, str]) -> list[str]:
    return [field for field, text in options.items() if text == NOTHING]


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
