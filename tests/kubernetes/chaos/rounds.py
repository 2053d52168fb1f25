"""A round on a cluster: runs on two servers, faults at random moments, and all that has to hold once they are over."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from penstock import Client
from penstock.errors import DeadlineExceededError, UnavailableError
from penstock.v1.run_pb2 import Run
from tests.chaos.journal import problems_of_journal, read_journal
from tests.chaos.telling import Told
from tests.kubernetes.chaos.endings import Expected, noted_as, problems_of_run
from tests.kubernetes.chaos.faults import Faults
from tests.kubernetes.chaos.graphs import random_graph
from tests.kubernetes.chaos.world import World

RUNS = 4
RUN_TIMEOUT_S = 180
GONE_S = 150
"""Pods that a server leaves behind which is killed are found by the second look of another, a minute each."""
RETRY_S = 0.2


def play(world: World, seed: int) -> Told:
    """Play one round. The seed decides what happens when; how far steps are by then it does not."""
    began = time.monotonic()
    random, told = Random(seed), Told(seed, RUNS)
    journal = world.shared / f"journal-{seed}"
    journal.touch()
    journal.chmod(0o666)
    expected = _submit_all(world, random, journal, f"r{seed}-{uuid.uuid4().hex[:6]}")
    faults = Faults(world, random)
    _let_happen(faults, told)
    with Client(random.choice(world.servers).grpc) as client:
        _look(client, expected, journal, faults, told)
        told.problems += _left_behind(world, client, expected, faults)
    told.seconds = time.monotonic() - began
    return told


def _submit_all(world: World, random: Random, journal: Path, prefix: str) -> list[Expected]:
    expected = []
    for number in range(RUNS):
        run_id = f"{prefix}-{number}"
        graph = random_graph(random, run_id, journal, with_workspace=number == 0)
        with Client(random.choice(world.servers).grpc) as client:
            run = client.create_run(graph.spec, run_id=run_id, cache_policy="DISABLED")
        expected.append(Expected(run, graph.digests))
    return expected


def _let_happen(faults: Faults, told: Told) -> None:
    start = time.monotonic()
    for moment in faults.moments():
        time.sleep(max(0.0, start + moment.at_s - time.monotonic()))  # the random moment is the point
        if moment.happen() is not False:
            told.faults[moment.what] += 1


def _look(client: Client, expected: Sequence[Expected], journal: Path, faults: Faults, told: Told) -> None:
    """Wait for all runs, and compare each with what had to come of it."""
    ended = [(run, _wait(client, run.run)) for run in expected]
    lines = read_journal(journal.read_text())
    for run, end in ended:
        if end is None:
            told.problems.append(f"{run.run.name} has not ended")
            continue
        attempts, problems = problems_of_run(client, end, run, lines, faults)
        told.steps += attempts
        told.problems += problems
    told.problems += problems_of_journal(lines, {noted_as(attempt) for attempt in faults.cut_loose})


def _wait(client: Client, run: Run) -> Run | None:
    """The run at its end; None when that does not come."""
    give_up = time.monotonic() + RUN_TIMEOUT_S
    while (left_s := give_up - time.monotonic()) > 0:
        try:
            return client.wait(run, timeout=left_s)
        except UnavailableError:
            time.sleep(RETRY_S)
        except (DeadlineExceededError, TimeoutError):
            break
    return None


def _left_behind(world: World, client: Client, expected: Sequence[Expected], faults: Faults) -> Iterator[str]:
    """What should have gone with the ends of attempts, and with the runs, and has not.

    A pod that was removed by force may go on and store its report when its run is deleted already.
    """
    if pods := _remaining(partial(world.objects, "pods")):
        yield f"pods are left of attempts that are over: {pods}"
    claims = world.objects("pvc")
    if len(claims) != 1:
        yield f"not one workspace, but {claims}"
    for run in expected:
        client.runs.delete(run.run, force=True)
    found: dict[str, Callable[[], list[str]]]
    found = {
        "pods": partial(world.objects, "pods"),
        "claims": partial(world.objects, "pvc"),
        "records": partial(world.records, faults.cut_loose),
    }
    for what, there in found.items():
        if left := _remaining(there):
            yield f"{what} are left of runs that were deleted: {left}"
    world.forget_artifacts()


def _remaining(there: Callable[[], list[str]]) -> list[str]:
    """What is there still after a while that should go."""
    give_up = time.monotonic() + GONE_S
    while (left := there()) and time.monotonic() < give_up:
        time.sleep(RETRY_S)
    return left
