"""What is asked of the import of a KFP installation, and what becomes of each resource."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can be taken over, as users say it."""

    EXPERIMENTS = "experiments"
    PIPELINES = "pipelines"
    VERSIONS = "versions"
    """Go with the pipelines."""
    SCHEDULES = "schedules"
    RUNS = "runs"


CHOICES = (Kind.EXPERIMENTS, Kind.PIPELINES, Kind.SCHEDULES, Kind.RUNS)
"""Kinds that can be chosen, in the order in which they are taken over."""


class Outcome(StrEnum):
    """What became of a resource."""

    MADE = "made"
    THERE = "there"
    """An earlier import has made it, or what is here goes by its name."""
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked."""

    kinds: frozenset[Kind] = frozenset(CHOICES)
    kfp_namespace: str = ""
    """Of an installation for several users; empty for a single one."""
    enable_schedules: bool = False
    dry_run: bool = False
    """Ask the server about everything, and let it make nothing."""


@dataclass(frozen=True, slots=True)
class Result:
    """One resource."""

    kind: Kind
    id: str
    """KFP's."""
    title: str
    """KFP's name for it."""
    outcome: Outcome
    name: str = ""
    """Ours, whole; empty for what is left out."""
    reason: str = ""
    """Why it is left out: a stable word, such as INVALID_SPEC."""
    notes: tuple[str, ...] = ()
    """Why it is left out, or what is otherwise than in KFP."""
    total: int = 0
    """How many of its kind KFP says that it has; 0 where it does not say."""
    enabled: bool = False
    """Of a schedule: it fires by now, and did not before; in a dry run, it would."""


class ElsewhereError(ValueError):
    """What is to be taken over is in another namespace of the server already."""
