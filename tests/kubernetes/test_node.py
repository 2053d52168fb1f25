"""What becomes of steps when something that the kubelet runs for their pods is killed on the node."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from obstore.store import S3Store

from penstock import Client
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Attempt
from penstock_server.engine.history import check
from penstock_server.launch.base import Phase
from penstock_server.launch.kubernetes import names
from penstock_server.model.json import JsonObject
from tests import pipelines
from tests.conformance.scenes import on
from tests.e2e.cutting_proxy import CuttingProxy, cutting
from tests.e2e.histories import events_of
from tests.kubernetes.cluster import SHELL_IMAGE, Cluster
from tests.kubernetes.kubectl import apply, read
from tests.kubernetes.node import Node, Victim, reached
from tests.kubernetes.pods import pods_of, state_of, until
from tests.kubernetes.scenes import KubernetesScene
from tests.kubernetes.servers import journal, serving
from tests.kubernetes.surroundings import STORE_SECRET, Surroundings, secret
from tests.object_stores import BUCKET, CREDENTIALS
from tests.servers import Server

pytestmark = pytest.mark.kubernetes
RUN_TIMEOUT_S = 120
CONTENT = "weights"
SUCCESS = ("SUCCEEDED", "SUCCEEDED")
POLITE = "trap 'exit 0' TERM"
"""A program that ends well when it is asked to, as those do that keep what they have so far."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A server, a node, and the way to the store."""

    cluster: Cluster
    folder: Path
    server: Server
    node: Node
    store: CuttingProxy
    objects: S3Store

    @property
    def shared(self) -> Path:
        """The folder that steps share with the test."""
        return self.folder / "shared"


@pytest.fixture(scope="module")
def scene(cluster: Cluster, around: Surroundings, new_dsn: Callable[[], str]) -> Iterator[Scene]:
    folder = cluster.folder / "node"
    folder.mkdir()
    apply(secret(cluster.namespace, STORE_SECRET, CREDENTIALS))
    store = around.store.endpoint.removeprefix("http://")
    with cutting(store, seed=1, life_s=None, host=around.host) as proxy, reached(cluster.namespace) as node:
        options = around.options(cluster.namespace, artifacts_endpoint=f"http://{proxy.address}")
        with serving(cluster, folder, new_dsn(), 1, *options, **CREDENTIALS) as (server,):
            yield Scene(cluster, folder, server, node, proxy, around.objects())


def begin(client: Client, scene: Scene, script: str, *, retries: int = 0) -> Run:
    """A run of one step that notes that it runs, does what the script says and leaves an artifact."""
    (scene.shared / "gate").unlink(missing_ok=True)
    (scene.shared / "journal").unlink(missing_ok=True)
    note = f'echo "$KFP_RETRY_INDEX" >> {scene.shared}/journal'
    words = ("sh", "-c", f'{note}; {script}; printf {CONTENT} > "$0"', "{{$.outputs.artifacts['made'].path}}")
    spec = pipelines.chain(1, *words)
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = "busybox"
    spec["components"]["comp-step"]["outputDefinitions"] = pipelines.makes("made")
    if retries:
        spec["root"]["dag"]["tasks"]["s0"]["retryPolicy"] = {"maxRetryCount": retries, "backoffDuration": "0s"}
    return client.create_run(spec, cache_policy="DISABLED")


def waiting(scene: Scene) -> str:
    return f"until [ -e {scene.shared}/gate ]; do sleep 0.1; done"


def kill(scene: Scene, run: Run, victim: Victim) -> None:
    """Kill it in the run's only pod, once it is there."""
    (pod,) = until(lambda: pods_of(scene.cluster, run))
    assert scene.node.kill(victim, pod["metadata"]["uid"]) == pod["metadata"]["uid"]


def state(scene: Scene, run: Run, container: str, *, restarts: int = 0) -> dict[str, Any]:
    """The state of a container of the run's only pod."""
    (pod,) = pods_of(scene.cluster, run)
    return state_of(pod, container, restarts=restarts)


def ended_well(scene: Scene, client: Client, run: Run) -> list[tuple[str, str]]:
    """How its attempts ended: state and reason. The run has succeeded, with its artifact, and leaves no pod."""
    (scene.shared / "gate").touch()
    ended = client.wait(run, timeout=RUN_TIMEOUT_S)
    assert Run.State.Name(ended.state) == "STATE_SUCCEEDED", ended
    assert check(events_of(client, ended)) == []
    task = client.runs.task(ended, "s0")
    (artifact,) = task.outputs.artifacts["made"].artifacts
    assert scene.objects.get(artifact.uri.removeprefix(f"s3://{BUCKET}/")).bytes() == CONTENT.encode()
    until(lambda: pods_of(scene.cluster, run) == [])
    attempts = [(Attempt.State.Name(each.state).removeprefix("STATE_"), each.reason) for each in task.attempts]
    assert journal(scene.shared) == sorted(set(journal(scene.shared)))
    return attempts


def test_a_step_whose_program_is_killed_has_failed_and_uses_the_retries_of_the_pipeline(scene: Scene) -> None:
    with Client(scene.server.grpc) as client:
        run = begin(client, scene, waiting(scene), retries=1)
        until(lambda: journal(scene.shared))
        kill(scene, run, Victim.MAIN)
        assert ended_well(scene, client, run) == [("FAILED", "EXIT_CODE"), SUCCESS]


def test_inputs_whose_fetching_is_killed_are_fetched_anew_by_another_attempt(scene: Scene) -> None:
    with Client(scene.server.grpc) as client:
        scene.store.hold()
        run = begin(client, scene, ":")
        kill(scene, run, Victim.STAGE_IN)
        scene.store.release()
        assert ended_well(scene, client, run) == [("LOST", "START_FAILED"), SUCCESS]
    assert journal(scene.shared) == ["1"]


def test_an_agent_that_is_killed_while_the_step_runs_is_started_again(scene: Scene) -> None:
    with Client(scene.server.grpc) as client:
        run = begin(client, scene, waiting(scene))
        until(lambda: journal(scene.shared))
        kill(scene, run, Victim.STAGE_OUT)
        until(lambda: "running" in state(scene, run, Victim.STAGE_OUT, restarts=1))
        assert ended_well(scene, client, run) == [SUCCESS]


def test_a_step_that_ends_while_its_agent_is_down_is_made_anew(scene: Scene) -> None:
    """The kubelet waits between two starts of a container, and starts none once the step has ended."""
    with Client(scene.server.grpc) as client:
        run = begin(client, scene, waiting(scene))
        until(lambda: journal(scene.shared))
        kill(scene, run, Victim.STAGE_OUT)
        until(lambda: "running" in state(scene, run, Victim.STAGE_OUT, restarts=1))
        kill(scene, run, Victim.STAGE_OUT)
        assert ended_well(scene, client, run) == [("LOST", "PUBLISH_FAILED"), SUCCESS]
    assert journal(scene.shared) == ["0", "1"]


def test_outputs_whose_storing_is_killed_are_made_anew(scene: Scene) -> None:
    with Client(scene.server.grpc) as client:
        run = begin(client, scene, waiting(scene))
        until(lambda: journal(scene.shared))
        scene.store.hold()
        (scene.shared / "gate").touch()
        until(lambda: "terminated" in state(scene, run, Victim.MAIN))
        kill(scene, run, Victim.STAGE_OUT)
        until(lambda: pods_of(scene.cluster, run)[0]["status"]["phase"] != "Running")
        scene.store.release()
        assert ended_well(scene, client, run) == [("LOST", "PUBLISH_FAILED"), SUCCESS]
    assert journal(scene.shared) == ["0", "1"]


@pytest.mark.parametrize("victim", [Victim.SANDBOX, Victim.SHIM])
def test_a_step_whose_pod_falls_apart_runs_again_and_has_not_succeeded(scene: Scene, victim: Victim) -> None:
    """Without its sandbox the kubelet asks the step to end, which says nothing of the step."""
    with Client(scene.server.grpc) as client:
        run = begin(client, scene, f"{POLITE}; {waiting(scene)}")
        until(lambda: journal(scene.shared))
        kill(scene, run, victim)
        until(lambda: len(journal(scene.shared)) == 2)
        assert ended_well(scene, client, run) == [("LOST", "SANDBOX_LOST"), SUCCESS]


@pytest.mark.parametrize("victim", [Victim.SANDBOX, Victim.SHIM])
def test_a_pod_that_falls_apart_before_the_step_has_begun_is_made_anew(scene: Scene, victim: Victim) -> None:
    with Client(scene.server.grpc) as client:
        scene.store.hold()
        run = begin(client, scene, ":")
        kill(scene, run, victim)
        until(lambda: client.runs.task(run, "s0").attempt_count == 2)
        scene.store.release()
        assert ended_well(scene, client, run) == [("LOST", "SANDBOX_LOST"), SUCCESS]
    assert journal(scene.shared) == ["1"]


async def test_a_pod_that_lost_its_sandbox_between_its_containers_is_not_waited_for(scene: Scene) -> None:
    """Its init container is deaf to the signal and ends well; the kubelet starts nothing after it, and says nothing."""
    play = KubernetesScene(scene.cluster)
    request = play.succeeding()
    deaf: JsonObject = {"name": "deaf", "image": SHELL_IMAGE, "command": ["sleep", "6"]}
    request = replace(request, settings=replace(request.settings, init_containers=(deaf,)))
    name = ("pod", names.pod_name(request.facts.run_id, request.attempt), "--namespace", scene.cluster.namespace)
    async with on(play.launcher()) as launched:
        await launched.launcher.launch(request)
        pod = await asyncio.to_thread(until, lambda: running(name, "deaf"))
        await asyncio.to_thread(scene.node.kill, Victim.SANDBOX, pod["metadata"]["uid"])
        end = await launched.end_of(request)
        assert (end.phase, end.reason) == (Phase.LOST, "SANDBOX_LOST")
        pod = await asyncio.to_thread(read, *name)
        assert (pod["status"]["phase"], "terminated" in state_of(pod, "deaf")) == ("Pending", True)
        await launched.launcher.forget([request.attempt])
        await asyncio.to_thread(until, lambda: not read(*name, "--ignore-not-found"))
    assert play.runs(request.attempt) == 0


def running(name: tuple[str, ...], container: str) -> dict[str, Any]:
    """The pod, once that container of it runs."""
    pod: dict[str, Any] | None = read(*name, "--ignore-not-found")
    return pod if pod is not None and "running" in state_of(pod, container) else {}
