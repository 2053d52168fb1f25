"""Kill -9 of the server, of Postgres and of steps, at random moments under twenty runs.

What was acknowledged is never lost, no attempt of a step runs twice (the steps keep a journal of their own), every
run ends, and every history passes the checker.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from penstock import Client
from penstock.errors import UnavailableError
from penstock.v1 import run_pb2
from penstock_server.engine.history import check
from tests import pipelines
from tests.e2e.histories import events_of
from tests.servers import Server, running

RUNS = 20
RUN_TIMEOUT_S = 120
CALL_TIMEOUT_S = 60
MOMENT_MAX_S = 1.5
MARK = "penstock-chaos-step"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with more slots than cores, so that kills find something under way."""
    with running(tmp_path_factory.mktemp("chaos") / "data", "--max-parallel-steps", "6") as server:
        yield server


def journalling(journal: Path) -> dict[str, Any]:
    """Three steps in a diamond; each attempt notes its start and its end in the journal."""
    script = f': {MARK}; echo "start $0 $1 $KFP_RETRY_INDEX" >> {journal}; sleep 0.3; echo "end $0 $1" >> {journal}'
    names = ("{{$.pipeline_job_uuid}}", "{{$.pipeline_task_name}}")
    spec = pipelines.dag({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}, "sh", "-c", script, *names)
    for task in spec["root"]["dag"]["tasks"].values():
        task["retryPolicy"] = {"maxRetryCount": 5, "backoffDuration": "0s"}
    return spec


def kill_server(server: Server) -> None:
    server.kill()
    server.start()


def kill_postgres(server: Server) -> None:
    pid = int((server.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)


def kill_step(server: Server) -> None:
    """The user's program of one step, wherever one is found under way."""
    steps = [p for p in psutil.process_iter(["cmdline"]) if _is_step(p.info["cmdline"])]
    if steps:
        try:
            random.choice(steps).kill()
        except psutil.NoSuchProcess:
            return  # it ended in the meantime, which is as good


def _is_step(command: list[str] | None) -> bool:
    return bool(command) and any(MARK in argument for argument in command or ())


KILLS = (kill_server, kill_postgres, kill_step)


def round_of(server: Server, journal: Path, seed: int) -> None:
    """Twenty runs, one kill of each kind at random moments, and everything that has to hold afterwards."""
    moments = random.Random(seed)
    spec = journalling(journal)
    with Client(server.grpc) as client:
        runs = [submit(client, spec, f"chaos-{seed}-{index}") for index in range(RUNS)]
        for kill in moments.sample(KILLS, k=len(KILLS)):
            time.sleep(moments.uniform(0, MOMENT_MAX_S))  # the random moment is the point, nothing is awaited
            kill(server)
        ended = [client.wait(run, timeout=RUN_TIMEOUT_S) for run in runs]
        for run in ended:
            assert run.state == run_pb2.Run.STATE_SUCCEEDED, f"{run.name} {run.reason}: {run.message}"
            assert check(events_of(client, run)) == []
    assert_ran_once(journal, ended)


def submit(client: Client, spec: dict[str, Any], run_id: str) -> run_pb2.Run:
    """Create the run; while the database is away the call is repeated, which the run's id makes safe."""
    give_up = time.monotonic() + CALL_TIMEOUT_S
    while True:
        try:
            return client.create_run(spec, run_id=run_id)
        except UnavailableError:
            if time.monotonic() > give_up:
                raise


def assert_ran_once(journal: Path, runs: list[run_pb2.Run]) -> None:
    """No attempt started twice, and each task of each run came to its end exactly once."""
    lines = [tuple(line.split()) for line in journal.read_text().splitlines()]
    twice = [line for line, count in Counter(lines).items() if count > 1]
    assert twice == []
    ends = {line[1:] for line in lines if line[0] == "end"}
    assert ends == {(run.uid, task) for run in runs for task in "abcd"}


@pytest.mark.parametrize("seed", range(10))
def test_kills_at_random_moments_lose_nothing_and_run_nothing_twice(server: Server, tmp_path: Path, seed: int) -> None:
    round_of(server, tmp_path / "journal", seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10, 210))
def test_kills_at_random_moments_the_nightly_form(server: Server, tmp_path: Path, seed: int) -> None:
    round_of(server, tmp_path / "journal", seed)
