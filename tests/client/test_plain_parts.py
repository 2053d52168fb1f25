"""The parts of the client that need no server: targets, names, values, specs, the service config."""

import json
from pathlib import Path

import pytest

from penstock.channel import Target, check_token, service_config
from penstock.ir import parameter_types, pipeline_name
from penstock.methods import all_methods
from penstock.names import resource_name, task_name, version_name
from penstock.resuming import Backoff
from penstock.spec_source import is_spec
from penstock.v1.run_pb2 import Run
from penstock.values import from_value, message_to_json, to_value

EXAMPLE = Path(__file__).parents[2] / "examples" / "line_fit" / "pipeline.yaml"


@pytest.mark.parametrize(
    ("text", "address", "is_secure"),
    [
        ("host:1", "host:1", False),
        ("grpc://host:1/", "host:1", False),
        ("grpcs://host:443", "host:443", True),
        ("[::1]:8887", "[::1]:8887", False),
    ],
)
def test_targets(text: str, address: str, is_secure: bool) -> None:
    target = Target.parse(text)
    assert (target.address, target.is_secure) == (address, is_secure)


def test_the_target_comes_from_the_environment_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TARGET", "elsewhere:1")
    assert Target.parse(None).address == "elsewhere:1"
    monkeypatch.delenv("PENSTOCK_TARGET")
    assert Target.parse(None).address == "127.0.0.1:8887"


@pytest.mark.parametrize("text", ["host", "http://host:1", "host:port", ":1", "host:70000", "a://b://c:1"])
def test_wrong_targets_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="target"):
        Target.parse(text)


@pytest.mark.parametrize("target", ["127.0.0.1:1", "localhost:1", "[::1]:1", "grpcs://far:1", "grpc://far:1"])
def test_tokens_go_over_tls_loopback_or_where_plaintext_is_asked_for(target: str) -> None:
    check_token(Target.parse(target), "secret")


def test_tokens_do_not_cross_the_network_in_clear_by_accident() -> None:
    with pytest.raises(ValueError, match="grpcs://far:1"):
        check_token(Target.parse("far:1"), "secret")


def test_only_reads_that_are_no_streams_are_retried_by_the_channel() -> None:
    (config,) = json.loads(service_config(all_methods()))["methodConfig"]
    retried = {method["method"] for method in config["name"]}
    assert {"GetRun", "ListRuns", "GetServerInfo", "GetPipelineVersionInterface"} <= retried
    assert not {"CreateRun", "CancelRun", "DeleteRun", "WatchRun", "ReadLogs"} & retried


def test_every_request_type_belongs_to_one_method() -> None:
    requests = [method.request_type.DESCRIPTOR.full_name for method in all_methods()]
    assert len(requests) == len(set(requests)) > 40


@pytest.mark.parametrize("wrong", ["", "a/b", "namespaces/default/pipelines/x", "namespaces/default/runs/"])
def test_wrong_names_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="nam"):
        resource_name("default", "runs", wrong)


def test_names() -> None:
    run = Run(name="namespaces/other/runs/mine")
    assert resource_name("default", "runs", run) == run.name
    assert task_name("default", run, "outer.fit") == f"{run.name}/tasks/outer.fit"
    with pytest.raises(ValueError, match="another one"):
        version_name("default", "line-fit@1", 2)


@pytest.mark.parametrize("value", [None, True, 5, -2.5, "x", [1, "a", [None]], {"a": {"b": [1.5]}}, 2**53])
def test_values_come_back_as_they_went(value: object) -> None:
    back = from_value(to_value(value))
    assert back == value
    assert type(back) is type(value)


def test_json_of_messages_writes_whole_numbers_without_a_fraction() -> None:
    run = Run(name="r", parameters={"n": to_value(5), "x": to_value(0.5), "deep": to_value([{"n": 3}])})
    written = json.dumps(message_to_json(run)["parameters"], sort_keys=True)
    assert written == '{"deep": [{"n": 3}], "n": 5, "x": 0.5}'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.yaml", True),
        ("folder/file", True),
        ("root: {}\nx: 1", True),
        ('{"root": {}}', True),
        ({}, True),
        (Path("anything"), True),
        ("line-fit", False),
        ("line-fit@1", False),
        ("namespaces/default/pipelines/line-fit.yaml", False),
    ],
)
def test_specs_and_pipelines_are_told_apart(source: object, expected: bool) -> None:
    assert is_spec(source) is expected


def test_a_file_of_that_name_is_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compiled").write_text("")
    assert is_spec("compiled")


def test_types_and_name_are_read_from_a_compiled_pipeline() -> None:
    text = EXAMPLE.read_text()
    assert parameter_types(text) == {
        "count": "NUMBER_INTEGER",
        "epochs": "NUMBER_INTEGER",
        "slope": "NUMBER_DOUBLE",
    }
    assert pipeline_name(text) == "line-fit"


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("root: {inputDefinitions: {parameters: {on: {parameterType: STRING}}}}", {"on": "STRING"}),
        ('{"root": {"inputDefinitions": {"parameters": {"n": {"type": "INT"}}}}}', {"n": "NUMBER_INTEGER"}),
        ("pipeline_spec: {root: {}}", {}),
        ("platforms: {}\n---\nroot: {}", {}),
        ("[1, 2]", None),
        ("a: [", None),
        ("root: text", None),
        ("a: " + "[" * 100_000, None),
        ('{"root": ' + "[" * 100_000, None),
    ],
)
def test_types_of_odd_documents(text: str, types: dict[str, str] | None) -> None:
    assert parameter_types(text) == types


def test_pauses_grow_and_are_bounded() -> None:
    backoff = Backoff(first_s=0.1, longest_s=5.0)
    assert 0.05 <= backoff.delay_s(1) <= 0.1
    assert all(2.5 <= backoff.delay_s(failures) <= 5.0 for failures in (10, 100, 10_000))
