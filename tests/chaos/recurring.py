"""Jobs that fire each second through a round, and what has to hold of their slots once it is over."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

from penstock import Client
from penstock.errors import UnavailableError
from penstock.v1.job_pb2 import Job
from penstock_server.model.jobs import CatchUp, Overlap
from tests import pipelines
from tests.chaos.world import MARK, World
from tests.jobs import audit
from tests.jobs.checker import problems_of

JOBS = 3
BOUND_S = 120.0
RETRY_S = 0.2

T = TypeVar("T")


def begin(world: World, random: Random, journal: Path, prefix: str) -> list[Job]:
    """Jobs with policies of all kinds, whose steps note in the journal that they start and that they end."""
    with Client(random.choice(world.servers).grpc) as client:
        return [_job(client, random, journal, f"{prefix}-job-{number}") for number in range(JOBS)]


def _job(client: Client, random: Random, journal: Path, id: str) -> Job:
    overlap, bound = random.choice(list(Overlap)), random.randint(1, 2)
    return client.create_job(
        _noting(journal, random.uniform(0.1, 1.2)),
        every=1,
        job_id=id,
        catch_up=random.choice(list(CatchUp)),
        catch_up_limit=3,
        overlap=overlap,
        max_concurrency=0 if overlap is Overlap.ALLOW else bound,
        cache_policy="DISABLED",
    )


def end(world: World, random: Random, jobs: Sequence[Job]) -> tuple[int, list[str]]:
    """Disable them and wait for their runs; how many slots there were, and what is wrong with them."""
    with Client(random.choice(world.servers).grpc) as client:
        for job in jobs:
            _patiently(partial(client.jobs.disable, job))
        unfinished = [job.name for job in jobs if not _comes_to_rest(client, job)]
        problems = [f"{name} does not come to rest" for name in unfinished] + problems_of(world.postgres.dsn)
        slots = sum(len(record.slots) for record in audit.read_record(world.postgres.dsn)[1])
        for job in jobs:
            _patiently(partial(client.jobs.delete, job))
    audit.empty(world.postgres.dsn)
    return slots, problems


def _noting(journal: Path, seconds: float) -> pipelines.Ir:
    script = f': {MARK}; echo "start $0 $1 $KFP_RETRY_INDEX" >> {journal}; sleep {seconds:.2f}; '
    script += f'echo "end $0 $1 $KFP_RETRY_INDEX" >> {journal}'
    spec = pipelines.chain(1, "sh", "-c", script, "{{$.pipeline_job_uuid}}", "{{$.pipeline_task_name}}")
    for task in spec["root"]["dag"]["tasks"].values():
        task["retryPolicy"] = {"maxRetryCount": 6, "backoffDuration": "0s"}
    return spec


def _comes_to_rest(client: Client, job: Job) -> bool:
    """Nothing waits and nothing runs any more, within the bound."""
    give_up = time.monotonic() + BOUND_S
    while time.monotonic() < give_up:
        present = _patiently(partial(client.jobs.get, job))
        if not present.active_run_count and not present.waiting_slot_count:
            return True
        time.sleep(RETRY_S)
    return False


def _patiently(call: Callable[[], T]) -> T:
    """The database may still be on its way back."""
    give_up = time.monotonic() + BOUND_S
    while True:
        try:
            return call()
        except UnavailableError:
            if time.monotonic() > give_up:
                raise
            time.sleep(RETRY_S)
