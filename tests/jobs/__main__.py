"""`make simulate-jobs SEEDS=n START=s`: play seeds, and tell of those that something went wrong with."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from penstock_server.store.embedded import EmbeddedPostgres
from penstock_server.store.migrations import migrate
from tests.engine.job_world import simulated
from tests.jobs.audit import keep_record
from tests.jobs.simulation import simulate


def main() -> int:
    """Exit status 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="penstock-jobs-"))
    folder.chmod(0o755)
    try:
        return asyncio.run(_play(folder, range(asked.start, asked.start + asked.seeds)))
    finally:
        shutil.rmtree(folder)


async def _play(folder: Path, seeds: range) -> int:
    postgres = EmbeddedPostgres(folder)
    dsn = await postgres.start()
    began, wrong, slots = time.monotonic(), 0, 0
    try:
        await migrate(dsn)
        keep_record(dsn)
        dsn = simulated(dsn)
        for seed in seeds:
            told = await simulate(dsn, seed)
            slots += told.slots
            if told.problems:
                wrong += 1
                print(f"seed {seed}: {'; '.join(told.problems[:5])}", flush=True)
    finally:
        await postgres.close()
    seconds = time.monotonic() - began
    print(f"{len(seeds)} seeds, {slots:,} slots, {wrong} with problems, {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
