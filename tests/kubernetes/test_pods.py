"""What a launcher of pods has to do beyond what every launcher does, on a real cluster."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from penstock_server.launch.base import EarlierStep, Phase, StepRequest
from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.frame import Frame
from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import TaskValues
from penstock_server.model.states import FailureClass
from penstock_server.spec.graph import ParameterType
from penstock_server.spec.pod_settings import PodSettings
from tests.conformance.scenes import on
from tests.kubernetes.cluster import SHELL_IMAGE, Cluster, stage_from_store
from tests.kubernetes.images import penstock_image
from tests.kubernetes.kubectl import apply, evict, kubectl
from tests.kubernetes.scenes import KubernetesScene
from tests.launch.test_workspace import importing, sibling
from tests.launch.world import STRING, WAIT_S, Watched, attempt_id, component, step, until

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def scene(cluster: Cluster) -> KubernetesScene:
    return KubernetesScene(cluster)


def pod_of(request: StepRequest) -> str:
    return names.pod_name(request.facts.run_id, request.attempt)


BROKEN: list[tuple[str, Mapping[str, Any], str, str]] = [
    ("image", {"image": "nowhere.example/none:1"}, "IMAGE_UNAVAILABLE", "nowhere.example"),
    ("name of the image", {"image": "Not An Image"}, "IMAGE_UNAVAILABLE", "Not An Image"),
    (
        "secret",
        {"env": ({"name": "A", "valueFrom": {"secretKeyRef": {"name": "nosecret", "key": "k"}}},)},
        "CONTAINER_CONFIG_INVALID",
        'secret "nosecret" not found',
    ),
    (
        "too large for every node",
        {"resources": {"requests": {"cpu": "1000"}}},
        "UNSCHEDULABLE",
        "Insufficient cpu",
    ),
    (
        "no pod",
        {"resources": {"requests": {"cpu": "-1"}}},
        "POD_REFUSED",
        "must be greater than",
    ),
    (
        "node selector",
        {"node_selector": {"gpu": "yes"}},
        "UNSCHEDULABLE",
        "affinity/selector",
    ),
]


@pytest.mark.parametrize(("settings", "reason", "told"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
async def test_what_cannot_start_fails_with_the_words_of_the_cluster(
    scene: KubernetesScene, settings: Mapping[str, Any], reason: str, told: str
) -> None:
    async with on(scene.launcher()) as launched:
        request = replace(scene.succeeding(), settings=PodSettings(**settings))
        end = await launched.run(request)
        assert (end.phase, end.reason, end.failure_class) == (Phase.FAILED, reason, FailureClass.ENVIRONMENT)
        assert end.is_settled
        assert told in end.message
        assert scene.runs(request.attempt) == 0
        assert told in (await launched.log_of(request)).decode()


@pytest.mark.parametrize("program", ["/no/such/program", "no-such-program", "/etc/passwd", "/etc"])
async def test_a_program_that_the_image_has_not_got_cannot_start(scene: KubernetesScene, program: str) -> None:
    async with on(scene.launcher()) as launched:
        request = step(of=component([program], image=SHELL_IMAGE))
        end = await launched.run(scene.placed(request))
        assert (end.reason, end.failure_class) == ("PROGRAM_NOT_FOUND", FailureClass.ENVIRONMENT)
        assert end.is_settled
        assert program in end.message
        assert program in (await launched.log_of(request)).decode()


async def test_a_container_that_its_node_cannot_make_is_no_missing_program(scene: KubernetesScene) -> None:
    async with on(scene.launcher()) as launched:
        mounts = PodSettings(
            volumes=({"name": "file", "hostPath": {"path": "/etc/passwd"}},),
            volume_mounts=({"name": "file", "mountPath": "/etc"},),
        )
        end = await launched.run(replace(scene.succeeding(), settings=mounts))
        assert (end.reason, end.is_settled) == ("CONTAINER_START_FAILED", False), end


async def test_too_much_memory_is_told_with_the_limit(scene: KubernetesScene) -> None:
    async with on(scene.launcher()) as launched:
        of = component(["python3", "-c", "x = bytearray(500_000_000)"], image="python:3.11")
        limits = PodSettings(resources={"limits": {"memory": "64Mi"}})
        end = await launched.run(replace(scene.placed(step(of=of)), settings=limits))
        assert (end.reason, end.failure_class) == ("OUT_OF_MEMORY", FailureClass.OUT_OF_MEMORY)
        assert "64Mi" in end.message


async def test_time_that_runs_out_ends_the_step_without_a_server(scene: KubernetesScene) -> None:
    request, _ = scene.waiting(log="slow\n")
    async with on(scene.launcher()) as first:
        await first.launcher.launch(replace(request, timeout_s=4))
        await until(lambda: any(seen.handle for seen in first.told))
    async with on(scene.launcher()) as second:
        await second.launcher.adopt([request])
        end = await second.end_of(request)
        assert (end.reason, end.failure_class) == ("TIMED_OUT", FailureClass.TIMEOUT)


async def test_time_that_runs_out_ends_a_step_that_hears_no_signal_within_the_short_grace(
    cluster: Cluster, scene: KubernetesScene
) -> None:
    """The first process of a container is deaf to signals that it has not asked for; artifacts have ten minutes."""
    request, _ = scene.waiting(log="slow\n")
    async with on(scene.launcher(frame=Frame(scene.installation, stage_from_store(cluster.store), grace_s=600))) as it:
        end = await it.run(replace(request, timeout_s=3))
        assert (end.reason, end.failure_class) == ("TIMED_OUT", FailureClass.TIMEOUT)
        assert await it.log_of(request) == b"slow\n"


async def test_a_pod_that_somebody_deletes_is_lost_and_its_log_is_kept(
    cluster: Cluster, scene: KubernetesScene
) -> None:
    async with on(scene.launcher()) as launched:
        request, _ = scene.waiting(log="working\n")
        await launched.launcher.launch(request)
        await launched.start_of(request)
        await asyncio.to_thread(delete, cluster, request, "--grace-period=1")
        end = await launched.end_of(request)
        assert (end.phase, end.reason, end.log_tail) == (Phase.LOST, "POD_DELETED", "working")
        await launched.launcher.forget([request.attempt])
        assert await launched.log_of(request) == b"working\n"


async def test_a_pod_that_is_removed_by_force_is_lost(cluster: Cluster, scene: KubernetesScene) -> None:
    async with on(scene.launcher()) as launched:
        request, _ = scene.waiting()
        await launched.launcher.launch(request)
        await launched.start_of(request)
        await asyncio.to_thread(delete, cluster, request, "--grace-period=0", "--force")
        assert (await launched.end_of(request)).phase is Phase.LOST


async def test_a_pod_that_is_evicted_from_a_drained_node_is_lost(cluster: Cluster, scene: KubernetesScene) -> None:
    async with on(scene.launcher()) as launched:
        request, _ = scene.waiting()
        await launched.launcher.launch(request)
        await launched.start_of(request)
        await asyncio.to_thread(evict, cluster.namespace, pod_of(request), gracePeriodSeconds=1)
        end = await launched.end_of(request)
        assert (end.phase, end.reason) == (Phase.LOST, "POD_EVICTED")


async def test_a_stopped_step_keeps_its_log_and_leaves_no_pod(cluster: Cluster, scene: KubernetesScene) -> None:
    async with on(scene.launcher()) as launched:
        request, _ = scene.waiting(log="working\n")
        await launched.launcher.launch(request)
        await launched.start_of(request)
        await launched.launcher.stop(request.attempt)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        await launched.launcher.forget([request.attempt])
        assert await launched.log_of(request) == b"working\n"
        await gone(cluster, request)


async def test_a_step_that_is_stopped_while_it_pulls_says_nothing_but_that(
    cluster: Cluster, scene: KubernetesScene, caplog: pytest.LogCaptureFixture
) -> None:
    """Its sidecar is ended, as if it had crashed, and its node tells an end of a container that never was."""
    async with on(scene.launcher()) as launched:
        request = replace(scene.succeeding(), settings=PodSettings(image="nowhere.example/none:1"))
        await launched.launcher.launch(request)
        await until(lambda: any(seen.reason.endswith("IMAGE_PULL") for seen in launched.told))
        await launched.launcher.stop(request.attempt)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        await launched.launcher.forget([request.attempt])
        await gone(cluster, request)
        told = [seen.reason for seen in launched.told]
        assert set(told[told.index("ERR_IMAGE_PULL") + 1 :]) <= {"POD_TERMINATING", "STOPPED"}
    assert "log not kept" not in {record.message for record in caplog.records}


async def test_a_log_is_read_by_any_server_while_it_is_written(scene: KubernetesScene) -> None:
    async with on(scene.launcher()) as one, on(scene.launcher()) as other:
        request, finish = scene.waiting(log="0123456789")
        await one.launcher.launch(request)
        await one.start_of(request)
        following = asyncio.create_task(other.log_of(request, 4, follow=True))
        finish()
        await one.end_of(request)
        assert await asyncio.wait_for(following, WAIT_S) == b"456789"


async def test_what_waits_for_room_among_pending_pods_can_be_stopped(cluster: Cluster) -> None:
    launcher = cluster.launcher(uuid.uuid4().hex, pending_pods_max=1)
    async with on(launcher) as launched:
        scene = KubernetesScene(cluster)
        first = replace(scene.succeeding(), settings=PodSettings(node_selector={"gpu": "yes"}))
        second, third = scene.succeeding(), scene.succeeding()
        for request in (first, second, third):
            await launched.launcher.launch(request)
        await told(launched, second, "PENDING_PODS_LIMIT")
        await launched.launcher.stop(second.attempt)
        assert (await launched.end_of(second)).phase is Phase.STOPPED
        assert (await launched.end_of(first)).reason == "UNSCHEDULABLE"
        assert (await launched.end_of(third)).phase is Phase.SUCCEEDED
        assert [scene.runs(request.attempt) for request in (second, third)] == [0, 1]


async def test_a_pod_of_that_name_which_is_not_ours_is_left_alone(cluster: Cluster, scene: KubernetesScene) -> None:
    request = scene.succeeding()
    metadata = {"name": pod_of(request), "namespace": cluster.namespace}
    spec = {"containers": [{"name": "a", "image": SHELL_IMAGE}]}
    await asyncio.to_thread(apply, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    async with on(scene.launcher()) as launched:
        end = await launched.run(request)
        assert (end.phase, end.reason) == (Phase.FAILED, "LAUNCHER_ERROR")
        assert "is not of this attempt" in end.message
        await launched.launcher.forget([request.attempt])
    assert pod_of(request) in cluster.names("pods")


class Over:
    """Says of all attempts that they are over."""

    def __init__(self, fence_max: int) -> None:
        self._fence_max = fence_max

    async def over(self, attempts: Mapping[AttemptId, int]) -> set[AttemptId]:
        return {attempt for attempt, fence in attempts.items() if fence <= self._fence_max}


async def test_stray_pods_are_swept_unless_their_fence_is_newer(cluster: Cluster, scene: KubernetesScene) -> None:
    stale, newer = scene.waiting()[0], replace(scene.waiting()[0], fence=9)
    async with on(scene.launcher()) as first:
        for request in (stale, newer):
            await first.launcher.launch(request)
            await first.start_of(request)
    async with on(scene.launcher(registry=Over(5), sweep_s=0.5)):
        await gone(cluster, stale)
        assert pod_of(newer) in await asyncio.to_thread(cluster.names, "pods")


def claim_step(image: str, **parameters: Any) -> StepRequest:
    outputs: dict[str, ParameterType] = {"name": STRING} if image.endswith("createpvc") else {}
    return step(of=component([], image=image, outputs=outputs), inputs=TaskValues(parameters))


async def test_claims_are_made_once_and_deleted(cluster: Cluster, scene: KubernetesScene) -> None:
    async with on(scene.launcher()) as launched:
        asked = {"pvc_name_suffix": "-data", "access_modes": ["ReadWriteOnce"], "size": "5Mi"}
        made = claim_step("argostub/createpvc", storage_class_name="standard", **asked)
        end = await launched.run(made)
        name = end.outputs.parameters["name"]
        assert isinstance(name, str)
        assert name.endswith("-data")
        await launched.launcher.adopt([replace(made, has_started=True)])
        deleting = claim_step("argostub/deletepvc", pvc_name=name)
        made_then = EarlierStep("default", made.component, made.inputs, end.outputs)
        deleted_then = EarlierStep("default", deleting.component, deleting.inputs, TaskValues())
        assert [await launched.launcher.still_so(each) for each in (made_then, deleted_then)] == [True, False]
        await launched.run(deleting)
        assert name not in await asyncio.to_thread(cluster.names, "pvc")
        assert [await launched.launcher.still_so(each) for each in (made_then, deleted_then)] == [False, True]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"access_modes": ["ReadWriteOnce"], "size": "5Mi"}, "either pvc_name or pvc_name_suffix"),
        ({"pvc_name": "x", "access_modes": ["Sometimes"], "size": "5Mi"}, "access_modes"),
        ({"pvc_name": "x", "access_modes": ["ReadWriteOnce"]}, "size is missing"),
        ({"pvc_name": "Not A Name", "access_modes": ["ReadWriteOnce"], "size": "5Mi"}, "Invalid value"),
    ],
)
async def test_a_claim_that_cannot_be_made_fails_its_step(
    scene: KubernetesScene, parameters: Mapping[str, Any], told: str
) -> None:
    async with on(scene.launcher()) as launched:
        end = await launched.run(claim_step("argostub/createpvc", **parameters))
        assert (end.phase, end.reason) == (Phase.FAILED, "CLAIM_FAILED")
        assert told in end.message


async def test_the_steps_of_a_run_share_a_workspace_which_goes_with_the_run(
    cluster: Cluster, scene: KubernetesScene
) -> None:
    async with on(scene.launcher()) as launched:
        first = scene.placed(step(of=component(["sh", "-c", "echo shared > /kfp-workspace/x"], image=SHELL_IMAGE)))
        run = first.attempt.run_uid
        of = component(["sh", "-c", "cat /kfp-workspace/x"], image=SHELL_IMAGE)
        second = scene.placed(step(of=of, attempt=attempt_id("evaluate", run=run)))
        for request in (first, second):
            end = await launched.run(replace(request, has_workspace=True))
            assert end.phase is Phase.SUCCEEDED, end
        assert await launched.log_of(second) == b"shared\n"
        await launched.launcher.forget([first.attempt, second.attempt])
        await launched.launcher.discard(run)
        name = names.workspace_claim(first.facts.run_id, run)
        async with asyncio.timeout(WAIT_S):
            while name in await asyncio.to_thread(cluster.names, "pvc"):
                await asyncio.sleep(0.2)


def delete(cluster: Cluster, request: StepRequest, *how: str) -> None:
    kubectl("delete", "pod", pod_of(request), "--namespace", cluster.namespace, "--wait=false", *how)


async def test_an_importer_brings_its_artifact_to_the_workspace_once(cluster: Cluster, scene: KubernetesScene) -> None:
    uri = f"file://{cluster.store}/given/table.csv"
    (cluster.store / "given").mkdir(parents=True, exist_ok=True)
    (cluster.store / "given" / "table.csv").write_text("a,b\n")
    stage = replace(stage_from_store(cluster.store), image=penstock_image(), command=("penstock-agent",))
    async with on(scene.launcher(frame=Frame(scene.installation, stage))) as launched:
        imports = scene.placed(importing(uri))
        end = await launched.run(imports)
        assert end.phase is Phase.SUCCEEDED, end
        (artifact,) = end.outputs.artifacts["artifact"]
        assert (artifact.uri, artifact.metadata) == (uri, {"rows": 3, "_kfp_workspace": True})
        of = component(["cat", "{{$.inputs.artifacts['table'].path}}"], image=SHELL_IMAGE, input_artifacts=["table"])
        inputs = TaskValues({}, {"table": (artifact,)})
        reads = scene.placed(step(of=of, attempt=sibling(imports), inputs=inputs, has_workspace=True))
        assert (await launched.run(reads)).phase is Phase.SUCCEEDED
        assert await launched.log_of(reads) == b"a,b\n"


async def test_an_importer_of_what_is_not_there_fails(cluster: Cluster, scene: KubernetesScene) -> None:
    stage = replace(stage_from_store(cluster.store), image=penstock_image(), command=("penstock-agent",))
    async with on(scene.launcher(frame=Frame(scene.installation, stage))) as launched:
        end = await launched.run(scene.placed(importing(f"file://{cluster.store}/nothing")))
        assert (end.phase, end.reason, end.failure_class) == (Phase.FAILED, "INPUT_UNAVAILABLE", FailureClass.INPUT)


async def told(watched: Watched, request: StepRequest, reason: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while not any(seen.attempt == request.attempt and seen.reason == reason for seen in watched.told):
            await asyncio.sleep(0.1)


async def gone(cluster: Cluster, request: StepRequest) -> None:
    async with asyncio.timeout(WAIT_S):
        while pod_of(request) in await asyncio.to_thread(cluster.names, "pods"):
            await asyncio.sleep(0.2)
