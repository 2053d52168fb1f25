"""How steps are executed, whatever executes them; and as processes of this machine."""

import os
from dataclasses import dataclass

from penstock_server.main.declared import setting
from penstock_server.main.setting_kinds import choice, number, seconds, text, texts


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """Steps."""

    launcher: str = choice(
        "What executes steps. `process`: as processes on this machine. `kubernetes`: as pods of a cluster.",
        default="process",
        choices=("process", "kubernetes"),
        metavar="NAME",
    )
    max_parallel_steps: int = setting(
        doc="Steps at a time on this server; further ones wait their turn, in turns between runs.",
        default_factory=cores,
        metavar="N",
        default_text="one for each core",
        minimum=1,
        maximum=100_000,
    )
    step_grace_s: float = seconds(
        "How long a step that is cancelled may take to end before it is killed.", default=10.0, minimum=0
    )
    step_environ: tuple[str, ...] = texts(
        "Further variables of the server's environment that steps get. Steps get no others than a few common ones."
    )
    step_index_url: str = text(
        "The package index that the Python packages of steps come from.",
        metavar="URL",
        default_text="as configured for uv or pip",
        secret=True,
    )
    step_extra_index_urls: tuple[str, ...] = texts(
        "Further package indexes, looked at first.", metavar="URL,...", secret=True
    )
    step_environment_timeout_s: float = seconds(
        "A Python environment of steps that takes longer to build has failed.", default=1800.0, minimum=1
    )
    warm_pythons_max: int = number(
        "Python environments of steps for which an interpreter is kept that has loaded what KFP components need: "
        "their steps are forks of it and start in a few milliseconds. 0: each step starts an interpreter of its own.",
        default=4,
        minimum=0,
        maximum=1000,
    )
    warm_python_idle_s: float = seconds(
        "When no step has asked for such an interpreter for so long, it ends.", default=600.0, minimum=1
    )
