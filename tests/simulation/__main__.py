"""`make simulate SEEDS=n START=s`: play seeds, and tell of those that something went wrong with."""

import argparse
import sys
import time

from tests.simulation.simulation import simulate


def main() -> int:
    """Exit status 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first")
    asked = parser.parse_args()
    began, tasks, wrong = time.monotonic(), 0, 0
    for seed in range(asked.start, asked.start + asked.seeds):
        told = simulate(seed)
        tasks += told.tasks
        if told.problems:
            wrong += 1
            print(f"seed {seed}: {'; '.join(told.problems[:5])}", flush=True)
    seconds = time.monotonic() - began
    print(f"{asked.seeds} seeds, {tasks:,} tasks, {wrong} with problems, {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
