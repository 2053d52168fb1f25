"""Several servers on one database, and a database that goes away: runs carry on, callers are told."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from penstock import Client
from penstock.v1 import run_pb2, run_service_pb2, run_service_pb2_grpc
from penstock_server.engine.history import check
from tests import pipelines
from tests.e2e.histories import events_of
from tests.servers import BIN, Server, running

RUN_TIMEOUT_S = 60
TAKEOVER_S = 15
ANSWER_S = 5
STARTED_S = 20

pytestmark = pytest.mark.slow


def journalling(journal: Path, length: int = 2) -> dict[str, Any]:
    """A chain of steps that note their start and their end."""
    script = f"echo start $0 >> {journal}; sleep 1.5; echo end $0 >> {journal}"
    spec = pipelines.chain(length, "sh", "-c", script)
    container = spec["deploymentSpec"]["executors"]["exec-step"]["container"]
    container["args"] = ["{{$.pipeline_task_name}}"]
    return spec


def started(journal: Path) -> None:
    """Wait until the first step has begun."""
    give_up = time.monotonic() + STARTED_S
    while not journal.exists():
        assert time.monotonic() < give_up, "no step has started"
        os.sched_yield()


@pytest.fixture
def two(database_dsn: str, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two servers on one host, one database and one folder."""
    data, url = tmp_path / "data", ("--database-url", database_dsn)
    with running(data, *url) as one, running(data, *url) as other:
        yield one, other


def test_another_server_takes_a_killed_ones_runs_over_in_time(two: tuple[Server, Server], tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    one, other = two
    with Client(one.grpc) as client:
        runs = [client.create_run(journalling(journal)) for _ in range(3)]
    started(journal)
    one.kill()
    began = time.monotonic()
    with Client(other.grpc) as client:
        ended = [client.wait(run, timeout=RUN_TIMEOUT_S) for run in runs]
        histories = [check(events_of(client, run)) for run in ended]
    assert {run.state for run in ended} == {run_pb2.Run.STATE_SUCCEEDED}
    assert histories == [[], [], []]
    assert sorted(journal.read_text().splitlines()) == sorted(3 * ["start s0", "end s0", "start s1", "end s1"])
    assert time.monotonic() - began < TAKEOVER_S + 2 * 3 * 1.5


def test_a_frozen_database_is_told_in_time_and_work_goes_on_when_it_is_back(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with running(tmp_path / "data") as server, Client(server.grpc) as client:
        run = client.create_run(journalling(journal, 3))
        started(journal)
        processes = postgres_processes(server)
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            refusals = [refused(server, run) for _ in range(3)]
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)
        ended = client.wait(run, timeout=RUN_TIMEOUT_S)
        assert check(events_of(client, ended)) == []
    assert ended.state == run_pb2.Run.STATE_SUCCEEDED
    assert all(seconds < ANSWER_S and retry_s > 0 for seconds, retry_s in refusals)
    assert journal.read_text().splitlines() == [f"{what} s{i}" for i in range(3) for what in ("start", "end")]


def postgres_processes(server: Server) -> list[int]:
    """The postmaster and all its children."""
    postmaster = int((server.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    found = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=True)
    return [postmaster, *map(int, found.stdout.split())]


def refused(server: Server, run: run_pb2.Run) -> tuple[float, float]:
    """How long a call took to be refused, and after how long it says to come back. The channel does not retry."""
    request = run_service_pb2.GetRunRequest(name=run.name)
    began = time.monotonic()
    with grpc.insecure_channel(server.grpc, options=[("grpc.enable_retries", 0)]) as channel:
        call = run_service_pb2_grpc.RunServiceStub(channel).GetRun.future(request)
        assert call.code() is grpc.StatusCode.UNAVAILABLE
    seconds = time.monotonic() - began
    status = rpc_status.from_call(call)
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    return seconds, retry.retry_delay.ToTimedelta().total_seconds()


def test_migrating_twice_at_once_is_safe(empty_dsn: str) -> None:
    command = [str(BIN / "penstock-server"), "migrate", "--database-url", empty_dsn]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=RUN_TIMEOUT_S)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("0001_create_namespace.sql" in text for text in told) == 1
