"""What people do with KFP's SDK, against the server in argv[1]; runs in the SDK's own environment and prints JSON."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from kfp import Client, compiler, dsl


@dsl.component  # type: ignore[untyped-decorator]  # the SDK has no types here
def hello(name: str) -> str:
    return f"Hello {name}"


@dsl.pipeline(name="hello-sdk")  # type: ignore[untyped-decorator]  # as above
def greeting(name: str = "you") -> None:
    hello(name=name)


@dsl.pipeline(name="hello-again")  # type: ignore[untyped-decorator]  # as above
def second(name: str = "them") -> None:
    hello(name=name)


def main(host: str) -> dict[str, Any]:
    """The session; all that a test wants to see of it."""
    client = Client(host=host)
    return {"healthz": client.get_kfp_healthz().to_dict(), **experiments(client), **pipelines(client)}


def experiments(client: Client) -> dict[str, Any]:
    made = client.create_experiment("My Experiment", description="first")
    again = client.create_experiment("My Experiment")
    named = client.get_experiment(experiment_name="My Experiment")
    client.archive_experiment(made.experiment_id)
    archived = client.get_experiment(experiment_id=made.experiment_id).storage_state
    client.unarchive_experiment(made.experiment_id)
    for index in range(3):
        client.create_experiment(f"e{index}")
    first = client.list_experiments(page_size=2, sort_by="created_at desc")
    rest = client.list_experiments(page_size=10, page_token=first.next_page_token, sort_by="created_at desc")
    wanted = {"predicates": [{"operation": 9, "key": "display_name", "stringValue": "Exper"}]}
    found = client.list_experiments(filter=json.dumps(wanted))
    client.delete_experiment(made.experiment_id)
    return {
        "same": made.experiment_id == again.experiment_id == named.experiment_id,
        "description": named.description,
        "year": made.created_at.year,
        "archived": archived,
        "pages": [[item.display_name for item in page.experiments] for page in (first, rest)],
        "found": [item.display_name for item in found.experiments],
        "gone": missing(lambda: client.get_experiment(experiment_id=made.experiment_id)),
    }


def pipelines(client: Client) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "second.yaml"
        compiler.Compiler().compile(second, str(package))
        made = client.upload_pipeline_from_pipeline_func(greeting, pipeline_name="Hello SDK", description="greets")
        version = client.upload_pipeline_version(str(package), "v2", pipeline_id=made.pipeline_id)
        by_name = client.upload_pipeline_version(str(package), "v 3", pipeline_name="Hello SDK")
        twice = missing(lambda: client.upload_pipeline(str(package), pipeline_name="Hello SDK"))
    listed = client.list_pipeline_versions(made.pipeline_id, sort_by="created_at desc")
    seen = client.get_pipeline_version(made.pipeline_id, version.pipeline_version_id)
    refused = missing(lambda: client.delete_pipeline(made.pipeline_id))
    result = {
        "pipeline": [made.name, made.display_name, made.description],
        "pipeline_id": client.get_pipeline_id("Hello SDK") == made.pipeline_id,
        "no_pipeline_id": client.get_pipeline_id("Nothing"),
        "get_pipeline": client.get_pipeline(made.pipeline_id).display_name,
        "list_pipelines": [item.display_name for item in client.list_pipelines().pipelines],
        "versions": [item.display_name for item in listed.pipeline_versions],
        "spec": seen.pipeline_spec["pipelineInfo"]["name"],
        "by_name": by_name.pipeline_id == made.pipeline_id,
        "twice": twice,
        "refused": refused,
    }
    for item in listed.pipeline_versions:
        client.delete_pipeline_version(made.pipeline_id, item.pipeline_version_id)
    client.delete_pipeline(made.pipeline_id)
    return {**result, "left": client.list_pipelines().pipelines}


def missing(call: Any) -> int:
    """The status with which `call` fails."""
    try:
        call()
    except Exception as error:
        return int(getattr(error, "status", 0))
    return 200


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(sys.argv[1]), default=str))
