"""The image as the stage containers of a real pod: no shell, a read-only root file system, inputs in, outputs out."""

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from penstock_agent.plan import PLAN_VARIABLE, STORE_VARIABLE, Fetch, OutputArtifact, StagePlan
from penstock_agent.report import StepReport, StoredContent, read_message
from penstock_server.launch.kubernetes.frame import Frame, Stage
from penstock_server.launch.kubernetes.manifest import pod_manifest
from tests.kubernetes import machine
from tests.kubernetes.images import penstock_image
from tests.kubernetes.kubectl import apply, kubectl, namespaces, read
from tests.launch.world import component, step
from tests.object_stores import ACCESS_KEY, BUCKET, CREDENTIALS, SECRET_KEY, S3Server, s3_server

pytestmark = pytest.mark.kubernetes

END_TIMEOUT_S = 60
SHELL_IMAGE = "busybox"
FETCHED, MADE = "/penstock/inputs/data", "/penstock/outputs/model"


@pytest.fixture(scope="module")
def store() -> Iterator[S3Server]:
    """An S3 server that pods reach."""
    with s3_server(f"{machine.address()}:0") as server:
        yield server


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"penstock-image-{uuid.uuid4().hex[:8]}"
    with namespaces(name):
        apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "store", "namespace": name},
                "stringData": CREDENTIALS,
            }
        )
        yield name


def objects(store: S3Server) -> S3Store:
    """The objects of the store, for the test."""
    return S3Store(
        BUCKET,
        endpoint=store.endpoint,
        region="us-east-1",
        client_options={"allow_http": True},
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
    )


def plan(root: str) -> StagePlan:
    """One input, one output."""
    digest = hashlib.sha256(b"4 apples").hexdigest()
    return StagePlan(
        attempt="run/train/1",
        report_uri=f"{root}/report.json",
        closed_uri=f"{root}/closed.json",
        output_root=root,
        shared="/penstock",
        outputs="/penstock/outputs",
        output_file="/penstock/outputs/output_metadata.json",
        grace_s=20,
        folders=("/penstock/inputs", "/penstock/outputs"),
        fetches=(Fetch(f"{root}/data", FETCHED, f"sha256:{digest}"),),
        artifacts={"model": OutputArtifact(MADE, f"{root}/model")},
    )


def ended(namespace: str, name: str) -> dict[str, Any]:
    """The pod, once it has ended."""
    give_up = time.monotonic() + END_TIMEOUT_S
    while True:
        pod: dict[str, Any] = read("pod", name, "--namespace", namespace)
        if pod["status"]["phase"] in ("Succeeded", "Failed"):
            return pod
        assert time.monotonic() < give_up, json.dumps(pod["status"], indent=1)
        time.sleep(0.3)


@pytest.mark.parametrize("user", [0, 65532], ids=["as root", "as nobody in particular"])
def test_stage_containers_of_the_image_bring_the_inputs_and_store_the_outputs(
    store: S3Server, namespace: str, user: int
) -> None:
    options = store.options()
    key = options.root.removeprefix(f"s3://{BUCKET}/")
    obstore.put(objects(store), f"{key}/data", b"4 apples", use_multipart=False)
    stage = Stage(penstock_image(), user=user, env={STORE_VARIABLE: options.to_text()}, secrets=("store",))
    request = step(of=component(["sh", "-c", f"sed s/4/5/ {FETCHED} > {MADE}"], image=SHELL_IMAGE))
    variables = {PLAN_VARIABLE: plan(options.root).to_json()}
    made = pod_manifest(request, variables, Frame("test", stage), namespace)
    apply(made)
    pod = ended(namespace, made["metadata"]["name"])
    stages = {each["name"]: each["state"]["terminated"] for each in pod["status"]["initContainerStatuses"]}
    log = kubectl("logs", made["metadata"]["name"], "--all-containers", "--namespace", namespace)
    assert {name: stage["exitCode"] for name, stage in stages.items()} == dict.fromkeys(stages, 0), log
    digest = hashlib.sha256(b"5 apples").hexdigest()
    stored = {f"{options.root}/model": StoredContent(f"sha256:{digest}", len(b"5 apples"))}
    assert read_message(stages["penstock-stage-out"]["message"]) == StepReport("run/train/1", stored=stored)
    assert bytes(obstore.get(objects(store), f"{key}/model").bytes()) == b"5 apples"
