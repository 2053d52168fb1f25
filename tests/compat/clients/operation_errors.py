"""Stories of `kfp_server_api`: what is refused, and with what."""

import inspect
from pathlib import Path
from typing import Any

import kfp_server_api
from kfp_server_api import (
    InlineObject,
    InlineObject1,
    V2beta1CreatePipelineAndVersionRequest,
    V2beta1Experiment,
    V2beta1Pipeline,
    V2beta1PipelineVersion,
    V2beta1RecurringRun,
    V2beta1Run,
    V2beta1Url,
    V2beta1Visualization,
)

from tests.compat.clients.samples import NOBODY, where
from tests.compat.clients.telling import Story, refusal

BODIES = {
    "pipeline_service_create_pipeline_version": V2beta1PipelineVersion(
        pipeline_id=NOBODY, package_url=V2beta1Url(pipeline_url="http://127.0.0.1:1/")
    ),
    "pipeline_service_update_pipeline": InlineObject(display_name="other"),
    "pipeline_service_update_pipeline_version": InlineObject1(display_name="other"),
}
"""What is sent along with the id of nothing."""


def ids_of_nothing_are_not_found(call: Any, _folder: Path) -> None:
    for name, ids in operations_on_ids():
        body = [BODIES[name]] if name in BODIES else []
        assert NOBODY in refusal(404, getattr(call, name), *[NOBODY] * ids, *body), name
    refusal(404, call.pipeline_service_get_pipeline_by_name, "nothing")


def operations_on_ids() -> list[tuple[str, int]]:
    """The operations that a path leads to which has ids, and how many of them."""
    found = []
    for service, kind in inspect.getmembers(kfp_server_api, inspect.isclass):
        if service.endswith("ServiceApi"):
            for name, function in inspect.getmembers(kind, inspect.isfunction):
                ids = [each for each in inspect.signature(function).parameters if each.endswith("_id")]
                if ids and not name.endswith("_with_http_info"):
                    found.append((name, len(ids)))
    return found


def empty_bodies_are_refused(call: Any, _folder: Path) -> None:
    for operation, body, field in (
        (call.experiment_service_create_experiment, V2beta1Experiment(), "experiment.display_name"),
        (call.pipeline_service_create_pipeline, V2beta1Pipeline(), "name"),
        (call.pipeline_service_create_pipeline_and_version, V2beta1CreatePipelineAndVersionRequest(), "version"),
        (call.run_service_create_run, V2beta1Run(), "run.display_name"),
        (call.recurring_run_service_create_recurring_run, V2beta1RecurringRun(), "recurring_run"),
    ):
        message = refusal(400, operation, body)
        assert field in message, message
    message = refusal(400, call.pipeline_service_create_pipeline_version, NOBODY, V2beta1PipelineVersion())
    assert "pipeline_version.pipeline_id" in message, message


def lists_refuse_what_they_cannot_read(call: Any, _folder: Path) -> None:
    pipeline = call.pipeline_service_create_pipeline(V2beta1Pipeline(display_name="listed")).pipeline_id
    for operation, of in (
        (call.experiment_service_list_experiments, ()),
        (call.pipeline_service_list_pipelines, ()),
        (call.pipeline_service_list_pipeline_versions, (pipeline,)),
        (call.run_service_list_runs, ()),
        (call.recurring_run_service_list_recurring_runs, ()),
    ):
        for field, value in (
            ("page_size", -1),
            ("page_token", "garbage"),
            ("sort_by", "colour"),
            ("filter", where(colour="red")),
            ("filter", "{"),
        ):
            message = refusal(400, operation, *of, **{field: value})
            assert field in message, (operation, message)
    call.pipeline_service_delete_pipeline(pipeline)


def what_this_server_does_not_do_is_refused_in_plain_words(call: Any, _folder: Path) -> None:
    for report in (call.report_service_report_workflow, call.report_service_report_scheduled_workflow):
        assert "runs pipelines itself" in refusal(501, report, "{}")
    page = V2beta1Visualization(type="ROC_CURVE", source="gs://somewhere")
    assert "HTML artifact" in refusal(501, call.visualization_service_create_visualization_v1, "any", page)
    refusal(404, call.dummy_filter_service_get_filter)


STORIES: tuple[Story, ...] = (
    ids_of_nothing_are_not_found,
    empty_bodies_are_refused,
    lists_refuse_what_they_cannot_read,
    what_this_server_does_not_do_is_refused_in_plain_words,
)
