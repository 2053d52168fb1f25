"""Options on what a run reuses and what bounds it: of `penstock run`, and of the runs of a job."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from penstock.cli.durations import read_duration


class CachePolicy(StrEnum):
    """What the run does with results of earlier runs."""

    DEFAULT = "default"
    DISABLED = "disabled"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Span:
    """An option with a duration."""

    option: str
    text: str
    """Empty: not given."""
    days_max: int = 365

    @property
    def seconds(self) -> float | None:
        """None where it is not given. Raises UsageError."""
        return read_duration(self.option, self.text, days_max=self.days_max)


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """What is given of them."""

    cache: Annotated[
        CachePolicy | None,
        typer.Option(
            help="Results of earlier runs: used as the pipeline says, unused, or renewed.", show_default=False
        ),
    ] = None
    cache_max_age: Annotated[str, typer.Option(metavar="DURATION", help="Reuse no results that are older.")] = ""
    deadline: Annotated[
        str, typer.Option(metavar="DURATION", help="Fail it after this long, such as 90s, 30m or 2h.")
    ] = ""
    task_timeout: Annotated[str, typer.Option(metavar="DURATION", help="Stop attempts at a step after this long.")] = ""
    queue_timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="Fail a step that has waited for a slot for this long.")
    ] = ""
    priority: Annotated[
        int | None, typer.Option(min=-1000, max=1000, help="Steps of runs with a higher one start first.")
    ] = None
    max_parallel_tasks: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Steps of it at a time at most; 0: any.")
    ] = None

    @property
    def cache_policy(self) -> str:
        """As the API spells it; empty where it is not given."""
        return self.cache.value if self.cache is not None else ""

    @property
    def spans(self) -> dict[str, Span]:
        """Those that are durations, by the field of a run that they go into."""
        return {
            "cache_max_age": Span("--cache-max-age", self.cache_max_age, days_max=3650),
            "deadline": Span("--deadline", self.deadline),
            "task_timeout": Span("--task-timeout", self.task_timeout),
            "queue_timeout": Span("--queue-timeout", self.queue_timeout),
        }

    def arguments(self) -> dict[str, Any]:
        """As the client takes them that makes a run. Raises UsageError."""
        spans = {name: span.seconds for name, span in self.spans.items()}
        limits = {"priority": self.priority or 0, "max_parallel_tasks": self.max_parallel_tasks or 0}
        return {"cache_policy": self.cache_policy, **spans, **limits}
