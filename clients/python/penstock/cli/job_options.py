"""Options that several commands of `penstock jobs` have."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from penstock.cli.clocks import Clock
from penstock.cli.durations import read_duration
from penstock.cli.sources import read_labels

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Id or whole name of the job.", show_default=False)]


class CatchUp(StrEnum):
    """What happens to missed slots."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


class Overlap(StrEnum):
    """What happens to a slot while enough runs are not finished."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE_ONE = "queue-one"
    QUEUE_ALL = "queue-all"
    REPLACE = "replace"

    @property
    def policy(self) -> str:
        """As the API spells it."""
        return self.value.replace("-", "_")


CronOption = Annotated[
    str, typer.Option(metavar="EXPRESSION", help="Fire by the clock: '0 2 * * *', @daily, six fields with seconds.")
]
EveryOption = Annotated[str, typer.Option(metavar="DURATION", help="Fire every so often, such as 90s or 1h30m.")]
TimeZoneOption = Annotated[
    str, typer.Option("--time-zone", metavar="ZONE", help="Whose clock --cron means; by default UTC.")
]
StartOption = Annotated[str, typer.Option("--start", metavar="TIME", help="No slot before it; by default now.")]
EndOption = Annotated[str, typer.Option("--end", metavar="TIME", help="No slot after it.")]
RunNameOption = Annotated[
    str, typer.Option("--run-name", metavar="TEXT", help="Name of its runs for people; may hold macros too.")
]
MacroParametersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="NAME=VALUE",
        help="A parameter of the runs, read as `penstock run` does; may hold macros such as ${slot.time:%Y-%m-%d}.",
    ),
]


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """When a job fires, and what happens when it cannot: what is given of that."""

    cron: CronOption = ""
    every: EveryOption = ""
    time_zone: TimeZoneOption = ""
    start: StartOption = ""
    end: EndOption = ""
    catch_up: Annotated[
        CatchUp | None, typer.Option(help="Which missed slots fire after all; by default none.", show_default=False)
    ] = None
    catch_up_limit: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="N", help="With --catch-up all, so many; by default 100.")
    ] = None
    overlap: Annotated[
        Overlap | None,
        typer.Option(
            help="What a slot does while --max-concurrency runs are not finished; by default it waits (queue-all).",
            show_default=False,
        ),
    ] = None
    max_concurrency: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="N", help="Runs at a time; by default 1.")
    ] = None
    jitter: Annotated[str, typer.Option(metavar="DURATION", help="Fire up to so much later, each slot by its own.")] = (
        ""
    )
    max_consecutive_failures: Annotated[
        int | None, typer.Option(min=0, max=1000, metavar="N", help="Disable it after so many; 0: never.")
    ] = None

    def arguments(self, clock: Clock) -> dict[str, Any]:
        """What is given, as the client takes it; times without an offset are those of `clock`. Raises UsageError."""
        return _given(
            cron=self.cron or None,
            every=read_duration("--every", self.every, days_max=3650),
            time_zone=self.time_zone or None,
            start_time=clock.read("--start", self.start),
            end_time=clock.read_end("--end", self.end),
            catch_up=None if self.catch_up is None else self.catch_up.value,
            catch_up_limit=self.catch_up_limit,
            overlap=None if self.overlap is None else self.overlap.policy,
            max_concurrency=self.max_concurrency,
            jitter=read_duration("--jitter", self.jitter, days_max=1),
            max_consecutive_failures=self.max_consecutive_failures,
        )


@dataclass(frozen=True, slots=True)
class AboutOptions:
    """What a job is called and selected by: what is given of that."""

    display_name: Annotated[str | None, typer.Option(help="Name for people.")] = None
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label to select the job by.")
    ] = None

    def arguments(self) -> dict[str, Any]:
        """What is given, as the client takes it. Raises UsageError."""
        return _given(
            display_name=self.display_name,
            description=self.description,
            labels=None if self.labels is None else read_labels(self.labels),
        )


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
