"""Stories of `kfp_server_api`: runs and recurring runs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kfp_server_api import (
    V2beta1CronSchedule,
    V2beta1PipelineVersionReference,
    V2beta1RecurringRun,
    V2beta1Run,
    V2beta1RuntimeConfig,
    V2beta1Trigger,
)

from tests.compat.clients.samples import compiled, rest, talk, where
from tests.compat.clients.telling import Story, equal, refusal

WAIT_S = 120
POLL_S = 0.1
NEVER = V2beta1Trigger(cron_schedule=V2beta1CronSchedule(cron="0 0 9 1 1 ?"))


def runs_of_specs(call: Any, folder: Path) -> None:
    """Made, found, ended, archived, deleted."""
    spec = yaml.safe_load(Path(compiled(rest, folder)).read_text())
    given = V2beta1Run(display_name="by hand", description="sleeps", pipeline_spec=spec)
    made = call.run_service_create_run(given)
    equal((made.display_name, made.description), ("by hand", "sleeps"))
    assert made.state in ("PENDING", "RUNNING"), made.state
    equal((made.service_account, made.storage_state), ("pipeline-runner", "AVAILABLE"))
    running = call.run_service_get_run(made.run_id, experiment_id=made.experiment_id)
    equal((running.run_id, running.pipeline_spec["root"]), (made.run_id, spec["root"]))
    page = call.run_service_list_runs(
        namespace="any",
        experiment_id=made.experiment_id,
        page_size=5,
        sort_by="created_at desc",
        filter=where(display_name="by hand"),
    )
    equal(([each.run_id for each in page.runs], page.total_size), ([made.run_id], 1))
    equal(call.run_service_terminate_run(made.run_id), {})
    ended = once(lambda: call.run_service_get_run(made.run_id), lambda run: run.state == "FAILED")
    equal(ended.state_history[-1].state, "CANCELED")
    equal(call.run_service_archive_run(made.run_id), {})
    equal(call.run_service_get_run(made.run_id).storage_state, "ARCHIVED")
    equal(call.run_service_unarchive_run(made.run_id), {})
    equal(call.run_service_get_run(made.run_id).storage_state, "AVAILABLE")
    equal(call.run_service_delete_run(made.run_id), {})
    refusal(404, call.run_service_get_run, made.run_id)


def runs_of_versions_are_retried_when_they_have_failed(call: Any, folder: Path) -> None:
    pipeline = call.upload_pipeline(compiled(talk, folder), name="talk")
    (version,) = call.pipeline_service_list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    reference = V2beta1PipelineVersionReference(pipeline.pipeline_id, version.pipeline_version_id)

    def run(text: str) -> Any:
        given = V2beta1Run(
            display_name=text,
            pipeline_version_reference=reference,
            runtime_config=V2beta1RuntimeConfig(parameters={"text": text}),
        )
        made = call.run_service_create_run(given)
        equal(made.pipeline_version_reference, reference)
        return finished(call, made.run_id)

    bad, good = run("fail"), run("hello")
    equal((bad.state, good.state), ("FAILED", "SUCCEEDED"))
    equal(call.run_service_retry_run(bad.run_id), {})
    assert call.run_service_get_run(bad.run_id).state_history[-1].state in ("PENDING", "RUNNING", "FAILED")
    again = finished(call, bad.run_id)
    equal([entry.state for entry in again.state_history], ["PENDING", "RUNNING", "FAILED"] * 2)
    (task,) = [task for task in again.run_details.task_details if task.display_name == "say"]
    equal([child.pod_name for child in task.child_tasks], ["say@1", "say@2"])
    equal([entry.state for entry in task.state_history], ["PENDING", "RUNNING", "FAILED"] * 2)
    refusal(409, call.run_service_retry_run, good.run_id)
    call.pipeline_service_delete_pipeline(pipeline.pipeline_id, cascade=True)


def recurring_runs(call: Any, folder: Path) -> None:
    spec = yaml.safe_load(Path(compiled(talk, folder)).read_text())
    made = call.recurring_run_service_create_recurring_run(
        V2beta1RecurringRun(
            display_name="yearly",
            description="rarely",
            pipeline_spec=spec,
            runtime_config=V2beta1RuntimeConfig(parameters={"text": "a year"}),
            trigger=NEVER,
            mode="ENABLE",
            max_concurrency="2",
        )
    )
    equal(
        (made.display_name, made.description, made.status, made.max_concurrency), ("yearly", "rarely", "ENABLED", "2")
    )
    equal((made.trigger, made.runtime_config.parameters), (NEVER, {"text": "a year"}))
    equal(unmoved(call.recurring_run_service_get_recurring_run(made.recurring_run_id)), unmoved(made))
    page = call.recurring_run_service_list_recurring_runs(
        namespace="any", experiment_id=made.experiment_id, page_size=5, sort_by="updated_at desc"
    )
    equal(([unmoved(each) for each in page.recurring_runs], page.total_size), ([unmoved(made)], 1))
    equal(call.recurring_run_service_disable_recurring_run(made.recurring_run_id), {})
    equal(call.recurring_run_service_get_recurring_run(made.recurring_run_id).mode, "DISABLE")
    equal(call.recurring_run_service_enable_recurring_run(made.recurring_run_id), {})
    equal(call.recurring_run_service_get_recurring_run(made.recurring_run_id).status, "ENABLED")
    delete = call.recurring_run_service_delete_recurring_run
    equal(delete(made.recurring_run_id, propagation_policy="ORPHAN"), {})
    refusal(404, call.recurring_run_service_get_recurring_run, made.recurring_run_id)


def unmoved(recurring_run: Any) -> dict[str, Any]:
    """What it is, but for when it changed last: that moves with its next time."""
    return {**recurring_run.to_dict(), "updated_at": None}


def finished(call: Any, run_id: str) -> Any:
    """The run, once it has succeeded or failed."""
    return once(lambda: call.run_service_get_run(run_id), lambda run: run.state in ("SUCCEEDED", "FAILED"))


def once(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """What is read as soon as it holds. Raises TimeoutError."""
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        seen = read()
        if holds(seen):
            return seen
        time.sleep(POLL_S)
    raise TimeoutError(seen)


STORIES: tuple[Story, ...] = (runs_of_specs, runs_of_versions_are_retried_when_they_have_failed, recurring_runs)
