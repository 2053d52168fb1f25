"""Real KFP pipelines through the real client, a real server, Postgres and real processes, to the right outputs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.protobuf.json_format import MessageToDict

from penstock import Client
from penstock.v1 import run_pb2, run_service_pb2, task_pb2

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
RUN_TIMEOUT_S = 240

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Outcome:
    """A finished run and the way to what it left."""

    client: Client
    run: run_pb2.Run

    def output(self, name: str) -> Any:
        """An output parameter of the whole run."""
        return MessageToDict(self.run.outputs[name])

    def task(self, task_id: str) -> task_pb2.Task:
        """A task with its attempts."""
        request = run_service_pb2.GetTaskRequest(name=f"{self.run.name}/tasks/{task_id}")
        return self.client.stubs.run.GetTask(request).task

    def parameter(self, task_id: str, name: str = "Output") -> Any:
        """An output parameter of a task."""
        return MessageToDict(self.task(task_id).outputs.parameters[name])

    def metadata(self, task_id: str, name: str) -> dict[str, Any]:
        """The metadata of an output artifact of a task."""
        artifact = self.task(task_id).outputs.artifacts[name].artifacts[0]
        return MessageToDict(artifact.metadata)

    def content(self, task_id: str, name: str = "Output") -> str:
        """The content of an output artifact of a task."""
        artifact = self.task(task_id).outputs.artifacts[name].artifacts[0]
        path = Path(urlsplit(artifact.uri).path)
        assert artifact.size_bytes == path.stat().st_size
        assert artifact.digest.startswith("sha256:")
        return path.read_text()

    def log(self, task_id: str) -> str:
        """What a step wrote."""
        request = run_service_pb2.ReadLogsRequest(name=f"{self.run.name}/tasks/{task_id}")
        return b"".join(chunk.content for chunk in self.client.stubs.run.ReadLogs(request)).decode()


@dataclass(frozen=True)
class Case:
    """A pipeline of the corpus, what it is given and what has to come out."""

    file: str
    check: Callable[[Outcome], object]
    parameters: dict[str, Any] = field(default_factory=dict)


def named_outputs(outcome: Outcome) -> None:
    assert outcome.parameter("add-numbers") == 7
    assert outcome.parameter("concat-message") == "ab"
    assert outcome.content("output-artifact") == "\n".join(["ab"] * 7)
    assert outcome.parameter("output-named-tuple", "scalar") == "123"
    assert outcome.content("output-named-tuple", "model") == "Model contents: " + "\n".join(["ab"] * 7)


def training(outcome: Outcome) -> None:
    model = outcome.content("train", "model")
    assert "message: hi" in model
    assert "input_dict: {'A': 1, 'B': 2}" in model
    assert "input_bool: True, type <class 'bool'>" in model
    assert outcome.metadata("train", "model") == {"accuracy": 0.9}


def preprocessed(outcome: Outcome) -> None:
    assert outcome.output("output_parameter_path") == "hi"
    assert outcome.output("output_bool_parameter_path") is True
    assert outcome.output("output_dict_parameter_path") == {"a": 1}
    assert outcome.output("output_list_parameter_path") == ["x", "y"]
    assert outcome.content("preprocess", "output_dataset_one") == "hi"


def in_order(outcome: Outcome) -> None:
    first, second, third = (outcome.task(f"print-text{suffix}") for suffix in ("", "-2", "-3"))
    assert first.end_time.ToNanoseconds() <= second.start_time.ToNanoseconds()
    assert second.end_time.ToNanoseconds() <= third.start_time.ToNanoseconds()
    assert "3rd task" in outcome.log("print-text-3")


def accuracy_logged(outcome: Outcome) -> None:
    assert 0 <= outcome.metadata("output-metrics", "metrics")["accuracy"] <= 100


def inner_artifact(outcome: Outcome) -> None:
    artifacts = outcome.run.output_artifacts["Output"].artifacts
    assert Path(urlsplit(artifacts[0].uri).path).read_text() == "world\n"
    assert outcome.task("inner-pipeline").kind == task_pb2.Task.KIND_DAG


def logged(task_id: str, text: str) -> Callable[[Outcome], object]:
    def check(outcome: Outcome) -> None:
        assert text in outcome.log(task_id).splitlines()

    return check


def returned(value: object) -> Callable[[Outcome], object]:
    def check(outcome: Outcome) -> None:
        assert outcome.output("Output") == value

    return check


def reused(outcome: Outcome) -> None:
    assert outcome.parameter("add-numbers-3") == 18


NESTED = [{"A_a": "1", "B_b": "2"}, {"A_a": "10", "B_b": "20"}]
PREPROCESS = {"message": "hi", "input_dict_parameter": {"a": 1}, "input_list_parameter": ["x", "y"]}
NUMBERS = {"first_message": "a", "second_message": "b", "first_number": 3, "second_number": 4}
CASES = [
    Case("essential/component_with_env_variable", returned("env_var_value")),
    Case("essential/concat_message", returned("Hello World!"), {"message1": "Hello ", "message2": "World!"}),
    Case("essential/container_no_input", logged("container-no-input", "hello world")),
    Case("essential/dict_input", logged("dict-input", "{'a': 1, 'b': [2.5, 3]}"), {"struct": {"a": 1, "b": [2.5, 3]}}),
    Case("essential/lightweight_python_functions_pipeline", training, {"message": "hi"}),
    Case("essential/lightweight_python_functions_with_outputs", named_outputs, NUMBERS),
    Case("essential/pipeline_with_after", in_order),
    Case("essential/pipeline_with_outputs", inner_artifact),
    Case("essential/pipeline_with_reused_component", reused, {"a": 3, "b": 5}),
    Case(
        "essential/placeholder_with_if_placeholder_none_input_value",
        logged("component-with-optional-inputs", "--arg0 input0 --arg2 default value"),
    ),
    Case("general/hello_world", logged("echo", "hello world")),
    Case("general/identity", returned('it\'s {{$}} "me"'), {"value": 'it\'s {{$}} "me"'}),
    Case("general/nested_return", returned(NESTED)),
    Case("general/output_metrics", accuracy_logged),
    Case("general/preprocess", preprocessed, PREPROCESS),
    Case("general/sequential_v1", logged("echo-2", "two"), {"param1": "one", "param2": "two"}),
    Case("general/arguments_parameters", logged("echo", "hello-you"), {"param2": "you"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_pipeline_of_the_corpus_runs_to_the_right_outputs(client: Client, case: Case) -> None:
    accepted = client.create_run(CORPUS / f"{case.file}.yaml", parameters=case.parameters)
    run = client.wait(accepted, timeout=RUN_TIMEOUT_S)
    assert run.state == run_pb2.Run.STATE_SUCCEEDED, f"{run.reason}: {run.message}"
    case.check(Outcome(client, run))


def test_a_failing_step_fails_the_run_with_its_exit_code_and_last_lines(client: Client) -> None:
    accepted = client.create_run(CORPUS / "failing" / "fail_v2.yaml")
    run = client.wait(accepted, timeout=RUN_TIMEOUT_S)
    assert run.state == run_pb2.Run.STATE_FAILED
    assert run.failed_task == f"{run.name}/tasks/fail"
    attempt = Outcome(client, run).task("fail").attempts[-1]
    assert attempt.exit_code == 1
    assert "KFP Executor" in attempt.log_tail
    assert "exit code 1" in run.message
