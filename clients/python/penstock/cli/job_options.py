"""Options that several commands of `penstock jobs` have."""

from enum import StrEnum
from typing import Annotated

import typer

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
CatchUpOption = Annotated[
    CatchUp | None, typer.Option(help="Which missed slots fire after all; by default none.", show_default=False)
]
CatchUpLimitOption = Annotated[
    int | None, typer.Option(min=1, max=1000, metavar="N", help="With --catch-up all, so many; by default 100.")
]
OverlapOption = Annotated[
    Overlap | None,
    typer.Option(
        help="What a slot does while --max-concurrency runs are not finished; by default it waits (queue-all).",
        show_default=False,
    ),
]
ConcurrencyOption = Annotated[
    int | None, typer.Option("--max-concurrency", min=1, max=1000, metavar="N", help="Runs at a time; by default 1.")
]
JitterOption = Annotated[str, typer.Option(metavar="DURATION", help="Fire up to so much later, each slot by its own.")]
FailuresOption = Annotated[
    int | None,
    typer.Option(
        "--max-consecutive-failures", min=0, max=1000, metavar="N", help="Disable it after so many; 0: never."
    ),
]
DescriptionOption = Annotated[str | None, typer.Option(help="What it is for.")]
NameOption = Annotated[str | None, typer.Option("--display-name", help="Name for people.")]
JobLabelsOption = Annotated[
    list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label to select the job by.")
]
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
