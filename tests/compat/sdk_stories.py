"""What users do with KFP's SDK; run by the Python of an environment that has it, never imported.

Reads `{"host": ..., "story": ..., ...}` from its input, acts out the story against that server, and writes what the SDK
returned on the way as one JSON object.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import kfp
from kfp import compiler, dsl
from kfp_server_api import ApiException, RunServiceApi

WAIT_S = 120
POLL_S = 1


@dsl.container_component  # type: ignore[untyped-decorator]  # the SDK has no types
def say(text: str):  # type: ignore[no-untyped-def]  # the SDK wants no type of the answer
    """Says it."""
    return dsl.ContainerSpec(image="busybox", command=["sh", "-c", 'echo "$0"; test "$0" != fail'], args=[text])


@dsl.container_component
def sleep():  # type: ignore[no-untyped-def]  # the SDK wants no type of the answer
    """Sleeps for longer than any test."""
    return dsl.ContainerSpec(image="busybox", command=["sleep", "600"])


@dsl.pipeline(name="talk")  # type: ignore[untyped-decorator]  # the SDK has no types
def talk(text: str = "hello") -> None:
    """Says something."""
    say(text=text).set_caching_options(enable_caching=False)


@dsl.pipeline(name="rest")  # type: ignore[untyped-decorator]  # the SDK has no types
def rest() -> None:
    """Sleeps."""
    sleep().set_caching_options(enable_caching=False)


def functions(client: kfp.Client, _request: dict[str, Any]) -> Any:
    """Runs a pipeline from its function, well and badly, and finds both again."""
    good = client.create_run_from_pipeline_func(
        talk, arguments={"text": "hi"}, run_name="good", experiment_name="talks"
    )
    bad = client.create_run_from_pipeline_func(
        talk, arguments={"text": "fail"}, run_name="bad", experiment_name="talks"
    )
    for run in (good, bad):
        client.wait_for_run_completion(run.run_id, WAIT_S, POLL_S)
    experiment = client.get_experiment(experiment_name="talks")
    listed = client.list_runs(experiment_id=experiment.experiment_id, sort_by="created_at desc")
    failed = client.list_runs(
        filter=json.dumps({"predicates": [{"operation": 1, "key": "state", "stringValue": "FAILED"}]})
    )
    return {
        "good": told(client.get_run(good.run_id)),
        "bad": told(client.get_run(bad.run_id)),
        "listed": [run.display_name for run in listed.runs],
        "total_size": listed.total_size,
        "failed": [run.display_name for run in failed.runs],
    }


def lifetime(client: kfp.Client, _request: dict[str, Any]) -> Any:
    """Terminates a run, archives it, restores it and deletes it."""
    run_id = client.create_run_from_pipeline_func(rest, arguments={}, experiment_name="rests").run_id
    client.terminate_run(run_id)
    asked = client.get_run(run_id).state
    ended = client.wait_for_run_completion(run_id, WAIT_S, POLL_S)
    client.terminate_run(run_id)
    client.archive_run(run_id)
    archived = client.get_run(run_id).storage_state
    client.unarchive_run(run_id)
    restored = client.get_run(run_id).storage_state
    client.delete_run(run_id)
    return {
        "asked": asked,
        "ended": told(ended),
        "archived": archived,
        "restored": restored,
        "deleted": status(lambda: client.get_run(run_id)),
    }


def retry(client: kfp.Client, _request: dict[str, Any]) -> Any:
    """Retries a run that failed, which the SDK leaves to its generated part; and one that did not."""
    low = RunServiceApi(client._run_api.api_client)
    bad = client.create_run_from_pipeline_func(talk, arguments={"text": "fail"}, experiment_name="retries").run_id
    client.wait_for_run_completion(bad, WAIT_S, POLL_S)
    low.run_service_retry_run(run_id=bad)
    again = client.get_run(bad).state
    ended = client.wait_for_run_completion(bad, WAIT_S, POLL_S)
    good = client.create_run_from_pipeline_func(talk, arguments={}, experiment_name="retries").run_id
    client.wait_for_run_completion(good, WAIT_S, POLL_S)
    return {
        "again": again,
        "ended": told(ended),
        "refused": status(lambda: low.run_service_retry_run(run_id=good)),
    }


def recurring(client: kfp.Client, _request: dict[str, Any]) -> Any:
    """Has a pipeline run every second, until enough is enough."""
    experiment = client.create_experiment("recurring")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "talk.yaml"))
        compiler.Compiler().compile(talk, path)
        often = client.create_recurring_run(
            experiment.experiment_id,
            "often",
            interval_second=1,
            params={"text": "[[Index]]"},
            pipeline_package_path=path,
        )
        never = client.create_recurring_run(
            experiment.experiment_id,
            "never",
            cron_expression="0 0 9 1 1 ?",
            no_catchup=True,
            max_concurrency=3,
            enabled=False,
            pipeline_package_path=path,
        )
    first = first_run(client, often.recurring_run_id)
    client.disable_recurring_run(often.recurring_run_id)
    disabled = client.get_recurring_run(often.recurring_run_id)
    client.enable_recurring_run(never.recurring_run_id)
    enabled = client.get_recurring_run(never.recurring_run_id)
    listed = client.list_recurring_runs(experiment_id=experiment.experiment_id, sort_by="display_name asc")
    for each in (often, never):
        client.delete_recurring_run(each.recurring_run_id)
    return {
        "first": told(first),
        "disabled": [disabled.status, disabled.mode],
        "enabled": [enabled.status, enabled.mode, enabled.no_catchup, int(enabled.max_concurrency)],
        "cron": enabled.trigger.cron_schedule.cron,
        "listed": [each.display_name for each in listed.recurring_runs],
        "deleted": status(lambda: client.get_recurring_run(often.recurring_run_id)),
        "kept": client.get_run(first.run_id).recurring_run_id == often.recurring_run_id,
    }


def first_run(client: kfp.Client, recurring_run_id: str) -> Any:
    """The first run of a recurring run, once it has ended."""
    predicate = {"operation": 1, "key": "recurring_run_id", "stringValue": recurring_run_id}
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        found = client.list_runs(filter=json.dumps({"predicates": [predicate]})).runs
        if found:
            return client.wait_for_run_completion(found[0].run_id, WAIT_S, POLL_S)
        time.sleep(POLL_S)
    raise TimeoutError("the recurring run made no run")


def told(run: Any) -> dict[str, Any]:
    """What callers commonly read of a run."""
    tasks = run.run_details.task_details
    return {
        "name": run.display_name,
        "state": run.state,
        "error": run.error.message if run.error else None,
        "parameters": run.runtime_config.parameters if run.runtime_config else None,
        "history": [entry.state for entry in run.state_history],
        "finished": run.finished_at is not None and run.finished_at >= run.created_at.replace(microsecond=0),
        "tasks": {task.display_name: task.state for task in tasks},
        "histories": {task.display_name: [entry.state for entry in task.state_history] for task in tasks},
        "pods": [
            child.pod_name
            for task in run.run_details.task_details
            for child in task.child_tasks or ()
            if child.pod_name
        ],
        "run_id": run.run_id,
    }


def status(call: Any) -> int:
    """The HTTP status with which a call is refused; 0 when it is not."""
    try:
        call()
    except ApiException as error:
        return int(error.status)
    return 0


STORIES = {story.__name__: story for story in (functions, lifetime, retry, recurring)}

if __name__ == "__main__":
    asked = json.load(sys.stdin)
    output, sys.stdout = sys.stdout, sys.stderr  # The SDK prints links.
    json.dump(STORIES[asked["story"]](kfp.Client(host=asked["host"]), asked), output)
