"""`make chaos ROUNDS=n START=s`: play rounds of faults on real processes, and tell of those that something broke in."""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.chaos.rounds import Told, play
from tests.chaos.world import World, opened


def main() -> int:
    """Exit status 1 when something was wrong; the logs of the servers are kept then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the seed of the first")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="penstock-chaos-"))
    folder.chmod(0o755)
    all_told: list[Told] = []
    with opened(folder) as world:
        if not world.store.is_small:
            print("this user may not mount a tmpfs: the disk does not become full in these rounds")
        for seed in range(asked.start, asked.start + asked.rounds):
            all_told.append(play(world, seed))
            _tell(all_told[-1])
        wrong = sum(bool(told.problems) for told in all_told)
        if wrong:
            print(f"logs of the servers: {_keep_logs(world)}")
    shutil.rmtree(folder)
    _summarise(all_told, wrong)
    return 1 if wrong else 0


def _tell(told: Told) -> None:
    faults = ", ".join(f"{what} {count}" for what, count in sorted(told.faults.items()))
    came = f"{told.runs} runs, {told.steps} attempts, {told.slots} slots, {told.seconds:.0f} s"
    print(f"round {told.seed}: {came}; {faults}", flush=True)
    for problem in told.problems[:20]:
        print(f"  WRONG {problem}", flush=True)


def _summarise(all_told: list[Told], wrong: int) -> None:
    faults: Counter[str] = sum((told.faults for told in all_told), Counter())
    runs, steps = sum(told.runs for told in all_told), sum(told.steps for told in all_told)
    slots, seconds = sum(told.slots for told in all_told), sum(told.seconds for told in all_told)
    told_faults = ", ".join(f"{what} {count}" for what, count in faults.most_common())
    came = f"{runs} runs, {steps} attempts, {slots} slots, {wrong} rounds with problems, {seconds:.0f} s"
    print(f"{len(all_told)} rounds, {came}")
    print(f"faults: {told_faults}")


def _keep_logs(world: World) -> Path:
    kept = Path("build") / "chaos"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for number, server in enumerate(world.servers):
        (kept / f"server-{number}.log").write_text(server.read_log())
    return kept


if __name__ == "__main__":
    sys.exit(main())
