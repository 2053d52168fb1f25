"""KFP's services over gRPC, called by a client that knows of them only what reflection tells; and that REST agrees."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from tests import pipelines
from tests.compat.contract import V2BETA1, services
from tests.compat.reflected import Reflected, reflected, services_of
from tests.compat.serving import Answer, KfpSite
from tests.compat.test_recurring_runs import HOURLY
from tests.compat.test_run_files import MODEL, URI, publish
from tests.compat.test_runs import NOBODY, owner

PACKAGE = "kubeflow.pipelines.backend.api.v2beta1"

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
async def client(kfp: KfpSite) -> Reflected:
    return await reflected(kfp.channel, PACKAGE)


@pytest.fixture
def ask(kfp: KfpSite) -> Ask:
    """What REST answers, well."""

    async def ask(method: str, path: str, body: Any = None, **query: Any) -> Any:
        answer = await kfp.ask(method, path, body, query=query)
        assert answer.status == 200, answer.body
        return answer.body

    return ask


def spec() -> pipelines.Ir:
    return pipelines.chain(1, "true")


async def refused(client: Reflected, method: str, request: dict[str, Any]) -> grpc.aio.AioRpcError:
    """The error of a call."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.call(method, request)
    return error.value


async def test_reflection_names_every_service_with_every_method(kfp: KfpSite, client: Reflected) -> None:
    told = {name for name in await services_of(kfp.channel) if name.startswith(PACKAGE)}
    assert told == {service.full_name for service in services(V2BETA1)}
    for service in services(V2BETA1):
        assert client.methods(service.name) == set(service.methods_by_name)


async def test_experiments(client: Reflected, ask: Ask) -> None:
    given = {"display_name": "vision", "description": "of eyes"}
    made = await client.call("ExperimentService/CreateExperiment", {"experiment": given})
    assert {name: made[name] for name in given} == given
    one = {"experiment_id": made["experiment_id"]}
    path = f"/experiments/{made['experiment_id']}"
    assert await client.call("ExperimentService/GetExperiment", one) == await ask("GET", path) == made
    asked = {"page_size": 1, "sort_by": "created_at desc"}
    listed = await client.call("ExperimentService/ListExperiments", asked)
    assert (listed["experiments"], listed["total_size"]) == ([made], 2)
    assert listed == await ask("GET", "/experiments", **asked)
    rest = await client.call("ExperimentService/ListExperiments", {"page_token": listed["next_page_token"]})
    assert [item["display_name"] for item in rest["experiments"]] == ["Default"]
    for verb, state in (("Archive", "ARCHIVED"), ("Unarchive", "AVAILABLE")):
        assert await client.call(f"ExperimentService/{verb}Experiment", one) == {}
        assert (await ask("GET", path))["storage_state"] == state
    assert await client.call("ExperimentService/DeleteExperiment", one) == {}
    gone = await refused(client, "ExperimentService/GetExperiment", one)
    assert gone.code() is grpc.StatusCode.NOT_FOUND


async def test_pipelines_and_versions(client: Reflected, ask: Ask) -> None:
    empty = await client.call("PipelineService/CreatePipeline", {"pipeline": {"name": "empty"}})
    given = {"pipeline": {"name": "train", "tags": {"team": "vision"}}, "pipeline_version": {"pipeline_spec": spec()}}
    made = await client.call("PipelineService/CreatePipelineAndVersion", given)
    one = {"pipeline_id": made["pipeline_id"]}
    path = f"/pipelines/{made['pipeline_id']}"
    assert await client.call("PipelineService/GetPipeline", one) == await ask("GET", path) == made
    assert await client.call("PipelineService/GetPipelineByName", {"name": "train"}) == made
    listed = await client.call("PipelineService/ListPipelines", {})
    assert listed == await ask("GET", "/pipelines") == {"pipelines": [empty, made], "total_size": 2}
    versions = await client.call("PipelineService/ListPipelineVersions", one)
    assert versions == await ask("GET", f"{path}/versions")
    (version,) = versions["pipeline_versions"]
    assert version["pipeline_spec"] == spec()
    both = one | {"pipeline_version_id": version["pipeline_version_id"]}
    assert await client.call("PipelineService/GetPipelineVersion", both) == version
    change = {"pipeline": one | {"display_name": "Train", "tags": {"team": "speech"}}}
    changed = await client.call("PipelineService/UpdatePipeline", change)
    assert (changed["display_name"], changed["tags"]) == ("Train", {"team": "speech"})
    renamed = await client.call(
        "PipelineService/UpdatePipelineVersion", {"pipeline_version": both | {"tags": {"a": "b"}}}
    )
    assert (
        renamed
        == await ask("GET", f"{path}/versions/{version['pipeline_version_id']}")
        == version | {"tags": {"a": "b"}}
    )
    held = await refused(client, "PipelineService/DeletePipeline", one)
    assert held.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT)
    assert await client.call("PipelineService/DeletePipelineVersion", both) == {}
    for pipeline in (made, empty):
        assert await client.call("PipelineService/DeletePipeline", {"pipeline_id": pipeline["pipeline_id"]}) == {}
    assert await client.call("PipelineService/ListPipelines", {}) == await ask("GET", "/pipelines") == {}


async def test_runs(kfp: KfpSite, client: Reflected, ask: Ask, tmp_path: Any) -> None:
    given = {"display_name": "first", "pipeline_spec": spec()}
    made = await client.call("RunService/CreateRun", {"run": given})
    assert (made["state"], made["pipeline_spec"]) == ("PENDING", spec())
    one, path = {"run_id": made["run_id"]}, f"/runs/{made['run_id']}"
    assert await client.call("RunService/GetRun", one) == await ask("GET", path) == made
    assert (
        await client.call("RunService/ListRuns", {}) == await ask("GET", "/runs") == {"runs": [made], "total_size": 1}
    )
    for verb, state in (("Archive", "ARCHIVED"), ("Unarchive", "AVAILABLE")):
        assert await client.call(f"RunService/{verb}Run", one) == {}
        assert (await ask("GET", path))["storage_state"] == state
    assert (await refused(client, "RunService/RetryRun", one)).code() is grpc.StatusCode.ABORTED
    moving = await owner(kfp, made["run_id"])
    await moving.start_step()
    await publish(moving)
    kfp.contents[URI] = tmp_path / "model"
    kfp.contents[URI].write_bytes(b"\0weights")
    asked = one | {"node_id": "train", "artifact_name": MODEL.name}
    read = await client.call("RunService/ReadArtifact", asked)
    assert read == await ask("GET", f"{path}/nodes/train/artifacts/{MODEL.name}:read")
    await moving.end()
    assert await client.call("RunService/TerminateRun", one) == {}
    ended = await client.call("RunService/GetRun", one)
    assert ended == await ask("GET", path)
    assert (ended["state"], len(ended["run_details"]["task_details"])) == ("SUCCEEDED", 2)
    assert await client.call("RunService/DeleteRun", one) == {}
    assert (await refused(client, "RunService/GetRun", one)).code() is grpc.StatusCode.NOT_FOUND


async def test_recurring_runs(client: Reflected, ask: Ask) -> None:
    given = {"display_name": "hourly", "pipeline_spec": spec(), "max_concurrency": 2, "trigger": HOURLY}
    made = await client.call("RecurringRunService/CreateRecurringRun", {"recurring_run": given})
    assert (made["status"], made["trigger"], made["max_concurrency"]) == ("DISABLED", HOURLY, "2")
    one, path = {"recurring_run_id": made["recurring_run_id"]}, f"/recurringruns/{made['recurring_run_id']}"
    assert await client.call("RecurringRunService/GetRecurringRun", one) == await ask("GET", path) == made
    listed = await client.call("RecurringRunService/ListRecurringRuns", {})
    assert listed == await ask("GET", "/recurringruns") == {"recurringRuns": [made], "total_size": 1}
    for verb, status in (("Enable", "ENABLED"), ("Disable", "DISABLED")):
        assert await client.call(f"RecurringRunService/{verb}RecurringRun", one) == {}
        assert (await ask("GET", path))["status"] == status
    assert await client.call("RecurringRunService/DeleteRecurringRun", one | {"propagation_policy": "ORPHAN"}) == {}
    assert (await refused(client, "RecurringRunService/GetRecurringRun", one)).code() is grpc.StatusCode.NOT_FOUND


async def test_health_and_authorization(client: Reflected, ask: Ask) -> None:
    health = await client.call("HealthzService/GetHealthz", {})
    assert health.items() <= (await ask("GET", "/healthz")).items()
    asked = {"resources": "VIEWERS", "verb": "GET"}
    assert await client.call("AuthService/Authorize", asked) == await ask("GET", "/auth", **asked) == {}


REFUSED: list[tuple[str, dict[str, Any], str, str, Any]] = [
    ("RunService/GetRun", {"run_id": NOBODY}, "GET", f"/runs/{NOBODY}", None),
    ("RunService/ListRuns", {"sort_by": "nonsense"}, "GET", "/runs?sort_by=nonsense", None),
    ("RunService/ListRuns", {"page_size": -1}, "GET", "/runs?page_size=-1", None),
    ("RunService/ListRuns", {"page_token": "nonsense"}, "GET", "/runs?page_token=nonsense", None),
    ("RunService/CreateRun", {"run": {"display_name": "x"}}, "POST", "/runs", {"display_name": "x"}),
    ("ExperimentService/CreateExperiment", {"experiment": {}}, "POST", "/experiments", {}),
    (
        "ExperimentService/CreateExperiment",
        {"experiment": {"display_name": "Default"}},
        "POST",
        "/experiments",
        {"display_name": "Default"},
    ),
    ("PipelineService/GetPipelineByName", {"name": "nobody"}, "GET", "/pipelines/names/nobody", None),
    (
        "RecurringRunService/CreateRecurringRun",
        {"recurring_run": {"display_name": "x"}},
        "POST",
        "/recurringruns",
        {"display_name": "x"},
    ),
    ("ReportService/ReportWorkflow", {"workflow": "{}"}, "POST", "/workflows", "{}"),
]


@pytest.mark.parametrize(("method", "request_", "verb", "path", "body"), REFUSED)
async def test_errors_are_the_same_on_both_ports(
    kfp: KfpSite, client: Reflected, method: str, request_: dict[str, Any], verb: str, path: str, body: Any
) -> None:
    error = await refused(client, method, request_)
    answer: Answer = await kfp.ask(verb, path, json.dumps(body).encode() if isinstance(body, str) else body)
    assert (error.code().value[0], error.details()) == (answer.body["code"], answer.body["message"])
