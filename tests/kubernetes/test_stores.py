"""What steps see of their store on a cluster: one that pods do not reach, one that lets them neither read nor write."""

import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from penstock import Client
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Task
from penstock_server.launch.base import Phase
from penstock_server.launch.kubernetes.frame import Frame
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.model.states import FailureClass
from tests import pipelines
from tests.conformance.scenes import on
from tests.e2e.histories import tasks_of
from tests.kubernetes.cluster import SHELL_IMAGE, Cluster, stage_from_store
from tests.kubernetes.scenes import KubernetesScene
from tests.kubernetes.surroundings import Surroundings
from tests.launch.world import component, step
from tests.object_stores import s3_server

pytestmark = pytest.mark.kubernetes
RUN_TIMEOUT_S = 120
SOMEBODY = 65532


@pytest.fixture
def namespace() -> str:
    return f"penstock-stores-{uuid.uuid4().hex[:8]}"


def one_step() -> dict[str, object]:
    spec = pipelines.wide(1, "true")
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = SHELL_IMAGE
    return spec


def test_a_store_that_pods_do_not_reach_is_told_while_the_step_waits(
    around: Surroundings, namespace: str, tmp_path: Path
) -> None:
    with (
        s3_server("127.0.0.1:0") as store,
        around.outside(tmp_path, namespace, artifacts_endpoint=store.endpoint) as server,
        Client(server.grpc) as client,
    ):
        assert "pods may not reach the artifacts" in server.read_log()
        run = client.create_run(one_step())
        task = waiting_for(client, run, "STORE_UNREACHABLE")
        assert f"{store.endpoint}: Connection refused; asked again until" in task.message
        client.runs.cancel(run)
        assert Run.State.Name(client.wait(run, timeout=RUN_TIMEOUT_S).state) == "STATE_CANCELLED"


def waiting_for(client: Client, run: Run, reason: str) -> Task:
    """The task of the run that waits for that, once there is one."""
    end = time.monotonic() + RUN_TIMEOUT_S
    while True:
        tasks = tasks_of(client, run)
        if found := [task for task in tasks if task.reason == reason]:
            return found[0]
        assert time.monotonic() < end, tasks
        time.sleep(0.3)


@pytest.fixture
def scene(cluster: Cluster) -> KubernetesScene:
    """Its store is a folder that only we may write to, and the containers around its steps are somebody else."""
    cluster.store.mkdir(exist_ok=True)
    cluster.store.chmod(0o755)
    return KubernetesScene(cluster)


def as_somebody(cluster: Cluster, scene: KubernetesScene) -> Frame:
    return Frame(
        scene.installation, replace(stage_from_store(cluster.store), user=SOMEBODY), grace_s=6, artifacts_grace_s=6
    )


async def test_outputs_that_the_store_refuses_fail_the_step_at_once(cluster: Cluster, scene: KubernetesScene) -> None:
    async with on(scene.launcher(frame=as_somebody(cluster, scene))) as launched:
        request = scene.succeeding(output="1")
        end = await launched.run(request)
        assert (end.phase, end.reason, end.failure_class) == (Phase.FAILED, "PUBLISH_REFUSED", FailureClass.ENVIRONMENT)
        assert end.is_settled
        assert f"does not let user {SOMEBODY} write" in end.message
        assert "`kubernetes_stage_user`" in end.message
        assert scene.runs(request.attempt) == 1


async def test_an_input_that_the_store_refuses_is_told_apart_from_one_that_is_missing(
    cluster: Cluster, scene: KubernetesScene
) -> None:
    (cluster.store / "secret").write_text("x")
    (cluster.store / "secret").chmod(0o600)
    artifact = ArtifactValue("table", "system.Dataset", f"file://{cluster.store}/secret", {})
    of = component(["cat", "{{$.inputs.artifacts['table'].path}}"], image=SHELL_IMAGE, input_artifacts=["table"])
    async with on(scene.launcher(frame=as_somebody(cluster, scene))) as launched:
        end = await launched.run(scene.placed(step(of=of, inputs=TaskValues({}, {"table": (artifact,)}))))
        assert (end.phase, end.reason) == (Phase.FAILED, "STORE_REFUSED")
        assert f"does not let user {SOMEBODY} read {cluster.store}/secret" in end.message
