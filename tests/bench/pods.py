"""Steps as pods, beside bare pods of the same shape on the same cluster: that of KUBECONFIG."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.v1 import run_pb2, run_service_pb2, task_pb2
from penstock.watching import BATCH_SIZE
from tests import pipelines
from tests.bench.bare_pods import BarePods
from tests.bench.bed import AT_ONCE, Bed, Row
from tests.bench.followers import percentile
from tests.bench.sightings import Moments, Sightings, sightings_in
from tests.kubernetes.cluster import SHELL_IMAGE, opened_cluster
from tests.kubernetes.images import penstock_image

WIDTH = 100
TARGET = "1.15"
STAGES = {"pod created": "created_s", "container started": "started_s", "outputs known": "known_s"}
"""What is told of, each from the moment on when the step was ready, by its field."""


def pods(bed: Bed) -> list[Row]:
    """A hundred steps, eight at a time, between two rounds of as many bare pods.

    The object store is a folder of the node: the network between pods and a store is not what is measured.
    """
    image = penstock_image()
    with opened_cluster() as cluster:
        options = {
            "--launcher": "kubernetes",
            "--artifacts-url": f"file://{cluster.store}",
            "--kubernetes-namespace": cluster.namespace,
            "--kubernetes-stage-image": image,
            "--kubernetes-pods-max": str(AT_ONCE),
        }
        with bed.serving(*(word for option in options.items() for word in option)):
            return bed.loop.run_until_complete(_compared(bed, cluster.namespace, image))


@dataclass(slots=True)
class _Rounds:
    """Rounds of one kind."""

    moments: list[Moments] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, moments: Sequence[Moments], seconds: float) -> None:
        self.moments += moments
        self.seconds.append(seconds)

    @property
    def turn_ms(self) -> float:
        """How long a place is taken by one step: the whole time, shared among the steps of that place."""
        return 1000 * sum(self.seconds) * AT_ONCE / len(self.moments)

    def stage_ms(self, stage: str, share: float) -> float:
        """From ready on."""
        return percentile([1000 * (getattr(each, stage) - each.ready_s) for each in self.moments], share)


async def _compared(bed: Bed, namespace: str, image: str) -> list[Row]:
    ours, floor = _Rounds(), _Rounds()
    async with sightings_in(namespace) as (api, seen):
        bare = BarePods(api, seen, namespace, image, SHELL_IMAGE)
        await bare.run(AT_ONCE, at_once=AT_ONCE)
        await _steps(bed, seen, AT_ONCE)
        for kind in (floor, ours, floor):
            await seen.none_there()
            start = time.perf_counter()
            moments = await (_steps(bed, seen, WIDTH) if kind is ours else bare.run(WIDTH, at_once=AT_ONCE))
            kind.add(moments, time.perf_counter() - start)
        await seen.none_there()
    rows = [Row(f"{WIDTH} pods, {AT_ONCE} at a time, turn of a step", ours.turn_ms, "ms", floor.turn_ms, TARGET)]
    for what, stage in STAGES.items():
        for name, share in (("p50", 0.5), ("p95", 0.95)):
            figures = ours.stage_ms(stage, share), floor.stage_ms(stage, share)
            rows.append(Row(f"a pod, ready to {what}, {name}", figures[0], "ms", figures[1], TARGET))
    return rows


async def _steps(bed: Bed, seen: Sightings, width: int) -> list[Moments]:
    """A run of so many steps."""
    spec = pipelines.wide(width, "true")
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = SHELL_IMAGE
    followed = await asyncio.to_thread(lambda: _follow(bed, bed.create(spec)))
    assert len(followed.known_s) == width, f"{len(followed.known_s)} steps of {width} have ended well"
    return [_moments(followed, seen, task) for task in followed.known_s]


def _moments(followed: "_Followed", seen: Sightings, task: str) -> Moments:
    pod = seen.of_task(task)
    return Moments(followed.ready_s[task], pod.created_s, pod.started_s, followed.known_s[task])


@dataclass(slots=True)
class _Followed:
    """What a client has heard of a run's steps, by the ids of their tasks."""

    ready_s: dict[str, float] = field(default_factory=dict)
    """The beginning of the transaction that has decided the launch."""
    known_s: dict[str, float] = field(default_factory=dict)
    """When the client was told of the end and the outputs."""


def _follow(bed: Bed, run: run_pb2.Run) -> _Followed:
    followed = _Followed()
    for batch in bed.client.stubs.run.WatchRun(run_service_pb2.WatchRunRequest(name=run.name, batch_size=BATCH_SIZE)):
        came_s = time.time()
        for event in (batch.event, *(response.event for response in batch.more)):
            task = event.task.rpartition("/tasks/")[2]
            if event.attempt_transition.to_state == task_pb2.Attempt.STATE_LAUNCHING:
                followed.ready_s.setdefault(task, event.time.ToNanoseconds() / 1e9)  # told again while it waits
            elif task in followed.ready_s and event.task_transition.to_state == task_pb2.Task.STATE_SUCCEEDED:
                followed.known_s[task] = came_s
    return followed
