"""How late a watch tells of what was committed, while a thousand events a second are."""

import asyncio
import multiprocessing
import time
from collections import deque

from penstock.v1 import run_service_pb2
from penstock.watching import BATCH_SIZE
from penstock_server.engine.run_requests import NewRunRequest
from penstock_server.launch.base import StepRequest
from penstock_server.launch.fake import Act, FakeHost
from penstock_server.spec.document import from_struct
from tests import pipelines
from tests.bench.bed import NAMESPACE, Bed, Row
from tests.bench.engine_alone import alone
from tests.bench.followers import Followers, Told, percentile

RUN = "watched"
TASKS = 5_000
TASKS_A_S = 200
"""Each of them makes five events when it starts and ends."""
SLOTS = 20
TICK_S = 0.01
SETTLED_S = 10.0
"""After so long the watch has told of the ten thousand events of the beginning, when all tasks were made and queued."""


def watch(bed: Bed) -> list[Row]:
    """A client that follows a run. The server only tells; the run moves on another one."""
    name = f"{NAMESPACE}/runs/{RUN}"
    with Followers(bed.target) as followers:
        mover = multiprocessing.get_context("spawn").Process(target=_move, args=(bed.dsn,))
        mover.start()
        bed.await_run(name)
        followers.begin(name)
        told = followers.end()
        mover.join()
    return [*_lags(told), Row("a watch of what has been, events a second", _replay_rate(bed, name), "/s")]


def _lags(told: list[Told]) -> list[Row]:
    first = min(event.written_s for event in told)
    steady = [event for event in told if event.written_s > first + SETTLED_S]
    seconds = max(event.written_s for event in steady) - min(event.written_s for event in steady)
    lags = [event.lag_ms for event in steady]
    return [
        Row("a watch, events a second", len(steady) / seconds, "/s"),
        Row("a watch, lag p50", percentile(lags, 0.5), "ms"),
        Row("a watch, lag p99", percentile(lags, 0.99), "ms", None, "below 50 ms"),
    ]


def _replay_rate(bed: Bed, name: str) -> float:
    start = time.perf_counter()
    request = run_service_pb2.WatchRunRequest(name=name, batch_size=BATCH_SIZE)
    count = sum(1 + len(response.more) for response in bed.client.stubs.run.WatchRun(request))
    return count / (time.perf_counter() - start)


def _move(dsn: str) -> None:
    asyncio.run(_move_async(dsn))


async def _move_async(dsn: str) -> None:
    """One run on a fake host whose attempts end at a steady rate."""
    running: deque[asyncio.Event] = deque()

    def script(_: StepRequest) -> Act:
        gate = asyncio.Event()
        running.append(gate)
        return Act(gate=gate)

    async with alone(dsn, FakeHost(script), slots=SLOTS) as engine:
        beat = asyncio.create_task(_beat(running))
        await engine.run(NewRunRequest("default", RUN, from_struct(pipelines.wide(TASKS, "true"))))
        beat.cancel()


async def _beat(running: deque[asyncio.Event]) -> None:
    loop = asyncio.get_running_loop()
    begun, ended = loop.time(), 0
    while True:
        while running and ended < (loop.time() - begun) * TASKS_A_S:
            running.popleft().set()
            ended += 1
        await asyncio.sleep(TICK_S)
