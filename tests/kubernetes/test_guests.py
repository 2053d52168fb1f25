"""What is in a pod beside us: images of any kind, and the sidecars that a mesh injects, on a real cluster."""

import asyncio
from typing import Any

import pytest

from penstock_server.launch.base import Phase, StepRequest
from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.api import ClusterApi, Kind
from penstock_server.launch.kubernetes.frame import Frame
from penstock_server.model.resources import TaskValues
from tests.conformance.scenes import on
from tests.kubernetes.cluster import SHELL_IMAGE, Cluster, stage_from_store
from tests.kubernetes.images import static_image
from tests.kubernetes.kubectl import read
from tests.kubernetes.scenes import KubernetesScene
from tests.launch.world import STRING, component, step

pytestmark = pytest.mark.kubernetes
_DEAF = ["sh", "-c", "while true; do sleep 3600; done"]
"""As the first process of its container it hears no signal."""


@pytest.fixture
def scene(cluster: Cluster) -> KubernetesScene:
    return KubernetesScene(cluster)


class NativeMesh(ClusterApi):
    """Puts into each pod what a mesh with native sidecars does, before all that is there."""

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.PODS:
            spec = body["spec"]
            proxy = {"name": "istio-proxy", "image": SHELL_IMAGE, "command": _DEAF, "restartPolicy": "Always"}
            spec["initContainers"] = [_INIT, proxy, *spec["initContainers"]]
        return await super().create(kind, namespace, body)


class OldMesh(ClusterApi):
    """Puts into each pod what a mesh with ordinary sidecars does."""

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.PODS:
            spec = body["spec"]
            spec["initContainers"] = [_INIT, *spec["initContainers"]]
            spec["containers"] = [{"name": "istio-proxy", "image": SHELL_IMAGE, "command": _DEAF}, *spec["containers"]]
        return await super().create(kind, namespace, body)


_INIT = {"name": "istio-init", "image": SHELL_IMAGE, "command": ["true"]}


async def test_an_image_of_one_static_binary_runs_by_its_own_entrypoint(scene: KubernetesScene) -> None:
    """There is no shell, no library, no user and no folder in it but what is mounted."""
    image = await asyncio.to_thread(static_image)
    place = "{{$.outputs.parameters['version'].output_file}}"
    of = component((), ["copyto", "/etc/hostname", place], image=image, outputs={"version": STRING})
    request = scene.placed(step(of=of))
    async with on(scene.launcher()) as launched:
        end = await launched.run(request)
        assert (end.phase, end.message) == (Phase.SUCCEEDED, "")
        assert end.outputs == TaskValues({"version": f"{pod_of(request)}\n"})


@pytest.mark.parametrize(("mesh", "grace_s"), [(NativeMesh, 60), (OldMesh, 10)])
async def test_injected_sidecars_neither_keep_a_step_alive_nor_fail_it(
    cluster: Cluster, scene: KubernetesScene, mesh: type[ClusterApi], grace_s: int
) -> None:
    """The native one has the whole grace of the pod, and until then the pod's status says nothing of *stage-out*."""
    frame = Frame(scene.installation, stage_from_store(cluster.store), grace_s=grace_s)
    async with on(scene.launcher(client=mesh, frame=frame)) as launched:
        succeeding, failing = scene.succeeding(output="made"), scene.failing(3, log="said\n")
        for request in (succeeding, failing):
            await launched.launcher.launch(request)
        end = await launched.end_of(succeeding)
        assert (end.phase, end.outputs) == (Phase.SUCCEEDED, TaskValues({"result": "made"}))
        assert scene.runs(succeeding.attempt) == 1
        if mesh is NativeMesh:
            pod = read("pod", pod_of(succeeding), "--namespace", cluster.namespace)
            assert "running" in statuses(pod)["istio-proxy"]["state"]
        end = await launched.end_of(failing)
        assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, "EXIT_CODE", 3)
        assert await launched.log_of(failing) == b"said\n"


def statuses(pod: dict[str, Any]) -> dict[str, Any]:
    return {told["name"]: told for told in pod["status"]["initContainerStatuses"]}


def pod_of(request: StepRequest) -> str:
    return names.pod_name(request.facts.run_id, request.attempt)
