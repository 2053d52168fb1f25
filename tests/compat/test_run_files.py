"""Logs and artifacts of runs, as KFP's clients ask for them."""

import asyncio
import base64
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.run_files import ARTIFACT_BYTES_MAX
from penstock_server.model.changes import AttemptCreate, AttemptMove, TaskCreate, TaskMove
from penstock_server.model.ids import AttemptId, TaskId
from penstock_server.model.resources import ArtifactValue, TaskKind, TaskValues
from penstock_server.model.states import AttemptState, TaskState
from tests.api.moving import ROOT, STEP, Mover
from tests.compat.serving import Answer, KfpSite
from tests.compat.test_runs import get, make, owner

URI = "file:///artifacts/model"
MODEL = ArtifactValue("model", "system.Model", URI, uid=uuid.UUID(int=1))


@pytest.fixture
async def moving(kfp: KfpSite) -> Mover:
    """Of a run whose step `train` runs."""
    moving = await owner(kfp, (await make(kfp))["run_id"])
    await moving.start_step()
    return moving


async def log(kfp: KfpSite, moving: Mover, node: str, **query: Any) -> Answer:
    return await kfp.ask("GET", f"/apis/v1alpha1/runs/{moving.uid}/nodes/{node}/log", query=query)


async def artifact(
    kfp: KfpSite, moving: Mover, node: str = "train", name: str = "model", version: str = "v2beta1"
) -> Answer:
    return await kfp.ask("GET", f"/apis/{version}/runs/{moving.uid}/nodes/{node}/artifacts/{name}:read")


async def publish(moving: Mover, *models: ArtifactValue) -> None:
    """The step ends with a model, or with those given."""
    await moving.move(
        AttemptMove(STEP, 1, AttemptState.RUNNING, AttemptState.SUCCEEDED),
        TaskMove(
            STEP,
            TaskState.RUNNING,
            TaskState.SUCCEEDED,
            "COMPLETED",
            outputs=TaskValues(artifacts={"model": models or (MODEL,)}),
        ),
    )


async def test_a_log_is_text(kfp: KfpSite, moving: Mover) -> None:
    kfp.logs.contents[AttemptId(moving.uid, STEP, 1)] = "grüße\n".encode()
    for node in ("train", "train@1", "train%401"):
        answer = await log(kfp, moving, node)
        assert (answer.status, answer.body) == (200, "grüße\n".encode())
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_log_is_asked_for_by_the_pod_that_run_details_name(kfp: KfpSite, moving: Mover) -> None:
    pod = TaskId("pod")
    await moving.move(
        TaskCreate(pod, ROOT, "pod", "pod", TaskKind.STEP, "READY"),
        TaskMove(pod, TaskState.PENDING, TaskState.QUEUED, "READY"),
        TaskMove(pod, TaskState.QUEUED, TaskState.RUNNING, "STARTED"),
        AttemptCreate(pod, 1, "kubernetes"),
        AttemptMove(pod, 1, AttemptState.LAUNCHING, AttemptState.RUNNING, handle="steps/one-pod-1-ab"),
    )
    details = (await get(kfp, str(moving.uid)))["run_details"]["task_details"]
    named = next(detail["pod_name"] for detail in details if detail["task_id"] == "pod")
    assert named == "one-pod-1-ab"
    kfp.logs.contents[AttemptId(moving.uid, pod, 1)] = b"from the pod\n"
    assert (await log(kfp, moving, named)).body == b"from the pod\n"


async def test_an_empty_log_is_an_empty_text(kfp: KfpSite, moving: Mover) -> None:
    kfp.logs.contents[AttemptId(moving.uid, STEP, 1)] = b""
    assert (await log(kfp, moving, "train")).body == b""


async def test_a_log_is_followed_to_its_end(kfp: KfpSite, moving: Mover) -> None:
    kfp.logs.contents[AttemptId(moving.uid, STEP, 1)] = b"begin\n"
    reading = asyncio.create_task(log(kfp, moving, "train", follow="true"))
    kfp.logs.ended.set()
    assert (await asyncio.wait_for(reading, 10)).body == b"begin\nend\n"


@pytest.mark.parametrize("node", ["train@2", "nobody", "root", "train"])
async def test_a_log_that_is_not_there_is_not_found(kfp: KfpSite, moving: Mover, node: str) -> None:
    answer = await log(kfp, moving, node)
    assert (answer.status, sorted(answer.body)) == (404, ["error_details", "error_message"])


@pytest.mark.parametrize("version", ["v1beta1", "v2beta1"])
async def test_an_artifact_is_read(kfp: KfpSite, moving: Mover, tmp_path: Path, version: str) -> None:
    await publish(moving)
    (tmp_path / "model").write_bytes(b"\0weights")
    kfp.contents[URI] = tmp_path / "model"
    for node in ("train", "train@1"):
        answer = await artifact(kfp, moving, node, version=version)
        assert (answer.status, base64.b64decode(answer.body["data"])) == (200, b"\0weights")
    request = pb.ReadArtifactRequest(run_id=str(moving.uid), node_id="train", artifact_name="model")
    assert (await kfp.runs.ReadArtifact(request)).data == b"\0weights"


async def test_an_artifact_is_read_by_the_number_that_run_details_tell(
    kfp: KfpSite, moving: Mover, tmp_path: Path
) -> None:
    second = replace(MODEL, uri="file:///artifacts/second", uid=uuid.UUID(int=2**127))
    await publish(moving, MODEL, second)
    for number, model in enumerate((MODEL, second)):
        kfp.contents[model.uri] = tmp_path / f"model {number}"
        kfp.contents[model.uri].write_text(f"model {number}")
    details = (await get(kfp, str(moving.uid)))["run_details"]["task_details"]
    told = next(task for task in details if task["task_id"] == "train")["outputs"]["model"]["artifact_ids"]
    read = [base64.b64decode((await artifact(kfp, moving, name=number)).body["data"]) for number in told]
    assert read == [b"model 0", b"model 1"]


@pytest.mark.parametrize(("node", "name"), [("train", "other"), ("nobody", "model"), ("train", "model"), ("root", "0")])
async def test_an_artifact_that_is_not_there_is_not_found(kfp: KfpSite, moving: Mover, node: str, name: str) -> None:
    await publish(moving)
    answer = await artifact(kfp, moving, node, name)
    assert (answer.status, sorted(answer.body)) == (404, ["error_details", "error_message"])
    request = pb.ReadArtifactRequest(run_id=str(moving.uid), node_id=node, artifact_name=name)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await kfp.runs.ReadArtifact(request)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_artifact_that_is_a_folder_or_too_large_is_read_elsewhere(
    kfp: KfpSite, moving: Mover, tmp_path: Path
) -> None:
    await publish(moving)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(ARTIFACT_BYTES_MAX + 1)
    for path in (tmp_path, large):
        kfp.contents[URI] = path
        assert (await artifact(kfp, moving)).status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/apis/v1alpha1/runs/%00/nodes/train/log",
        "/apis/v1alpha1/runs/{uid}/nodes/%00/log",
        "/apis/v2beta1/runs/{uid}/nodes/train/artifacts/%00:read",
    ],
)
async def test_a_nul_character_is_refused(kfp: KfpSite, moving: Mover, path: str) -> None:
    assert (await kfp.ask("GET", path.format(uid=moving.uid))).status == 400
