"""Clients that follow a run in a process of their own, and tell how late each event came."""

import math
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import grpc

from penstock.v1 import run_service_pb2, run_service_pb2_grpc
from penstock.watching import BATCH_SIZE

START_S = 60
LONGEST_S = 600
"""Nothing that is followed lasts longer."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it came to a client."""

    written_s: float
    """Since 1970: the beginning of the transaction that wrote it, so that the commit is part of the lag."""
    lag_ms: float


class Followers:
    """So many watches of one run, from its beginning to its end; ready before there is such a run."""

    def __init__(self, target: str, count: int = 1) -> None:
        context = multiprocessing.get_context("spawn")
        self._names: multiprocessing.Queue[str] = context.Queue()
        self._told: multiprocessing.Queue[list[Told]] = context.Queue()
        self._process = context.Process(target=_follow_all, args=(target, count, self._names, self._told))

    def __enter__(self) -> "Followers":
        self._process.start()
        assert self._told.get(timeout=START_S) == []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.terminate()
        self._process.join()

    def begin(self, run: str) -> None:
        """Follow the run of that name."""
        self._names.put(run)

    def end(self) -> list[Told]:
        """All events of all watches, once the run has ended."""
        return self._told.get(timeout=LONGEST_S)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that is not below `share` of all."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _follow_all(
    target: str, count: int, names: "multiprocessing.Queue[str]", told: "multiprocessing.Queue[list[Told]]"
) -> None:
    with grpc.insecure_channel(target) as channel, ThreadPoolExecutor(count) as threads:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        told.put([])  # ready
        name = names.get(timeout=LONGEST_S)
        followed = threads.map(lambda _: _follow(stub, name), range(count))
        told.put([event for events in followed for event in events])


def _follow(stub: run_service_pb2_grpc.RunServiceStub, run: str) -> list[Told]:
    events: list[Told] = []
    for batch in stub.WatchRun(run_service_pb2.WatchRunRequest(name=run, batch_size=BATCH_SIZE)):
        came_s = time.time()
        for event in (batch.event, *(response.event for response in batch.more)):
            written_s = event.time.ToNanoseconds() / 1e9
            events.append(Told(written_s, 1000 * (came_s - written_s)))
            assert event.sequence == len(events), f"event {event.sequence} came as number {len(events)}"
    return events
