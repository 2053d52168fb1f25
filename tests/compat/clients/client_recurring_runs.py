"""Stories of `kfp.Client`: recurring runs, under their name and under that of old."""

import time
import warnings
from pathlib import Path
from typing import Any

from tests.compat.clients.client_pipelines import remove
from tests.compat.clients.client_runs import POLL_S, WAIT_S
from tests.compat.clients.samples import NOBODY, compiled, talk, where
from tests.compat.clients.telling import Story, equal, refusal

NEVER = "0 0 9 1 1 ?"
"""Once a year."""


def a_recurring_run_makes_runs_until_it_is_disabled(client: Any, folder: Path) -> None:
    experiment = client.create_experiment("often").experiment_id
    made = client.create_recurring_run(
        experiment,
        "often",
        description="every second",
        interval_second=1,
        params={"text": "[[Index]]"},
        pipeline_package_path=compiled(talk, folder),
    )
    equal((made.display_name, made.description, made.status, made.mode), ("often", "every second", "ENABLED", "ENABLE"))
    equal((int(made.trigger.periodic_schedule.interval_second), int(made.max_concurrency)), (1, 1))
    first = first_run(client, made.recurring_run_id)
    client.disable_recurring_run(made.recurring_run_id)
    equal((first.display_name, first.state, first.experiment_id), ("often-1", "SUCCEEDED", experiment))
    equal((first.runtime_config.parameters, first.recurring_run_id), ({"text": "1"}, made.recurring_run_id))
    disabled = client.get_recurring_run(made.recurring_run_id)
    equal((disabled.status, disabled.mode), ("DISABLED", "DISABLE"))
    client.delete_recurring_run(made.recurring_run_id)
    refusal(404, client.get_recurring_run, made.recurring_run_id)
    equal(client.get_run(first.run_id).recurring_run_id, made.recurring_run_id)


def a_version_recurs(client: Any, folder: Path) -> None:
    pipeline = client.upload_pipeline(compiled(talk, folder), pipeline_name="Recurring Talk")
    (version,) = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    experiment = client.create_experiment("yearly").experiment_id
    made = client.create_recurring_run(
        experiment,
        "yearly",
        start_time="2030-01-01T00:00:00Z",
        end_time="2040-01-01T00:00:00Z",
        cron_expression=NEVER,
        max_concurrency=3,
        no_catchup=True,
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
        enabled=False,
        service_account="robot",
    )
    schedule = made.trigger.cron_schedule
    equal((schedule.cron, schedule.start_time.year, schedule.end_time.year), (NEVER, 2030, 2040))
    equal((made.status, made.no_catchup, int(made.max_concurrency)), ("DISABLED", True, 3))
    equal((made.service_account, made.experiment_id), ("robot", experiment))
    equal(made.pipeline_version_reference.pipeline_version_id, version.pipeline_version_id)
    client.enable_recurring_run(made.recurring_run_id)
    equal(client.get_recurring_run(made.recurring_run_id).status, "ENABLED")
    client.delete_recurring_run(made.recurring_run_id)
    remove(client, pipeline.pipeline_id)


def recurring_runs_are_found(client: Any, folder: Path) -> None:
    package = compiled(talk, folder)
    experiment = client.create_experiment("many").experiment_id
    for name in ("b", "a", "c"):
        client.create_recurring_run(experiment, name, cron_expression=NEVER, pipeline_package_path=package)
    first = client.list_recurring_runs(experiment_id=experiment, page_size=2, sort_by="display_name")
    last = client.list_recurring_runs(
        experiment_id=experiment, page_token=first.next_page_token, sort_by="display_name"
    )
    equal([each.display_name for each in (*first.recurring_runs, *last.recurring_runs)], ["a", "b", "c"])
    equal((first.total_size, last.next_page_token), (3, None))
    (found,) = client.list_recurring_runs(filter=where(display_name="c")).recurring_runs
    equal((found.display_name, found.experiment_id), ("c", experiment))
    for each in (*first.recurring_runs, *last.recurring_runs):
        client.delete_recurring_run(each.recurring_run_id)
    equal(client.list_recurring_runs(experiment_id=experiment).recurring_runs, None)


def jobs_of_old_are_recurring_runs(client: Any, folder: Path) -> None:
    experiment = client.create_experiment("old").experiment_id
    made = client.create_recurring_run(
        experiment, "old", cron_expression=NEVER, pipeline_package_path=compiled(talk, folder)
    ).recurring_run_id
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.disable_job(made)
        equal(client.get_recurring_run("", job_id=made).status, "DISABLED")
        client.enable_job(made)
        equal(client.get_recurring_run(made).status, "ENABLED")
        client.delete_job(made)
    refusal(404, client.get_recurring_run, made)


def recurring_runs_that_cannot_be_are_refused(client: Any, folder: Path) -> None:
    for call in (
        client.get_recurring_run,
        client.enable_recurring_run,
        client.disable_recurring_run,
        client.delete_recurring_run,
    ):
        assert NOBODY in refusal(404, call, NOBODY)
    package = compiled(talk, folder)
    default = client.get_experiment(experiment_name="Default").experiment_id
    for wrong, field in (
        ({"cron_expression": "every day"}, "cron"),
        ({"interval_second": -1}, "interval_second"),
        ({"cron_expression": NEVER, "max_concurrency": -1}, "max_concurrency"),
        ({"cron_expression": NEVER, "params": {"colour": 1}}, "colour"),
    ):
        message = refusal(400, client.create_recurring_run, default, "x", pipeline_package_path=package, **wrong)
        assert field in message, message


def first_run(client: Any, recurring_run_id: str) -> Any:
    """The first run of a recurring run, once it has ended."""
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        found = client.list_runs(filter=where(recurring_run_id=recurring_run_id)).runs
        if found:
            return client.wait_for_run_completion(found[0].run_id, WAIT_S, POLL_S)
        time.sleep(POLL_S)
    raise TimeoutError("the recurring run made no run")


STORIES: tuple[Story, ...] = (
    a_recurring_run_makes_runs_until_it_is_disabled,
    a_version_recurs,
    recurring_runs_are_found,
    jobs_of_old_are_recurring_runs,
    recurring_runs_that_cannot_be_are_refused,
)
