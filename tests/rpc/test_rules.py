"""The rules of the schema."""

import pytest

from penstock.v1 import experiment_pb2, experiment_service_pb2, run_pb2, run_service_pb2
from penstock_server.model.errors import InvalidArgument
from penstock_server.rpc.rules import Rules


def violations(request: object) -> list[str]:
    with pytest.raises(InvalidArgument) as raised:
        Rules().check(request)  # type: ignore[arg-type]  # any message
    return [violation.field for violation in raised.value.violations]


def test_a_good_request_passes() -> None:
    Rules().check(run_service_pb2.GetRunRequest(name="namespaces/default/runs/one"))


def test_every_broken_rule_is_told_with_its_path() -> None:
    run = run_pb2.Run(labels={"a b": "x"}, experiment="nowhere")
    request = run_service_pb2.CreateRunRequest(parent="default", run=run)
    assert violations(request) == ["parent", "run", 'run.labels["a b"]', "run.experiment"]


def test_texts_with_a_nul_are_refused_at_any_depth() -> None:
    experiment = experiment_pb2.Experiment(display_name="a\0b", labels={"team": "\0"})
    request = experiment_service_pb2.CreateExperimentRequest(parent="namespaces/default", experiment=experiment)
    assert violations(request) == ["experiment.display_name", "experiment.labels"]


def test_zero_bytes_that_are_no_text_are_fine() -> None:
    Rules().check(run_service_pb2.ReadLogsRequest(name="namespaces/d/runs/r/tasks/t", offset=1 << 21))
    run = run_pb2.Run(pipeline_version="namespaces/d/pipelines/p/versions/1")
    run.parameters["lr"].number_value = 1.0
    Rules().check(run_service_pb2.CreateRunRequest(parent="namespaces/d", run=run))
