"""What the server makes of the report of a pod."""

import json

import pytest

from penstock_agent.plan import Fetch, OutputArtifact, StagePlan
from penstock_agent.report import StepReport, StoredContent
from penstock_server.launch.base import StepRequest
from penstock_server.launch.outputs import outputs_of_report
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.graph import ParameterType
from penstock_server.spec.step import OutputError
from tests.launch.world import component, step

DATA = ArtifactValue("data", "system.Dataset", "s3://b/data", {}, "sha256:aa", 3)


def request() -> StepRequest:
    of = component(
        ["train"],
        input_artifacts=["data"],
        outputs={"accuracy": ParameterType.NUMBER_DOUBLE},
        output_artifacts=["model"],
    )
    return step(of=of, inputs=TaskValues({}, {"data": (DATA,)}))


PLAN = StagePlan(
    attempt="run/train/1",
    report_uri="s3://b/r/.penstock/report.json",
    closed_uri="s3://b/r/.penstock/closed.json",
    output_root="s3://b/r",
    shared="/penstock",
    outputs="/penstock/outputs",
    output_file="/penstock/outputs/output_metadata.json",
    grace_s=30,
    fetches=(Fetch("s3://b/data", "/penstock/inputs/data.0", "sha256:aa"),),
    inputs={"data": ("/penstock/inputs/data.0",)},
    parameters={"accuracy": "/penstock/parameters/accuracy"},
    artifacts={"model": OutputArtifact("/penstock/outputs/model", "s3://b/r/model")},
)
REPORT = StepReport(PLAN.attempt, parameters={"accuracy": "0.5"})


def telling(uri: str, **stored: StoredContent) -> StepReport:
    output = {"artifacts": {"model": {"artifacts": [{"uri": uri, "metadata": {"layers": 3}}]}}}
    return REPORT._replace(
        executor_output=json.dumps(output), stored={f"s3://b/r/{name}": of for name, of in stored.items()}
    )


def test_texts_become_values_and_stored_content_gets_its_digest() -> None:
    stored = {"s3://b/r/model": StoredContent("sha256:bb", 7)}
    outputs = outputs_of_report(request(), PLAN, REPORT._replace(stored=stored))
    assert outputs.parameters == {"accuracy": 0.5}
    (model,) = outputs.artifacts["model"]
    assert (model.uri, model.digest, model.size_bytes) == ("s3://b/r/model", "sha256:bb", 7)


@pytest.mark.parametrize(
    ("told", "uri", "digest"),
    [
        ("/penstock/outputs/model", "s3://b/r/model", ""),
        ("/penstock/outputs/other", "s3://b/r/other", "sha256:cc"),
        ("/penstock/inputs/data.0", "s3://b/data", "sha256:aa"),
        ("gs://elsewhere/model", "gs://elsewhere/model", ""),
    ],
)
def test_an_artifact_is_where_the_rule_of_places_says(told: str, uri: str, digest: str) -> None:
    outputs = outputs_of_report(request(), PLAN, telling(told, other=StoredContent("sha256:cc", 1)))
    (model,) = outputs.artifacts["model"]
    assert (model.uri, model.digest, model.metadata) == (uri, digest, {"layers": 3})


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (StepReport(PLAN.attempt), "OUTPUT_MISSING"),
        (REPORT._replace(parameters={"accuracy": "much"}), "OUTPUT_INVALID"),
        (REPORT._replace(executor_output="{"), "OUTPUT_INVALID"),
        (REPORT._replace(faults=("model is a pipe",)), "OUTPUT_INVALID"),
    ],
)
def test_what_will_not_do_is_told_as_for_processes(report: StepReport, reason: str) -> None:
    with pytest.raises(OutputError) as refused:
        outputs_of_report(request(), PLAN, report)
    assert refused.value.reason == reason
