"""What rounds of faults came to, and how it is told."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import Server

PROBLEMS_MAX = 20


@dataclass(slots=True)
class Told:
    """What a round came to."""

    seed: int
    runs: int = 0
    steps: int = 0
    """Attempts that began, those of jobs aside."""
    slots: int = 0
    """Of jobs."""
    faults: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


def tell(told: Told) -> None:
    """Print what a round came to."""
    faults = ", ".join(f"{what} {count}" for what, count in sorted(told.faults.items()))
    print(f"round {told.seed}: {_came([told])}; {faults}", flush=True)
    for problem in told.problems[:PROBLEMS_MAX]:
        print(f"  WRONG {problem}", flush=True)


def summarise(all_told: Sequence[Told]) -> bool:
    """Print what all rounds came to; whether nothing was wrong."""
    faults: Counter[str] = sum((told.faults for told in all_told), Counter())
    wrong = sum(bool(told.problems) for told in all_told)
    print(f"{len(all_told)} rounds, {wrong} with problems, {_came(all_told)}")
    print(f"faults: {', '.join(f'{what} {count}' for what, count in faults.most_common())}")
    return not wrong


def keep_logs(servers: Sequence[Server], folder: Path) -> None:
    """Write down in `folder` what the servers have said; what was there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, server in enumerate(servers):
        (folder / f"server-{number}.log").write_text(server.read_log())
    print(f"logs of the servers: {folder}")


def _came(all_told: Sequence[Told]) -> str:
    runs, steps = sum(told.runs for told in all_told), sum(told.steps for told in all_told)
    slots, seconds = sum(told.slots for told in all_told), sum(told.seconds for told in all_told)
    return f"{runs} runs, {steps} attempts, {f'{slots} slots, ' if slots else ''}{seconds:.0f} s"
