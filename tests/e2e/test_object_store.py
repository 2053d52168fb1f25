"""A server whose artifacts lie in S3: steps hand them on, clients read them, results are reused while they last."""

import base64
import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from penstock import Client
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Task
from penstock_agent.stores import open_store
from tests import pipelines
from tests.e2e.histories import tasks_of
from tests.object_stores import BUCKET, CREDENTIALS, S3Server
from tests.servers import BIN, running

RUN_S = 60
TYPE = {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}
MADE = {"artifacts": {name: {"artifactType": TYPE} for name in ("model", "notes")}}
TAKEN = {"artifacts": {"model": {"artifactType": TYPE}}}
MAKE = 'mkdir "$0"; printf %s weights > "$0/data"; printf %s small > "$1"'
USE = 'cat "$0/data" > "$1"'

pytestmark = pytest.mark.slow


def making_and_using() -> dict[str, Any]:
    """A step that makes a folder, and one that reads a file in it."""
    make, use = pipelines.task("comp-make"), pipelines.task("comp-use")
    make["cachingOptions"] = {"enableCache": True}
    taken = {"taskOutputArtifact": {"producerTask": "make", "outputArtifactKey": "model"}}
    use |= {"dependentTasks": ["make"], "inputs": {"artifacts": {"model": taken}}}
    text = {"parameters": {"text": {"parameterType": "STRING"}}}
    components = {
        "comp-make": {"executorLabel": "exec-make", "outputDefinitions": MADE},
        "comp-use": {"executorLabel": "exec-use", "inputDefinitions": TAKEN, "outputDefinitions": text},
    }
    executors = {
        "exec-make": pipelines.container(
            "sh", "-ec", MAKE, "{{$.outputs.artifacts['model'].path}}", "{{$.outputs.artifacts['notes'].path}}"
        ),
        "exec-use": pipelines.container(
            "sh", "-ec", USE, "{{$.inputs.artifacts['model'].path}}", "{{$.outputs.parameters['text'].output_file}}"
        ),
    }
    return pipelines.pipeline({"make": make, "use": use}, components, executors)


def run_to_end(client: Client, spec: dict[str, Any]) -> tuple[Run, dict[str, Task]]:
    run = client.wait(client.create_run(spec), RUN_S)
    assert run.state == Run.STATE_SUCCEEDED, run
    return run, {task.name.rpartition("/")[2]: task for task in tasks_of(client, run)}


def read_by_kfp(http: str, run: Run, node: str, name: str) -> bytes:
    address = f"http://{http}/apis/v2beta1/runs/{run.uid}/nodes/{node}/artifacts/{name}:read"
    with urllib.request.urlopen(address, timeout=RUN_S) as answer:
        return base64.b64decode(json.load(answer)["data"])


def options_of(root: str, s3: S3Server) -> tuple[str, ...]:
    given = {"artifacts-url": root, "artifacts-endpoint": s3.endpoint, "artifacts-region": "us-east-1"}
    return (*(part for name, text in given.items() for part in (f"--{name}", text)), "--artifacts-allow-http", "true")


def test_steps_hand_artifacts_on_and_results_are_reused_while_they_are_there(s3: S3Server, tmp_path: Path) -> None:
    options = s3.options()
    store = open_store(options)
    with (
        running(tmp_path / "data", *options_of(options.root, s3), **CREDENTIALS) as server,
        Client(server.grpc) as client,
    ):
        run, first = run_to_end(client, making_and_using())
        assert first["use"].outputs.parameters["text"].string_value == "weights"
        (model,) = first["make"].outputs.artifacts["model"].artifacts
        assert model.uri.startswith(f"{options.root}/")
        assert store.read(f"{model.uri}/data", 10) == b"weights"
        assert read_by_kfp(server.http, run, "make", "notes") == b"small"
        _, again = run_to_end(client, making_and_using())
        assert again["make"].cached_from == first["make"].name
        store.delete(model.uri)
        _, afresh = run_to_end(client, making_and_using())
        assert not afresh["make"].cached_from


def test_a_server_that_may_not_use_its_store_says_so_and_does_not_start(s3: S3Server, tmp_path: Path) -> None:
    options = options_of(f"s3://{BUCKET}/x", s3)
    wrong = {**CREDENTIALS, "AWS_SECRET_ACCESS_KEY": "another", "PATH": "/usr/bin:/bin"}
    command = [str(BIN / "penstock-server"), "serve", "--data-dir", str(tmp_path / "data"), *options]
    command += ["--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    ended = subprocess.run(command, env=wrong, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert ended.returncode != 0
    assert f"the artifact store s3://{BUCKET}/x cannot be used: the object store does not let us" in ended.stderr
    assert "another" not in ended.stderr
