"""`penstock pipelines`, `experiments`, `namespaces`, `server`, and the help of every command."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from penstock.cli.__main__ import app
from penstock.cli.output import print_table
from penstock.v1.experiment_pb2 import Experiment
from penstock.v1.experiment_service_pb2 import (
    CreateExperimentResponse,
    DeleteExperimentResponse,
    ListExperimentsResponse,
)
from penstock.v1.namespace_pb2 import Namespace
from penstock.v1.namespace_service_pb2 import CreateNamespaceResponse, ListNamespacesResponse
from penstock.v1.parameter_pb2 import ParameterDefinition
from penstock.v1.pipeline_pb2 import Pipeline, PipelineVersion
from penstock.v1.pipeline_service_pb2 import (
    CreatePipelineResponse,
    CreatePipelineVersionRequest,
    CreatePipelineVersionResponse,
    DeletePipelineRequest,
    DeletePipelineResponse,
    DeletePipelineVersionRequest,
    DeletePipelineVersionResponse,
    GetPipelineResponse,
    GetPipelineVersionInterfaceResponse,
    ListPipelinesResponse,
    ListPipelineVersionsResponse,
)
from penstock.v1.server_pb2 import ServerInfo
from penstock.v1.server_service_pb2 import GetServerInfoResponse
from penstock.values import to_value
from tests.client.conftest import Command
from tests.client.scripted import ScriptedServer

NAME = "namespaces/default/pipelines/line-fit"
PIPELINE = Pipeline(name=NAME, latest_version=f"{NAME}/versions/2", version_count=2)
VERSION = PipelineVersion(name=f"{NAME}/versions/2", number=2, alias="best", spec_digest="sha256:" + "a" * 64)
TUNING = Experiment(name="namespaces/default/experiments/tuning", description="learning rates")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "pipeline.yaml"
    path.write_text("root: {}\n")
    return str(path)


def test_a_pipeline_is_made_with_its_first_version(command: Command, server: ScriptedServer, file: str) -> None:
    server.on("CreatePipeline", CreatePipelineResponse(pipeline=Pipeline(name=NAME)))
    server.on("CreatePipelineVersion", CreatePipelineVersionResponse(pipeline_version=VERSION))
    server.on("GetPipeline", GetPipelineResponse(pipeline=PIPELINE))
    outcome = command("pipelines", "create", "line-fit", file)
    assert (outcome.exit_code, f"{NAME}/versions/2" in outcome.stdout) == (0, True)
    (added,) = server.requests_of(CreatePipelineVersionRequest)
    assert added.pipeline_version.spec.text.startswith("root: {}")


def test_a_version_is_uploaded(command: Command, server: ScriptedServer, file: str) -> None:
    server.on("GetPipeline", GetPipelineResponse(pipeline=PIPELINE))
    server.on("CreatePipelineVersion", CreatePipelineVersionResponse(pipeline_version=VERSION))
    outcome = command("pipelines", "upload", "line-fit", file, "--alias", "best", "-o", "json")
    assert json.loads(outcome.stdout)["number"] == 2


def test_pipelines_and_versions_are_listed(command: Command, server: ScriptedServer) -> None:
    server.on("ListPipelines", ListPipelinesResponse(pipelines=[PIPELINE]))
    server.on("ListPipelineVersions", ListPipelineVersionsResponse(pipeline_versions=[VERSION]))
    assert command("pipelines", "list").stdout.splitlines()[1].split() == ["line-fit", "2", "2"]
    assert "best" in command("pipelines", "versions", "line-fit").stdout


def test_parameters_are_shown_as_people_would_give_them(command: Command, server: ScriptedServer) -> None:
    kinds = ParameterDefinition
    parameters = [
        kinds(name="epochs", type=kinds.TYPE_NUMBER_INTEGER, optional=True, default_value=to_value(400)),
        kinds(name="slope", type=kinds.TYPE_NUMBER_DOUBLE),
    ]
    response = GetPipelineVersionInterfaceResponse(parameters=parameters)
    server.on("GetPipelineVersionInterface", response)
    rows = command("pipelines", "parameters", "line-fit@2").stdout.splitlines()[1:]
    assert [row.split() for row in rows] == [
        ["epochs", "NUMBER_INTEGER", "400"],
        ["slope", "NUMBER_DOUBLE", "required"],
    ]


def test_one_version_or_the_whole_pipeline_is_deleted(command: Command, server: ScriptedServer) -> None:
    server.on("DeletePipeline", DeletePipelineResponse())
    server.on("DeletePipelineVersion", DeletePipelineVersionResponse())
    assert command("pipelines", "delete", "line-fit@2").exit_code == 0
    assert command("pipelines", "delete", "line-fit", "--force").exit_code == 0
    assert server.requests == [
        DeletePipelineVersionRequest(name=f"{NAME}/versions/2"),
        DeletePipelineRequest(name=NAME, force=True),
    ]


def test_experiments_are_made_listed_and_deleted(command: Command, server: ScriptedServer) -> None:
    server.on("CreateExperiment", CreateExperimentResponse(experiment=TUNING))
    server.on("ListExperiments", ListExperimentsResponse(experiments=[TUNING]))
    server.on("DeleteExperiment", DeleteExperimentResponse())
    assert "learning rates" in command("experiments", "create", "tuning").stdout
    assert "tuning" in command("experiments", "list").stdout
    assert command("experiments", "delete", "tuning").exit_code == 0


def test_lists_tell_display_names_and_shorten_what_is_long(command: Command, server: ScriptedServer) -> None:
    named = Experiment(name="namespaces/default/experiments/fr-h-2zvhh3m4", display_name="Früh ☃ 実験")
    plain = Experiment(name="namespaces/default/experiments/plain", display_name="plain", description="x" * 70_000)
    server.on("ListExperiments", ListExperimentsResponse(experiments=[named, plain]))
    heading, first, second = command("experiments", "list").stdout.splitlines()
    assert heading.split() == ["EXPERIMENT", "DISPLAY", "NAME", "CREATED", "ARCHIVED", "DESCRIPTION"]
    assert first.split() == ["fr-h-2zvhh3m4", "Früh", "☃", "実験"]
    assert second.split() == ["plain", "x" * 59 + "…"]


def test_columns_stand_under_each_other_whatever_is_written_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["NAME", "STATE"], [["実験", "a"], ["u\u0308ber", "b"], ["plain", "c"]])
    assert capsys.readouterr().out.splitlines() == ["NAME   STATE", "実験   a", "u\u0308ber   b", "plain  c"]


def test_the_namespace_is_an_option(command: Command, server: ScriptedServer) -> None:
    server.on("ListExperiments", ListExperimentsResponse())
    command("--namespace", "vision", "experiments", "list")
    assert server.requests[0].parent == "namespaces/vision"


def test_namespaces_are_made_and_listed(command: Command, server: ScriptedServer) -> None:
    vision = Namespace(name="namespaces/vision")
    server.on("CreateNamespace", CreateNamespaceResponse(namespace=vision))
    server.on("ListNamespaces", ListNamespacesResponse(namespaces=[vision]))
    assert command("namespaces", "create", "vision").exit_code == 0
    assert "vision" in command("namespaces", "list").stdout


def test_the_server_tells_how_it_is(command: Command, server: ScriptedServer) -> None:
    info = ServerInfo(
        version="0.1.0",
        launcher="process",
        database_status=ServerInfo.DATABASE_STATUS_AVAILABLE,
        database_version="16.4",
        embedded_database=True,
        parallel_steps_max=8,
    )
    server.on("GetServerInfo", GetServerInfoResponse(server_info=info))
    outcome = command("server", "status")
    assert "available, embedded Postgres 16.4" in outcome.stdout
    assert "0 running, at most 8 at a time" in outcome.stdout
    assert json.loads(command("server", "status", "-o", "json").stdout)["launcher"] == "process"


def commands() -> Iterator[tuple[str, ...]]:
    """Every command by its words."""
    groups: list[tuple[tuple[str, ...], object]] = [((), get_command(app))]
    for path, group in groups:
        yield path
        groups += [((*path, name), inner) for name, inner in getattr(group, "commands", {}).items()]


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help(command: Command, path: tuple[str, ...]) -> None:
    outcome = command(*path, "--help")
    assert outcome.exit_code == 0
    is_group = len(path) == 1 and path[0] not in {"run", "logs"}
    assert "Example" in outcome.stdout or is_group
