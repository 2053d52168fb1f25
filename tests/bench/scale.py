"""One run of ten thousand processes, and two thousand runs at once, on a real server that goes on answering."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

from google.protobuf.message import Message

from penstock.v1 import run_pb2, run_service_pb2
from tests import pipelines
from tests.bench import processes
from tests.bench.bed import NAMESPACE, Bed, Row
from tests.bench.followers import Followers, percentile

TRUE = "/bin/true"
WIDTHS = {100: 5, 1_000: 2, 10_000: 1}
"""How wide, and how often: the median is told."""
QUEUED = 2_000
CALLERS = 16
PAUSE_S = 0.02
"""Of whoever looks on between two of its calls."""
PAGE = 50

Ask = Callable[[], Message]


def scale(bed: Bed) -> list[Row]:
    """Fan-outs of `true`, eight at a time, and what the largest does to memory, to callers and to its watch."""
    bed.run_s(pipelines.fan_out(10, TRUE))
    steps = {width: _step_ms(bed, width, times) for width, times in WIDTHS.items() if width < max(WIDTHS)}
    rows, steps[max(WIDTHS)] = _widest(bed, max(WIDTHS))
    least = steps[min(steps)]
    flat = [
        Row(f"fan-out of {width:,} x true, a step", step, "ms", least, "flat within 1.5")
        for width, step in steps.items()
    ]
    return [*flat, *rows]


def queue(bed: Bed) -> list[Row]:
    """Two thousand runs of one step, made at once."""
    spec = pipelines.chain(1, TRUE)
    bed.run_s(spec)
    before = processes.memory_mib(bed.server_pid)
    start = time.perf_counter()
    with _memory_peak(bed) as peak, ThreadPoolExecutor(CALLERS) as threads:
        made = list(threads.map(lambda _: bed.create(spec), range(QUEUED)))
        submitted = time.perf_counter() - start
        bed.settle()
    seconds = time.perf_counter() - start
    return [
        Row("2,000 runs at once, submitted", QUEUED / submitted, "runs/s"),
        Row("2,000 runs at once, rate", QUEUED / seconds, "runs/s"),
        Row("2,000 runs at once, most places started late", _places_late(bed, {run.uid for run in made}), "places"),
        Row("2,000 runs at once, memory before", before, "MiB"),
        Row("2,000 runs at once, memory at most", peak.mib, "MiB", before),
    ]


def _step_ms(bed: Bed, width: int, times: int) -> float:
    spec = pipelines.fan_out(width, TRUE)
    return statistics.median(1000 * bed.run_s(spec) / (width + 2) for _ in range(times))


def _widest(bed: Bed, width: int) -> tuple[list[Row], float]:
    spec, id = pipelines.fan_out(width, TRUE), "widest"
    before = processes.memory_mib(bed.server_pid)
    with (
        Followers(bed.target) as followers,
        _memory_peak(bed) as peak,
        _looking_on(bed, f"{NAMESPACE}/runs/{id}") as seen,
    ):
        start = time.perf_counter()
        run = bed.create(spec, id)
        followers.begin(run.name)
        told = followers.end()
        seconds = time.perf_counter() - start
    after = processes.memory_mib(bed.server_pid)
    label = f"fan-out of {width:,}"
    rows = [
        Row(f"{label}, memory before", before, "MiB"),
        Row(f"{label}, memory at most", peak.mib, "MiB", before),
        Row(f"{label}, memory after", after, "MiB", before),
    ]
    for what, times_ms in seen.items():
        rows += [
            Row(f"{label}, {what} meanwhile, p50", percentile(times_ms, 0.5), "ms"),
            Row(f"{label}, {what} meanwhile, p99", percentile(times_ms, 0.99), "ms"),
        ]
    lags = [event.lag_ms for event in told]
    rows += [
        Row(f"{label}, lag of its watch, p50", percentile(lags, 0.5), "ms"),
        Row(f"{label}, lag of its watch, p99", percentile(lags, 0.99), "ms"),
    ]
    return rows, 1000 * seconds / (width + 2)


@dataclass
class _Peak:
    mib: float = 0.0


@contextmanager
def _memory_peak(bed: Bed) -> Iterator[_Peak]:
    """The most memory that the server holds meanwhile."""
    peak = _Peak()
    processes.begin_memory_peak(bed.server_pid)
    yield peak
    peak.mib = processes.memory_peak_mib(bed.server_pid)


@contextmanager
def _looking_on(bed: Bed, run: str) -> Iterator[dict[str, list[float]]]:
    """How long reads take meanwhile, in milliseconds, by what is read."""
    onlooker = _Onlooker(bed, run)
    thread = Thread(target=onlooker.look)
    thread.start()
    try:
        yield onlooker.times_ms
    finally:
        onlooker.enough.set()
        thread.join()


@dataclass
class _Onlooker:
    """Reads pages as a person would who keeps the run on the screen."""

    bed: Bed
    run: str
    times_ms: dict[str, list[float]] = field(default_factory=dict)
    enough: Event = field(default_factory=Event)

    def look(self) -> None:
        self.bed.await_run(self.run)
        stub = self.bed.client.stubs.run
        asks: dict[str, Ask] = {
            "GetRun": lambda: stub.GetRun(run_service_pb2.GetRunRequest(name=self.run)),
            "ListRuns": lambda: stub.ListRuns(run_service_pb2.ListRunsRequest(parent=NAMESPACE, page_size=PAGE)),
            "ListTasks": lambda: stub.ListTasks(run_service_pb2.ListTasksRequest(parent=self.run, page_size=PAGE)),
        }
        while not self.enough.wait(PAUSE_S):
            for what, ask in asks.items():
                start = time.perf_counter()
                ask()
                self.times_ms.setdefault(what, []).append(1000 * (time.perf_counter() - start))


def _places_late(bed: Bed, uids: set[str]) -> int:
    """By how many places a run started later than its making would have had it, at most."""
    found = [run for run in _all_runs(bed, "create_time") if run.uid in uids]
    begun = sorted(found, key=lambda run: run.start_time.ToNanoseconds())
    place = {run.uid: index for index, run in enumerate(begun)}
    return max(place[run.uid] - index for index, run in enumerate(found))


def _all_runs(bed: Bed, order: str) -> Iterator[run_pb2.Run]:
    request = run_service_pb2.ListRunsRequest(parent=NAMESPACE, page_size=1000, order_by=order)
    while True:
        page = bed.client.stubs.run.ListRuns(request)
        yield from page.runs
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
