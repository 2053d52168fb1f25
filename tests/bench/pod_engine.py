"""What pods cost a server on a simulated cluster: CPU and memory for five hundred and for five thousand at once."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

from penstock.v1 import run_pb2, run_service_pb2
from tests import pipelines
from tests.bench import processes
from tests.bench.bed import LOOK_AGAIN_S, Bed, Row, until
from tests.bench.simulated_cluster import NAMESPACE as SIMULATED

WIDTHS = (500, 5_000)
RELISTS = 3
IDLE_S = 5.0
QUIET_S = 1.0
QUIET_CPU_S = 0.03
"""A server that takes no more in `QUIET_S` has done all that there was to do."""
PATIENCE_S = 600.0
"""A server that does not do what is waited for ends the measure."""
CALLS_A_S = 300
FLAT = "flat within 1.5"
T = TypeVar("T")


def pod_engine(bed: Bed) -> list[Row]:
    """Runs that are as wide: all pods made and running, all listed again, all ended and removed."""
    least, most = (_cost(bed, width) for width in WIDTHS)
    label = f"{WIDTHS[-1]:,} simulated pods"
    return [
        Row(f"{label}, server's CPU a pod until it runs", most.start_ms, "ms", least.start_ms, FLAT),
        Row(f"{label}, server's CPU a pod from its end until it is gone", most.end_ms, "ms", least.end_ms, FLAT),
        Row(f"{label}, memory a pod", most.memory_kib, "KiB", least.memory_kib, FLAT),
        Row(f"{label}, server's CPU to list all again, a pod", most.relist_ms, "ms", least.relist_ms, FLAT),
        Row(f"{label}, longest GetRun meanwhile", most.longest_call_ms, "ms", least.longest_call_ms),
        Row(f"{label}, server's CPU in a second in which nothing happens", most.idle_ms, "ms", least.idle_ms),
    ]


@dataclass(frozen=True, slots=True)
class _Cost:
    start_ms: float
    end_ms: float
    memory_kib: float
    relist_ms: float
    longest_call_ms: float
    idle_ms: float


class _Counts(NamedTuple):
    """What the cluster has."""

    pods: int
    lists: int
    """How often all pods were listed so far."""


@dataclass(frozen=True, slots=True)
class _Simulated:
    """The cluster's process."""

    process: "subprocess.Popen[str]"
    port: int

    def tell(self, command: str) -> _Counts:
        """Let it obey a line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        pods, lists = self.process.stdout.readline().split()
        return _Counts(int(pods), int(lists))


def _cost(bed: Bed, width: int) -> _Cost:
    with TemporaryDirectory() as folder, _simulated() as cluster, bed.serving(*_options(Path(folder), cluster.port)):
        _warm_up(bed, cluster)
        before_mib = processes.memory_mib(bed.server_pid)
        run, start_s = _spent(bed, lambda: _all_running(bed, cluster, width))
        memory_mib = processes.memory_mib(bed.server_pid) - before_mib
        idle_s = _cpu_s(bed, lambda: time.sleep(IDLE_S))
        longest_ms, relist_s = zip(
            *(_spent(bed, lambda: _relist(bed, cluster, run)) for _ in range(RELISTS)), strict=True
        )
        _, end_s = _spent(bed, lambda: _all_gone(bed, cluster, run))
    return _Cost(
        start_ms=1000 * start_s / width,
        end_ms=1000 * end_s / width,
        memory_kib=1024 * memory_mib / width,
        relist_ms=1000 * sum(relist_s) / width / RELISTS,
        longest_call_ms=max(longest_ms),
        idle_ms=1000 * idle_s / IDLE_S,
    )


def _warm_up(bed: Bed, cluster: _Simulated) -> None:
    """A small run to its end, so that all is loaded that will be needed."""
    cluster.tell("release")
    bed.run_s(pipelines.wide(20, "true"))
    _settle(bed)
    cluster.tell("hold")


def _all_running(bed: Bed, cluster: _Simulated, width: int) -> run_pb2.Run:
    run = bed.create(pipelines.wide(width, "true"))
    _until(lambda: cluster.tell("look").pods >= width)
    return run


def _relist(bed: Bed, cluster: _Simulated, run: run_pb2.Run) -> float:
    """Let all pods be listed again; milliseconds of the longest call meanwhile."""
    lists, longest_s = cluster.tell("break").lists, 0.0
    request = run_service_pb2.GetRunRequest(name=run.name)
    end = time.perf_counter() + QUIET_S
    while time.perf_counter() < end or cluster.tell("look").lists == lists:
        start = time.perf_counter()
        assert start < end + PATIENCE_S, "the pods are not listed again"
        bed.client.stubs.run.GetRun(request)
        longest_s = max(longest_s, time.perf_counter() - start)
        time.sleep(LOOK_AGAIN_S)
    return 1000 * longest_s


def _all_gone(bed: Bed, cluster: _Simulated, run: run_pb2.Run) -> None:
    cluster.tell("release")
    bed.finish(run)
    _until(lambda: not cluster.tell("look").pods)


def _spent(bed: Bed, work: Callable[[], T]) -> tuple[T, float]:
    """What comes of it, and the CPU seconds that the server has spent on it once it has nothing left to do."""
    before_s = processes.used(bed.server_pid).cpu_s
    result = work()
    _settle(bed)
    return result, processes.used(bed.server_pid).cpu_s - before_s


def _cpu_s(bed: Bed, work: Callable[[], object]) -> float:
    before_s = processes.used(bed.server_pid).cpu_s
    work()
    return processes.used(bed.server_pid).cpu_s - before_s


def _settle(bed: Bed) -> None:
    """Wait until the server does nothing any more."""
    _until(lambda: _cpu_s(bed, lambda: time.sleep(QUIET_S)) <= QUIET_CPU_S)


def _until(is_so: Callable[[], bool]) -> None:
    until(is_so, PATIENCE_S, "the server has not come so far")


@contextmanager
def _simulated() -> Iterator[_Simulated]:
    command = [sys.executable, "-m", "tests.bench.simulated_cluster"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield _Simulated(process, int(process.stdout.readline()))
        finally:
            process.stdin.close()  # which ends it


def _options(folder: Path, port: int) -> list[str]:
    """Of a server on the simulated cluster that may ask it more often than one would let it ask a real one."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(_kubeconfig(port)))
    options = {
        "--launcher": "kubernetes",
        "--kubeconfig": kubeconfig,
        "--kubernetes-namespace": SIMULATED,
        "--kubernetes-stage-image": "penstock",
        "--artifacts-url": f"file://{folder}/store",
        "--kubernetes-pods-max": 2 * max(WIDTHS),
        "--kubernetes-api-rate": CALLS_A_S,
    }
    return [str(word) for option in options.items() for word in option]


def _kubeconfig(port: int) -> dict[str, Any]:
    name = "simulated"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": name, "user": {"token": "token"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
