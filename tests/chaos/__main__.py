"""`make chaos ROUNDS=n START=s`: play rounds of faults on real processes, and tell of those that something broke in."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.rounds import play
from tests.chaos.telling import Told, keep_logs, summarise, tell
from tests.chaos.world import opened


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
            tell(all_told[-1])
        if any(told.problems for told in all_told):
            keep_logs(world.servers, Path("build") / "chaos")
    shutil.rmtree(folder)
    return 0 if summarise(all_told) else 1


if __name__ == "__main__":
    sys.exit(main())
