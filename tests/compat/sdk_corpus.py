"""Has KFP's SDK run many packages beside each other; run by the Python of an environment that has it, never imported.

Reads `{"host": ..., "packages": [{"name", "file", "arguments"}, ...]}` from its input. Each package is uploaded, run by
its version and waited for, and what a client can read of the ended run is written as one JSON object by the packages'
names.
"""

import base64
import json
import sys
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import kfp
from kfp_server_api import ApiException

WAIT_S = 600
POLL_S = 0.5
EXPERIMENT = "corpus"


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """All packages at once: they are started first, and read as they end."""
    client = kfp.Client(host=asked["host"])
    experiment = client.create_experiment(EXPERIMENT)
    started = [(package["name"], start(client, experiment.experiment_id, package)) for package in asked["packages"]]
    return {name: told(asked["host"], client, run) for name, run in started}


def start(client: kfp.Client, experiment_id: str, package: dict[str, Any]) -> Any:
    """A run of the package, which becomes a pipeline of its own; or the error with which it is refused."""
    pipeline = client.upload_pipeline(package["file"], pipeline_name=package["name"])
    (version,) = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    ids = {"pipeline_id": pipeline.pipeline_id, "version_id": version.pipeline_version_id}
    try:
        return client.run_pipeline(experiment_id, package["name"], params=package["arguments"], **ids)
    except ApiException as error:
        return error


def told(host: str, client: kfp.Client, started: Any) -> dict[str, Any]:
    """What a client reads of a run that has ended, with the logs and the artifacts that its details name."""
    if isinstance(started, ApiException):
        return {"refused": started.status}
    run = client.wait_for_run_completion(started.run_id, WAIT_S, POLL_S)
    tasks = run.run_details.task_details
    return {
        "run_id": run.run_id,
        "state": run.state,
        "history": [entry.state for entry in run.state_history],
        "error": run.error.message if run.error else "",
        "parameters": run.runtime_config.parameters or {} if run.runtime_config else {},
        "by_version": run.pipeline_version_reference is not None and run.pipeline_spec is None,
        "tasks": {task.task_id: told_of_task(host, task) for task in tasks},
    }


def told_of_task(host: str, task: Any) -> dict[str, Any]:
    """What a client reads of a task."""
    return {
        "state": task.state,
        "history": [entry.state for entry in task.state_history],
        "parent": task.parent_task_id or "",
        "log": log(host, task.run_id, task.pod_name) if task.pod_name else "",
        "artifacts": {
            name: [artifact(host, task, number) for number in found.artifact_ids or ()]
            for name, found in (task.outputs or {}).items()
        },
    }


def log(host: str, run_id: str, pod_name: str) -> str:
    """What a pod wrote."""
    return read(f"{host}/apis/v1alpha1/runs/{run_id}/nodes/{quote(pod_name)}/log").decode()


def artifact(host: str, task: Any, number: str) -> str | None:
    """The content of an artifact as far as it is text; None where there is no file of that size."""
    try:
        nodes = f"{host}/apis/v2beta1/runs/{task.run_id}/nodes/{quote(task.task_id)}"
        return base64.b64decode(json.loads(read(f"{nodes}/artifacts/{number}:read"))["data"]).decode(errors="replace")
    except HTTPError as error:
        if error.code not in (400, 404):
            raise
        return None


def read(url: str) -> bytes:
    """The body of an answer."""
    with urlopen(url) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    request = json.load(sys.stdin)
    output, sys.stdout = sys.stdout, sys.stderr  # The SDK prints links.
    json.dump(main(request), output)
