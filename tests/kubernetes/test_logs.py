"""Logs that outgrow what a node keeps of them, on a real cluster: whole while the step runs, and when it is gone."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock import Client
from penstock.v1.run_pb2 import Run
from penstock_server.launch.base import Phase, StepRequest
from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.logs.rhythm import MIB, LogRhythm
from penstock_server.launch.kubernetes.records import FOLDER
from tests import pipelines
from tests.conformance.scenes import on
from tests.kubernetes.cluster import PYTHON_IMAGE, Cluster
from tests.kubernetes.kubectl import kubectl_tried
from tests.kubernetes.pods import pods_of
from tests.kubernetes.scenes import KubernetesScene
from tests.kubernetes.servers import serving
from tests.launch.world import WAIT_S, component, step

pytestmark = pytest.mark.kubernetes
RUN_TIMEOUT_S = 300
LINE_BYTES = 8_000
"""Few lines, so that the runtime is hardly ever in the middle of some when it is told to begin a new file: the kubelet
leaves the old one a moment too early (docs/design/kubernetes.md)."""
WRITES = f"""
import os, sys, time
rate, lines, began, written = float(sys.argv[1]), int(sys.argv[2]), time.monotonic(), 0
while written < lines:
    due = min(lines, int((time.monotonic() - began) * rate / {LINE_BYTES}) + 1)
    os.write(1, b"".join(b"%010d %s\\n" % (number, b"x" * {LINE_BYTES - 12}) for number in range(written, due)))
    written = due
    time.sleep(0.02)
"""
"""Writes numbered lines, so many bytes a second."""
MIXED = """
import os, time
for number in range(60):
    os.write(1, b"%d \\r10%%\\r20%% \\xff\\x00" % number)
    os.write(2, b"to stderr %d\\n" % number)
    os.write(1, b"z" * (number * 977))
    time.sleep(0.1)
    os.write(1, b"" if number % 3 else b"\\n\\n")
os.write(1, b"no end")
"""
"""Lines that are longer than what the runtime writes in one piece, lines of two streams within one another."""
MIXED_RHYTHM = LogRhythm(rotated_at_bytes=100_000, first_s=0.3, least_s=0.3, most_s=1, flush_s=0.5, tick_s=0.2)


def numbered(count: int) -> bytes:
    return b"".join(b"%010d %s\n" % (number, b"x" * (LINE_BYTES - 12)) for number in range(count))


def writing(mib_per_s: float, lines: int) -> dict[str, Any]:
    """A pipeline of one step that writes as many lines."""
    spec = pipelines.wide(1, "python3", "-uc", WRITES, str(mib_per_s * MIB), str(lines))
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = PYTHON_IMAGE
    return spec


@pytest.fixture
def folder(cluster: Cluster, request: pytest.FixtureRequest) -> Path:
    made: Path = cluster.folder / request.node.name
    made.mkdir()
    return made


def until(test: Callable[[], bool]) -> None:
    """Wait until it is true; others make it so, and nothing tells of that."""
    end = time.monotonic() + RUN_TIMEOUT_S
    while not test():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.2)


def log_of(client: Client, run: Run, *, offset: int = 0, follow: bool = False) -> bytes:
    return b"".join(chunk.content for chunk in client.logs(run, "s0", offset=offset, follow=follow))


def first_line(cluster: Cluster, run: Run) -> int:
    """The number of the first line of the run's step that the node still has; -1 where there is none."""
    for pod in pods_of(cluster, run):
        name = pod["metadata"]["name"]
        told = kubectl_tried("logs", "--namespace", cluster.namespace, name, "--container=main", "--limit-bytes=10")
        if told.returncode == 0 and len(told.stdout) == 10:
            return int(told.stdout)
    return -1


def in_order(found: bytes, whole: bytes) -> None:
    """What was found is the log; a difference is told by its place."""
    if found != whole:
        at = next((at for at, (one, other) in enumerate(zip(found, whole, strict=False)) if one != other), -1)
        pytest.fail(f"{len(found)} bytes of {len(whole)}, different from byte {at} on: {found[at - 80 : at + 160]!r}")


def test_a_log_of_many_files_is_read_whole_while_it_is_written_and_when_the_pod_is_gone(
    cluster: Cluster, folder: Path, database_dsn: str
) -> None:
    lines = 36 * MIB // LINE_BYTES
    whole = numbered(lines)
    with (
        serving(cluster, folder, database_dsn, 2) as (owner, other),
        Client(owner.grpc) as client,
        Client(other.grpc) as reader,
        ThreadPoolExecutor(2) as threads,
    ):
        run = client.create_run(writing(0.75, lines))
        until(lambda: Run.State.Name(client.runs.get(run).state) == "STATE_RUNNING")
        follows = threads.submit(log_of, reader, run, follow=True)
        resumes = threads.submit(log_of, client, run, offset=15 * MIB + 7, follow=True)
        until(lambda: first_line(cluster, run) > 0)
        found = log_of(reader, run)
        assert len(found) > 8 * MIB
        in_order(found, whole[: len(found)])
        ended = client.wait(run, timeout=RUN_TIMEOUT_S)
        assert Run.State.Name(ended.state) == "STATE_SUCCEEDED"
        until(lambda: pods_of(cluster, run) == [])
        in_order(log_of(reader, run), whole)
        in_order(log_of(client, run, offset=30 * MIB), whole[30 * MIB :])
        in_order(follows.result(RUN_TIMEOUT_S), whole)
        in_order(resumes.result(RUN_TIMEOUT_S), whole[15 * MIB + 7 :])


def test_a_log_goes_on_when_its_server_is_killed(cluster: Cluster, folder: Path, database_dsn: str) -> None:
    lines = 30 * MIB // LINE_BYTES
    whole = numbered(lines)
    with serving(cluster, folder, database_dsn, 2) as (first, second), Client(second.grpc) as client:
        with Client(first.grpc) as owner:
            run = owner.create_run(writing(0.5, lines))
        until(lambda: Run.State.Name(client.runs.get(run).state) == "STATE_RUNNING")
        with ThreadPoolExecutor(1) as threads:
            follows = threads.submit(log_of, client, run, follow=True)
            until(lambda: first_line(cluster, run) > 0)
            new_file_at = first_line(cluster, run) * LINE_BYTES
            until(lambda: log_of(client, run, offset=new_file_at) != b"")
            first.kill()  # There are some 15 s to take the attempt over, until this file is full as well.
            ended = client.wait(run, timeout=RUN_TIMEOUT_S)
            assert Run.State.Name(ended.state) == "STATE_SUCCEEDED"
            in_order(log_of(client, run), whole)
            in_order(follows.result(RUN_TIMEOUT_S), whole)


async def test_a_log_of_any_bytes_is_as_the_node_has_it_though_it_is_stored_in_parts_by_two_servers(
    cluster: Cluster,
) -> None:
    scene = KubernetesScene(cluster)
    request = scene.placed(step(of=component(["python3", "-uc", MIXED], image=PYTHON_IMAGE)))
    async with on(scene.launcher()) as reader:
        async with on(scene.launcher(logs=MIXED_RHYTHM)) as first:
            await first.launcher.launch(request)
            await first.start_of(request)
            following = asyncio.create_task(reader.log_of(request, 1_001, follow=True))
            await parts(cluster, request, 2)
        async with on(scene.launcher(logs=MIXED_RHYTHM)) as second:
            await second.launcher.adopt([replace(request, fence=2, has_started=True)])
            assert (await second.end_of(request)).phase is Phase.SUCCEEDED
            whole = await asyncio.to_thread(kubelet_log, cluster, names.pod_name(request.facts.run_id, request.attempt))
            await second.launcher.forget([request.attempt])
        assert await reader.log_of(request) == whole
        assert await reader.log_of(request, 99_999) == whole[99_999:]
        assert await following == whole[1_001:]
        assert {name.split("-")[1] for name in await parts(cluster, request, 2)} == {"1", "2"}


async def parts(cluster: Cluster, request: StepRequest, count: int) -> list[str]:
    """Wait until so many parts of a log are stored; their names."""
    folder = cluster.store / FOLDER / str(request.attempt.run_uid)
    async with asyncio.timeout(WAIT_S):
        while len(found := [path.name for path in folder.rglob("*/log.parts/*")]) < count:
            await asyncio.sleep(0.1)
    return found


def kubelet_log(cluster: Cluster, pod: str) -> bytes:
    """The log as `kubectl` shows it."""
    command = ["kubectl", "logs", "--namespace", cluster.namespace, pod, "--container=main"]
    return subprocess.run(command, capture_output=True, timeout=WAIT_S, check=True).stdout
