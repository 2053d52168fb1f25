"""What steps see of their store on a cluster: one that pods do not reach, one that lets them neither read nor write."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from penstock import Client
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Task
from penstock_agent.report import sha256
from penstock_server.launch.base import Phase
from penstock_server.launch.kubernetes.frame import Frame
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.model.states import FailureClass
from tests import pipelines
from tests.conformance.scenes import on
from tests.e2e.histories import tasks_of
from tests.kubernetes.cluster import SHELL_IMAGE, Cluster, stage_from_store
from tests.kubernetes.guide import guide
from tests.kubernetes.kubectl import apply, kubectl
from tests.kubernetes.scenes import KubernetesScene
from tests.kubernetes.surroundings import Surroundings
from tests.launch.world import component, step
from tests.object_stores import s3_server

pytestmark = pytest.mark.kubernetes
RUN_TIMEOUT_S = 120
SOMEBODY = 65532
CLAIM = "artifacts"
PLACE = "{{$.outputs.artifacts['made'].path}}"


@pytest.fixture
def namespace() -> str:
    return f"penstock-stores-{uuid.uuid4().hex[:8]}"


def one_step(*command: str, artifact: str = "") -> dict[str, object]:
    """A pipeline of one step, with an output artifact of that name."""
    spec = pipelines.wide(1, *command)
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = SHELL_IMAGE
    if artifact:
        kind = {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}
        spec["components"]["comp-step"]["outputDefinitions"] = {"artifacts": {artifact: kind}}
    return spec


def digest_of(client: Client, run: Run, artifact: str) -> str:
    """That of an output of its only step."""
    [task] = [task for task in tasks_of(client, run) if task.outputs.artifacts]
    [found] = task.outputs.artifacts[artifact].artifacts
    return found.digest


def quota(namespace: str, hard: Mapping[str, str]) -> dict[str, object]:
    metadata = {"name": "quota", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": dict(hard)}}


@contextmanager
def volume(namespace: str, folder: Path) -> Iterator[None]:
    """A folder of the node as a volume that many may mount, with its claim in a namespace."""
    size = {"storage": "1Gi"}
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    bound = {"claimRef": {"namespace": namespace, "name": CLAIM}, "hostPath": {"path": str(folder)}}
    made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM, "namespace": namespace}}
    apply({**made, "spec": {**common, **bound, "capacity": size}})
    try:
        apply({**claim, "spec": {**common, "volumeName": namespace, "resources": {"requests": size}}})
        kubectl("wait", "--for=jsonpath={.status.phase}=Bound", f"pvc/{CLAIM}", "--namespace", namespace)
        yield
    finally:
        kubectl("delete", "persistentvolume", namespace, "--wait=false")


def test_a_store_that_pods_do_not_reach_is_told_while_the_step_waits(
    around: Surroundings, namespace: str, tmp_path: Path
) -> None:
    with (
        s3_server("127.0.0.1:0") as store,
        around.outside(tmp_path, namespace, artifacts_endpoint=store.endpoint) as server,
        Client(server.grpc) as client,
    ):
        assert "pods may not reach the artifacts" in server.read_log()
        run = client.create_run(one_step("true"))
        task = waiting_for(client, run, "STORE_UNREACHABLE")
        assert f"{store.endpoint}: Connection refused; asked again until" in task.message
        client.runs.cancel(run)
        assert Run.State.Name(client.wait(run, timeout=RUN_TIMEOUT_S).state) == "STATE_CANCELLED"


def test_a_restricted_namespace_with_a_quota_takes_steps_by_the_guides_recipe(
    around: Surroundings, namespace: str, tmp_path: Path
) -> None:
    policies = tmp_path / "policies.toml"
    limits = '\n[namespaces."*".default_limits]\ncpu = "1"\nmemory = "256Mi"\n'
    policies.write_text(guide("toml", '[namespaces."*".template.spec.securityContext]') + limits)
    settings = {"kubernetes_stage_user": SOMEBODY, "kubernetes_policies": policies}
    stages = {"kubernetes_stage_limits": ("cpu=1", "memory=256Mi")}
    spec = one_step("sh", "-c", "id -u > $0", PLACE, artifact="made")
    with (
        around.outside(tmp_path / "data", namespace, **settings, **stages) as server,
        Client(server.grpc) as client,
    ):
        kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        apply(quota(namespace, {"limits.cpu": "4", "limits.memory": "2Gi"}))
        run = client.wait(client.create_run(spec), timeout=RUN_TIMEOUT_S)
        assert Run.State.Name(run.state) == "STATE_SUCCEEDED", tasks_of(client, run)
        assert digest_of(client, run, "made") == sha256(b"1000\n")


def test_artifacts_lie_on_a_volume_that_servers_and_steps_share(
    cluster: Cluster, around: Surroundings, namespace: str, tmp_path: Path
) -> None:
    folder = cluster.folder / namespace
    folder.mkdir()
    options = {"artifacts_url": f"file://{folder}", "artifacts_endpoint": "", "kubernetes_store_claim": CLAIM}
    spec = one_step("sh", "-c", "echo x > $0; echo said", PLACE, artifact="made")
    with (
        around.outside(tmp_path, namespace, **options, kubernetes_store_secrets=()) as server,
        volume(namespace, folder),
        Client(server.grpc) as client,
    ):
        run = client.wait(client.create_run(spec), timeout=RUN_TIMEOUT_S)
        assert Run.State.Name(run.state) == "STATE_SUCCEEDED", tasks_of(client, run)
        assert digest_of(client, run, "made") == sha256(b"x\n")
        assert b"".join(chunk.content for chunk in client.logs(run, "s0")) == b"said\n"
        assert [path.read_bytes() for path in folder.rglob("made")] == [b"x\n"]


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
    return Frame(scene.installation, replace(stage_from_store(cluster.store), user=SOMEBODY), grace_s=6)


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
