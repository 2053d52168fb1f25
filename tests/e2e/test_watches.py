"""What watches tell over connections that are cut again and again is what the event logs say: no gap, nothing twice."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from penstock import Client
from penstock.v1 import event_pb2, run_service_pb2
from penstock.v1.run_pb2 import Run
from tests import pipelines
from tests.e2e.cutting_proxy import cutting
from tests.servers import Server, running

RUNS = 6
STEPS = 12
WATCHERS_OF_EACH = 2
CUTS_MIN = 6
"""Each cuts all watches of its test: they share a connection. Busy machines need more runs for so many."""
TIMEOUT_S = 90

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "data", "--max-parallel-steps", "4") as server:
        yield server


def create_runs(client: Client) -> list[Run]:
    """Chains whose steps take a moment."""
    spec = pipelines.chain(STEPS, "sh", "-c", "sleep 0.1")
    return [client.create_run(spec, cache_policy="DISABLED") for _ in range(RUNS)]


def event_log(client: Client, run: Run) -> list[event_pb2.Event]:
    """All events of a run, as they are stored."""
    request = run_service_pb2.ListEventsRequest(parent=run.name, page_size=1000)
    return list(client.stubs.run.ListEvents(request).events)


def watch_run(address: str, run: Run) -> list[event_pb2.Event]:
    """All that a watch tells of a run, up to its end."""
    with Client(address) as client:
        return [response.event for response in client.watch_run(run)]


def watch_moves(address: str, token: str, count: int) -> list[event_pb2.Event]:
    """The first moves of runs that a watch tells after the place of a token."""
    with Client(address) as client:
        moves = (each.event for each in client.watch_runs(resume_token=token) if each.HasField("run"))
        return list(islice(moves, count))


def moves_in(logs: Sequence[Sequence[event_pb2.Event]]) -> set[tuple[str, int]]:
    """The moves of runs that logs tell of, by the run and the number."""
    moves = [event for log in logs for event in log if event.subject == event_pb2.Event.SUBJECT_RUN]
    return {(event.run, event.sequence) for event in moves}


@pytest.mark.parametrize("is_killed", [False, True], ids=["cuts alone", "the server is killed too"])
def test_watches_of_runs_tell_the_event_log_over_connections_that_are_cut(server: Server, is_killed: bool) -> None:
    with (
        Client(server.grpc) as client,
        cutting(server.grpc, seed=1) as proxy,
        ThreadPoolExecutor(RUNS * WATCHERS_OF_EACH) as watchers,
    ):
        while proxy.cuts < CUTS_MIN:
            runs = create_runs(client)
            told: list[tuple[Run, Future[list[event_pb2.Event]]]] = [
                (run, watchers.submit(watch_run, proxy.address, run)) for run in runs for _ in range(WATCHERS_OF_EACH)
            ]
            if is_killed:
                client.wait(runs[0], timeout=TIMEOUT_S)
                server.kill()
                server.start()
            for run, watched in told:
                assert watched.result(TIMEOUT_S) == event_log(client, run)


def test_a_watch_of_all_runs_tells_each_move_once_over_connections_that_are_cut(server: Server) -> None:
    with Client(server.grpc) as client, cutting(server.grpc, seed=2) as proxy, ThreadPoolExecutor(2) as watchers:
        token = next(iter(client.watch_runs())).resume_token
        runs = create_runs(client)
        expected = 3 * len(runs)  # each is made, starts, and ends
        told = [watchers.submit(watch_moves, proxy.address, token, expected) for _ in range(2)]
        for watched in told:
            moves = [(event.run, event.sequence) for event in watched.result(TIMEOUT_S)]
            assert set(moves) == moves_in([event_log(client, run) for run in runs])
            assert len(moves) == expected
            for run in runs:
                of_run = [sequence for name, sequence in moves if name == run.name]
                assert of_run == sorted(of_run)
        assert proxy.cuts >= CUTS_MIN
