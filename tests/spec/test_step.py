"""What a step is given, and how what it leaves is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.json import JsonObject
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.graph import (
    ArtifactInput,
    ArtifactOutput,
    Component,
    Container,
    ParameterInput,
    ParameterOutput,
    ParameterType,
    Resources,
)
from penstock_server.spec.packages import split_pip_prologue
from penstock_server.spec.step import (
    OutputError,
    StepArtifact,
    StepPaths,
    executor_input,
    read_outputs,
    render_argv,
)

PATHS = StepPaths(
    input_artifacts={"data": ("/in/data",)},
    output_parameters={"n": "/out/n"},
    output_artifacts={"model": "/out/model"},
    output_file="/out/executor.json",
)
DATA = ArtifactValue("data", "system.Dataset", "file:///in/data", {"rows": 3.0})
INPUTS = TaskValues({"x": 'it\'s "me"', "n": 2.0, "list": [1.0, 2.5]}, {"data": (DATA,)})


def optional(kind: ParameterType, default: Any = None) -> ParameterInput:
    return ParameterInput(kind, True, default is not None, default, "", ())


def component(*args: str, outputs: dict[str, ParameterType] | None = None) -> Component:
    made = outputs if outputs is not None else {"n": ParameterType.NUMBER_INTEGER}
    return Component(
        "step",
        {name: optional(ParameterType.STRING) for name in ("x", "n", "list", "absent")}
        | {"defaulted": optional(ParameterType.NUMBER_DOUBLE, 4.0)},
        {"data": ArtifactInput("system.Dataset", "0.0.1", False, False, "")},
        {name: ParameterOutput(kind, "") for name, kind in made.items()},
        {"model": ArtifactOutput("system.Model", "0.0.1", False, {"declared": 1.0}, "")},
        Container("exec", "image", ("prog",), args, (), Resources(), {}),
    )


def rendered(*args: str, facts: dict[str, str] | None = None) -> list[str]:
    step = component(*args)
    assert isinstance(step.body, Container)
    return render_argv(step.body, INPUTS, PATHS, executor_input(step, INPUTS, PATHS), facts)[1:]


def test_the_executor_input_is_as_the_contract_says() -> None:
    assert executor_input(component(), INPUTS, PATHS) == {
        "inputs": {
            "parameterValues": {"defaulted": 4, "x": 'it\'s "me"', "n": 2, "list": [1, 2.5]},
            "artifacts": {
                "data": {
                    "artifacts": [
                        {
                            "name": "data",
                            "type": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"},
                            "uri": "/in/data",
                            "metadata": {"rows": 3},
                        }
                    ]
                }
            },
        },
        "outputs": {
            "parameters": {"n": {"outputFile": "/out/n"}},
            "artifacts": {
                "model": {
                    "artifacts": [
                        {
                            "name": "model",
                            "type": {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"},
                            "uri": "/out/model",
                            "metadata": {"declared": 1},
                        }
                    ]
                }
            },
            "outputFile": "/out/executor.json",
        },
    }


def test_integers_are_written_without_a_fraction() -> None:
    assert "2.0" not in json.dumps(executor_input(component(), INPUTS, PATHS))


IF = '{"IfPresent": {"InputName": "%s", "Then": ["--a", "{{$.inputs.parameters[\'x\']}}"], "Else": "none"}}'
RENDERED = [
    ("{{$.inputs.parameters['x']}}", ['it\'s "me"']),
    ('{{$.inputs.parameters["n"]}}', ["2"]),
    ("{{$.inputs.parameters['list']}}", ["[1,2.5]"]),
    ("{{$.inputs.parameters['defaulted']}}", ["4"]),
    ("{{$.inputs.parameters['absent']}}", ["{{$.inputs.parameters['absent']}}"]),
    ("a{{$.inputs.parameters['n']}}-{{$.inputs.parameters['n']}}b", ["a2-2b"]),
    ("{{$.inputs.artifacts['data'].path}}", ["/in/data"]),
    ("{{$.inputs.artifacts['data'].uri}}", ["/in/data"]),
    ("{{$.inputs.artifacts['data'].metadata}}", ['{"rows":3}']),
    ("{{$.inputs.artifacts['data'].metadata['rows']}}", ["3"]),
    ("{{$.outputs.parameters['n'].output_file}}", ["/out/n"]),
    ("{{$.outputs.artifacts['model'].path}}", ["/out/model"]),
    ("{{$.outputs.artifacts['model'].metadata['declared']}}", ["1"]),
    ("{{$.outputs.output_file}}", ["/out/executor.json"]),
    ("{{$.outputMetadataUri}}", ["/out/executor.json"]),
    (IF % "x", ["--a", 'it\'s "me"']),
    (IF % "absent", ["none"]),
    (IF % "defaulted", ["none"]),
    (IF % "data", ["--a", 'it\'s "me"']),
    ('{"IfPresent": {"InputName": "absent", "Then": ["x"]}}', []),
    ('{"Concat": ["a", "{{$.inputs.parameters[\'n\']}}", {"Concat": ["b", "c"]}]}', ["a2bc"]),
    (
        '{"Concat": ["p-", {"IfPresent": {"InputName": "x", "Then": "{{$.inputs.parameters[\'x\']}}"}}]}',
        ['p-it\'s "me"'],
    ),
    ('{"not": "a placeholder"}', ['{"not": "a placeholder"}']),
    *[(text, [text]) for depth in (60, 900, 100_000) for text in ['{"Concat": ' + "[" * depth + "]" * depth + "}"]],
    ("{{$.pipeline_job_name}}", ["a run"]),
]


@pytest.mark.parametrize(("element", "expected"), RENDERED)
def test_placeholders_are_replaced(element: str, expected: list[str]) -> None:
    assert rendered(element, facts={"{{$.pipeline_job_name}}": "a run"}) == expected


def test_the_whole_executor_input_is_one_element() -> None:
    (text,) = rendered("{{$}}")
    assert json.loads(text) == executor_input(component(), INPUTS, PATHS)
    (escaped,) = rendered('{"x": "{{$.json_escape[1]}}"}')
    assert json.loads(json.loads(escaped)["x"]) == json.loads(text)


PIECES = st.sampled_from(
    ["{{$}}", "{{$.inputs.parameters['x']}}", "{{$.inputs.parameters['y']}}", "{{$.outputs.", "'", "}}"]
)


@given(st.lists(PIECES | st.text(max_size=3)).map("".join), st.lists(PIECES).map("".join))
def test_what_a_user_gives_is_never_read_as_a_placeholder(x: str, y: str) -> None:
    step = component("{{$.inputs.parameters['x']}}|{{$.inputs.parameters['y']}}")
    assert isinstance(step.body, Container)
    inputs = TaskValues({"x": x, "y": y})
    given_input: JsonObject = {"inputs": {"parameterValues": {"x": x, "y": y}}}
    assert render_argv(step.body, inputs, PATHS, given_input)[1] == f"{x}|{y}"


TEXTS = [
    (ParameterType.STRING, " as it is\n", " as it is\n"),
    (ParameterType.NUMBER_INTEGER, " 5\n", 5),
    (ParameterType.NUMBER_INTEGER, "5.0", 5),
    (ParameterType.NUMBER_DOUBLE, "0.5", 0.5),
    (ParameterType.BOOLEAN, "True\n", True),
    (ParameterType.BOOLEAN, "0", False),
    (ParameterType.LIST, "[1, 2.0]", [1, 2]),
    (ParameterType.STRUCT, '{"a": 1}', {"a": 1}),
]


@pytest.mark.parametrize(("kind", "text", "value"), TEXTS)
def test_a_parameters_file_is_read_by_its_type(kind: ParameterType, text: str, value: object) -> None:
    step = component(outputs={"n": kind})
    read = read_outputs(step, PATHS, executor_output=None, parameter_texts={"n": text})
    assert repr(read.parameters["n"]) == repr(value)


WRONG = [
    (ParameterType.NUMBER_INTEGER, None, None, "OUTPUT_MISSING"),
    (ParameterType.NUMBER_INTEGER, "five", None, "OUTPUT_INVALID"),
    (ParameterType.BOOLEAN, "yes", None, "OUTPUT_INVALID"),
    (ParameterType.LIST, "{}", None, "OUTPUT_INVALID"),
    (ParameterType.LIST, "[" * 600 + "]" * 600, None, "OUTPUT_INVALID"),
    (ParameterType.NUMBER_INTEGER, "1_000", None, "OUTPUT_INVALID"),
    (ParameterType.NUMBER_INTEGER, "9" * 400, None, "OUTPUT_INVALID"),
    (ParameterType.NUMBER_INTEGER, "9" * 5000, None, "OUTPUT_INVALID"),
    (ParameterType.LIST, None, '{"parameterValues": {"n": %s}}' % ("[" * 600 + "]" * 600), "OUTPUT_INVALID"),
    (ParameterType.LIST, None, '{"parameterValues": {"n": [%s]}}' % ("9" * 400), "OUTPUT_INVALID"),
    (ParameterType.STRUCT, "{", None, "OUTPUT_INVALID"),
    (ParameterType.STRING, "x", "{", "OUTPUT_INVALID"),
    (ParameterType.STRING, "x", "[]", "OUTPUT_INVALID"),
    (ParameterType.STRING, "x", '{"parameterValues": []}', "OUTPUT_INVALID"),
    (ParameterType.LIST, None, '{"parameterValues": {"n": "x"}}', "OUTPUT_INVALID"),
    (ParameterType.STRING, "x", '{"artifacts": {"model": {"artifacts": [1]}}}', "OUTPUT_INVALID"),
]


@pytest.mark.parametrize(("kind", "text", "executor", "reason"), WRONG)
def test_outputs_that_are_missing_or_wrong_fail_the_step(
    kind: ParameterType, text: str | None, executor: str | None, reason: str
) -> None:
    with pytest.raises(OutputError) as failed:
        read_outputs(component(outputs={"n": kind}), PATHS, executor_output=executor, parameter_texts={"n": text})
    assert failed.value.reason == reason


def test_the_executors_output_wins_and_may_change_artifacts() -> None:
    written = {
        "parameterValues": {"n": 7.0},
        "artifacts": {
            "model": {"artifacts": [{"uri": "s3://b/k", "metadata": {"acc": 1.0}, "custom_path": "/tmp/m"}]},
            "unknown": {},
        },
        "unknown": 1,
    }
    read = read_outputs(component(), PATHS, executor_output=json.dumps(written), parameter_texts={"n": "3"})
    assert repr(read.parameters["n"]) == "7"
    assert read.artifacts["model"] == (StepArtifact("model", "s3://b/k", {"declared": 1, "acc": 1}, "/tmp/m"),)


def test_an_artifact_that_nobody_tells_of_is_where_it_was_declared() -> None:
    read = read_outputs(component(), PATHS, executor_output=None, parameter_texts={"n": "3"})
    assert read.artifacts["model"] == (StepArtifact("model", "/out/model", {"declared": 1}),)


def test_python_may_write_nan() -> None:
    written = '{"parameterValues": {"n": 1}, "artifacts": {"model": {"artifacts": [{"metadata": {"x": NaN}}]}}}'
    read = read_outputs(component(), PATHS, executor_output=written, parameter_texts={})
    assert str(read.artifacts["model"][0].metadata["x"]) == "nan"


ENSURE = (
    '\nif ! [ -x "$(command -v pip)" ]; then\n    python3 -m ensurepip || python3 -m ensurepip --user'
    " || apt-get install python3-pip\nfi\n\n"
)
PIP = "PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --no-warn-script-location "
KFP = "'kfp==2.9.0' '--no-deps' 'typing-extensions>=3.7.4,<5; python_version<\"3.9\"' && "


def test_the_installation_that_components_begin_with_is_taken_off() -> None:
    script = f'{ENSURE}{PIP}{KFP}{PIP}--extra-index-url x \'pandas==2.0\' && "$0" "$@"\n'
    requirements, rest = split_pip_prologue(["sh", "-c", script, "sh", "-ec", "run"])
    assert requirements is not None
    kfp, extra = requirements.groups
    assert kfp.packages == ("kfp==2.9.0", 'typing-extensions>=3.7.4,<5; python_version<"3.9"')
    assert (kfp.no_deps, extra.packages, extra.extra_index_urls) == (True, ("pandas==2.0",), ("x",))
    assert rest == ["sh", "-ec", "run"]


VENV = (
    "\nexport PIP_DISABLE_PIP_VERSION_CHECK=1\ntmp=$(mktemp -d)\n"
    'python3 -m venv "$tmp/venv" --system-site-packages\n. "$tmp/venv/bin/activate"\n'
)


@pytest.mark.parametrize("before", ["", f"{PIP}'pandas' && "])
def test_an_environment_of_the_steps_own_is_what_it_gets_anyway(before: str) -> None:
    install = PIP.partition(" ")[2]
    start = before or f"{PIP.partition(' ')[0]} "
    requirements, rest = split_pip_prologue(["sh", "-c", f'{ENSURE}{start}{VENV} {install}{KFP}"$0" "$@"\n', "run"])
    assert requirements is not None
    assert requirements.groups[-1].packages[0] == "kfp==2.9.0"
    assert rest == ["run"]


@pytest.mark.parametrize(
    "script",
    [
        "echo hello",
        f'{ENSURE}{PIP}{VENV}{VENV}{PIP}{KFP}"$0" "$@"',
        f'{ENSURE}{PIP}{KFP}rm -rf x && "$0" "$@"',
        f'{ENSURE}{PIP}\'a\' || true && "$0" "$@"',
        f'{ENSURE}{PIP}\'a\' --weird && "$0" "$@"',
        f'{ENSURE}{PIP}\'$(id)\' && "$0" "$@"',
        f'{ENSURE}{PIP}"a==$VERSION" && "$0" "$@"',
        f'{ENSURE}{PIP}\'a\' $MORE && "$0" "$@"',
        f'{ENSURE}{PIP}\'a\'\necho hi && "$0" "$@"',
        f'{ENSURE}{PIP}\'a\' # and && "$0" "$@"',
        f'{ENSURE}{PIP}*.whl && "$0" "$@"',
        f'{ENSURE}{PIP}~/a.whl && "$0" "$@"',
        f"{ENSURE}{PIP}'a' '&&' {PIP}'b' && \"$0\" \"$@\"",
        f"{ENSURE}{PIP}'a'",
        f'{ENSURE}{PIP}\'a && "$0" "$@"',
    ],
)
def test_what_is_not_understood_in_full_runs_as_it_is_written(script: str) -> None:
    argv = ["sh", "-c", script, "prog"]
    assert split_pip_prologue(argv) == (None, argv)


def test_quoted_requirements_may_hold_what_a_shell_would_take_for_its_own() -> None:
    packages = ("git+https://host/x#egg=x", "a==1.*", "b>=1;python_version<'4'")
    script = f'{ENSURE}{PIP}\'{packages[0]}\' \'{packages[1]}\' "{packages[2]}" && "$0" "$@"'
    requirements, _ = split_pip_prologue(["sh", "-c", script, "prog"])
    assert requirements is not None
    assert requirements.groups[0].packages == packages


def test_the_key_follows_the_requirements() -> None:
    def key(packages: str) -> str:
        requirements, _ = split_pip_prologue(["sh", "-c", f'{ENSURE}{PIP}{packages} && "$0" "$@"', "x"])
        assert requirements is not None
        return requirements.key

    assert key("'a'") == key("a")
    assert key("a") != key("b")
    assert key("a") != key("a --no-deps")
