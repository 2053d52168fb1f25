"""Stories of `kfp.Client`: runs."""

from pathlib import Path
from typing import Any

from tests.compat.clients.client_pipelines import remove
from tests.compat.clients.samples import NOBODY, ODD_NAMES, compiled, rest, talk, where
from tests.compat.clients.telling import Story, equal, refusal

WAIT_S = 120
POLL_S = 0.1


def functions_run_well_and_badly(client: Any, _folder: Path) -> None:
    good = client.create_run_from_pipeline_func(talk, {"text": "hi"}, run_name="good", experiment_name="talks")
    bad = client.create_run_from_pipeline_func(talk, {"text": "fail"}, run_name="bad", experiment_name="talks")
    ended = client.wait_for_run_completion(good.run_id, WAIT_S, POLL_S)
    equal((ended.display_name, ended.state, ended.error), ("good", "SUCCEEDED", None))
    equal([entry.state for entry in ended.state_history], ["PENDING", "RUNNING", "SUCCEEDED"])
    equal(ended.runtime_config.parameters, {"text": "hi"})
    equal(states(ended), {"root": "SUCCEEDED", "say": "SUCCEEDED"})
    assert ended.created_at <= ended.finished_at
    failed = bad.wait_for_run_completion(WAIT_S)
    equal((failed.state, states(failed)["say"]), ("FAILED", "FAILED"))
    assert "say" in failed.error.message, failed.error
    equal(client.get_run(bad.run_id), failed)
    experiment = client.get_experiment(experiment_name="talks")
    equal(ended.experiment_id, experiment.experiment_id)
    first = client.list_runs(experiment_id=experiment.experiment_id, page_size=1, sort_by="created_at desc")
    last = client.list_runs(
        experiment_id=experiment.experiment_id, page_token=first.next_page_token, sort_by="created_at desc"
    )
    equal([each.display_name for each in (*first.runs, *last.runs)], ["bad", "good"])
    equal((first.total_size, last.next_page_token), (2, None))
    equal([each.display_name for each in client.list_runs(filter=where(state="FAILED")).runs], ["bad"])


def a_package_runs_in_the_default_experiment(client: Any, folder: Path) -> None:
    made = client.create_run_from_pipeline_package(compiled(talk, folder), enable_caching=False)
    ended = client.wait_for_run_completion(made.run_id, WAIT_S, POLL_S)
    equal(ended.state, "SUCCEEDED")
    equal(ended.experiment_id, client.get_experiment(experiment_name="Default").experiment_id)
    assert ended.display_name.startswith("talk.yaml "), ended.display_name
    equal(ended.pipeline_spec["pipelineInfo"]["name"], "talk")
    equal(ended.pipeline_spec["root"]["dag"]["tasks"]["say"]["cachingOptions"].get("enableCache"), None)


def a_version_runs(client: Any, folder: Path) -> None:
    pipeline = client.upload_pipeline(compiled(talk, folder), pipeline_name="Small Talk")
    (version,) = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    experiment = client.create_experiment("versions")
    made = client.run_pipeline(
        experiment.experiment_id,
        "from a version",
        params={"text": "hello"},
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
        service_account="robot",
    )
    reference = made.pipeline_version_reference
    equal((reference.pipeline_id, reference.pipeline_version_id), (pipeline.pipeline_id, version.pipeline_version_id))
    equal((made.display_name, made.service_account, made.storage_state), ("from a version", "robot", "AVAILABLE"))
    equal(client.wait_for_run_completion(made.run_id, WAIT_S, POLL_S).state, "SUCCEEDED")
    remove(client, pipeline.pipeline_id)
    equal(client.get_run(made.run_id).pipeline_spec["pipelineInfo"]["name"], "talk")


def a_cache_key_is_taken(client: Any, folder: Path) -> None:
    package = compiled(talk, folder)
    for name in ("first", "second"):
        made = client.run_pipeline(
            client.create_experiment("cached").experiment_id, name, package, enable_caching=True, cache_key="mine"
        )
        ended = client.wait_for_run_completion(made.run_id, WAIT_S, POLL_S)
        equal((ended.state, states(ended)["say"]), ("SUCCEEDED", "SUCCEEDED"))
    (say,) = [task for task in ended.run_details.task_details if task.display_name == "say"]
    equal((say.pod_name, say.child_tasks), (None, None))


def a_run_is_ended_put_away_and_deleted(client: Any, _folder: Path) -> None:
    run_id = client.create_run_from_pipeline_func(rest, {}, experiment_name="rests").run_id
    try:
        client.wait_for_run_completion(run_id, 0.2, POLL_S)
    except TimeoutError:
        pass
    else:
        raise AssertionError("the wait had to run out of time")
    client.terminate_run(run_id)
    assert client.get_run(run_id).state in ("CANCELING", "FAILED")
    ended = client.wait_for_run_completion(run_id, WAIT_S, POLL_S)
    equal((ended.state, ended.error.message), ("FAILED", "terminated by a client of KFP"))
    equal([entry.state for entry in ended.state_history][-2:], ["CANCELING", "CANCELED"])
    client.terminate_run(run_id)
    client.archive_run(run_id)
    equal(client.get_run(run_id).storage_state, "ARCHIVED")
    client.unarchive_run(run_id)
    equal(client.get_run(run_id).storage_state, "AVAILABLE")
    client.delete_run(run_id)
    refusal(404, client.get_run, run_id)


def values_reach_the_run_as_they_are(client: Any, folder: Path) -> None:
    experiment = client.create_experiment("odd").experiment_id
    for text in (*ODD_NAMES, "{{$.inputs}}", "${run.uid}", " spaced ", ""):
        name = f"with <{text}>"
        made = client.run_pipeline(experiment, name, compiled(talk, folder), {"text": text})
        equal((made.display_name, made.runtime_config.parameters), (name, {"text": text}))
        equal([each.run_id for each in client.list_runs(filter=where(display_name=name)).runs], [made.run_id])
        client.delete_run(made.run_id)


def runs_that_cannot_be_are_refused(client: Any, folder: Path) -> None:
    for call in (
        client.get_run,
        client.archive_run,
        client.unarchive_run,
        client.terminate_run,
        client.delete_run,
    ):
        assert NOBODY in refusal(404, call, NOBODY)
    package = compiled(talk, folder)
    default = client.get_experiment(experiment_name="Default").experiment_id
    assert "colour" in refusal(400, client.run_pipeline, default, "x", package, {"colour": 1})
    assert "display_name" in refusal(400, client.run_pipeline, default, "", package)
    assert "pipeline_root" in refusal(400, client.run_pipeline, default, "x", package, pipeline_root="gs://elsewhere")
    refusal(404, client.run_pipeline, NOBODY, "x", package)
    refusal(404, client.run_pipeline, default, "x", pipeline_id=NOBODY, version_id=NOBODY)
    assert "filter" in refusal(400, client.list_runs, filter=where(colour="red"))


def states(run: Any) -> dict[str, str]:
    """Of the run's tasks."""
    return {task.display_name: task.state for task in run.run_details.task_details}


STORIES: tuple[Story, ...] = (
    functions_run_well_and_badly,
    a_package_runs_in_the_default_experiment,
    a_version_runs,
    a_cache_key_is_taken,
    a_run_is_ended_put_away_and_deleted,
    values_reach_the_run_as_they_are,
    runs_that_cannot_be_are_refused,
)
