"""`make chaos-kubernetes ROUNDS=n START=s`: rounds of faults on real servers and the cluster of KUBECONFIG."""

import argparse
import sys
from pathlib import Path

from tests.chaos.telling import Told, keep_logs, summarise, tell
from tests.kubernetes.chaos.rounds import play
from tests.kubernetes.chaos.world import opened


def main() -> int:
    """Exit status 1 when something was wrong; the logs of the servers are kept then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the seed of the first")
    asked = parser.parse_args()
    all_told: list[Told] = []
    with opened() as world:
        for seed in range(asked.start, asked.start + asked.rounds):
            all_told.append(play(world, seed))
            tell(all_told[-1])
        if any(told.problems for told in all_told):
            keep_logs(world.servers, Path("build") / "chaos-kubernetes")
    return 0 if summarise(all_told) else 1


if __name__ == "__main__":
    sys.exit(main())
