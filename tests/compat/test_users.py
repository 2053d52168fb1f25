"""Several users: namespaces count, and a header names who calls."""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from penstock.kfp.v2beta1 import run_pb2
from penstock.v1 import (
    namespace_pb2,
    namespace_service_pb2,
    namespace_service_pb2_grpc,
    pipeline_service_pb2,
    run_service_pb2,
)
from penstock_server.compat.spaces import Spaces
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.job_turns import JobTurns, TurnSettings
from penstock_server.engine.new_runs import NewRuns
from penstock_server.store.database import Database
from tests import pipelines
from tests.compat.serving import Answer, KfpSite, serving
from tests.compat.test_recurring_runs import body as recurring
from tests.compat.test_runs import pipeline, violated

PATHS = (
    "/experiments?namespace=one",
    "/experiments/x",
    "/pipelines",
    "/pipelines/x",
    "/pipelines/names/x",
    "/pipelines/x/versions",
    "/pipelines/x/versions/y",
    "/runs?namespace=one",
    "/runs?experiment_id=x",
    "/runs/x",
    "/recurringruns?namespace=one",
    "/recurringruns/x",
    "/auth?verb=1&resources=1",
)
FILES = (
    "/apis/v1alpha1/runs/x/nodes/train/log",
    "/apis/v2beta1/runs/x/nodes/train/artifacts/model:read",
    "/apis/v1beta1/runs/x/nodes/train/artifacts/model:read",
)
USER = {"x-goog-authenticated-user-email": "accounts.google.com:ada@example.com"}


@pytest.fixture
async def shared(database: Database, database_dsn: str) -> AsyncIterator[KfpSite]:
    """A server for several users, with the namespaces `one` and `two`."""
    async with serving(database, database_dsn, Spaces(multi_user=True)) as site:
        namespaces = namespace_service_pb2_grpc.NamespaceServiceStub(site.channel)
        for name in ("one", "two"):
            await namespaces.CreateNamespace(
                namespace_service_pb2.CreateNamespaceRequest(namespace_id=name, namespace=namespace_pb2.Namespace())
            )
        yield site


async def test_healthz_says_so_and_needs_nobody(shared: KfpSite) -> None:
    assert (await shared.ask("GET", "/healthz")).body["multi_user"] is True


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-goog-authenticated-user-email": "ada"}, {"x-goog-authenticated-user-email": "accounts.google.com:"}],
)
@pytest.mark.parametrize("path", PATHS)
async def test_nobody_is_refused(shared: KfpSite, path: str, headers: dict[str, str]) -> None:
    answer = await shared.ask("GET", path, headers=headers)
    assert (answer.status, answer.body["code"]) == (401, 16)


@pytest.mark.parametrize("path", FILES)
async def test_nobody_reads_files(shared: KfpSite, path: str) -> None:
    answer = await shared.ask("GET", path)
    assert (answer.status, sorted(answer.body)) == (401, ["error_details", "error_message"])


async def ask(site: KfpSite, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """What a user is answered, well."""
    answer = await site.ask(method, path, body, query=query, headers=USER)
    assert answer.status == 200, answer.body
    return answer.body


async def refused(site: KfpSite, path: str, body: Any) -> Answer:
    """The answer to a request that is refused."""
    answer = await site.ask("POST", path, body, headers=USER)
    assert answer.status != 200
    return answer


async def experiment_of(site: KfpSite, namespace: str) -> str:
    """The id of a new experiment."""
    made = await ask(site, "POST", "/experiments", {"display_name": "mine", "namespace": namespace})
    return str(made["experiment_id"])


async def publish(site: KfpSite, namespace: str) -> dict[str, str]:
    """How runs name a new pipeline of a namespace."""
    body = {"pipeline": {"name": "train", "namespace": namespace}, "pipeline_version": {"pipeline_spec": pipeline()}}
    made = await ask(site, "POST", "/pipelines/create", body)
    return {"pipeline_id": made["pipeline_id"]}


async def make(site: KfpSite, namespace: str) -> Answer:
    body = {"display_name": "mine", "namespace": namespace}
    return await site.ask("POST", "/experiments", body, headers=USER)


async def test_experiments_live_in_the_namespace_that_is_named(shared: KfpSite) -> None:
    made = await make(shared, "one")
    assert made.body["namespace"] == "one"
    assert (await make(shared, "two")).status == 200
    for namespace, expected in (("one", 2), ("two", 2)):  # each has a default experiment
        page = await shared.ask("GET", "/experiments", query={"namespace": namespace}, headers=USER)
        assert page.body["total_size"] == expected
    assert (await make(shared, "")).status == 400
    assert (await make(shared, "nowhere")).status == 404
    assert (await shared.ask("GET", "/experiments", headers=USER)).status == 400


async def test_a_namespace_that_is_missing_is_told_with_what_makes_it(shared: KfpSite) -> None:
    answer = await refused(shared, "/experiments", {"display_name": "mine", "namespace": "alice"})
    assert answer.status == 404
    assert answer.body["message"] == (
        "there is no namespace alice; make it with `penstock namespaces create alice`, or name another one"
    )


async def test_pipelines_without_a_namespace_are_shared(shared: KfpSite) -> None:
    for namespace in ("", "one"):
        made = await shared.ask("POST", "/pipelines", {"name": "p", "namespace": namespace}, headers=USER)
        assert made.body.get("namespace", "") == namespace
        page = await shared.ask("GET", "/pipelines", query={"namespace": namespace}, headers=USER)
        assert page.body["pipelines"] == [made.body]


async def test_a_pipeline_and_its_versions_are_those_of_its_namespace(shared: KfpSite) -> None:
    ids = {namespace: (await publish(shared, namespace))["pipeline_id"] for namespace in ("one", "two", "")}
    for namespace, id in ids.items():
        named = await ask(shared, "GET", "/pipelines/names/train", namespace=namespace)
        assert named["pipeline_id"] == id
        (listed,) = (await ask(shared, "GET", "/pipelines", namespace=namespace))["pipelines"]
        assert listed == named
        assert (await ask(shared, "GET", f"/pipelines/{id}/versions"))["total_size"] == 1
    second = await refused(shared, "/pipelines", {"name": "train", "namespace": "two"})
    assert second.status == 409


async def test_runs_are_those_of_the_namespace_of_their_experiment(shared: KfpSite) -> None:
    made = {}
    for namespace in ("one", "two"):
        experiment = await experiment_of(shared, namespace)
        given = {"display_name": "mine", "experiment_id": experiment, "pipeline_spec": pipeline()}
        made[namespace] = await ask(shared, "POST", "/runs", given)
        assert (await ask(shared, "GET", "/runs", experiment_id=experiment))["runs"] == [made[namespace]]
    for namespace, run in made.items():
        page = await ask(shared, "GET", "/runs", namespace=namespace)
        assert (page["runs"], page["total_size"]) == ([run], 1)
    assert await ask(shared, "GET", "/runs", namespace="default") == {}
    assert (await shared.ask("GET", "/runs", headers=USER)).status == 400
    nowhere = await refused(shared, "/runs", {"display_name": "mine", "pipeline_spec": pipeline()})
    assert nowhere.status == 400
    assert "Experiment id can not be empty in multi-user mode" in nowhere.body["message"]


async def test_recurring_runs_are_those_of_the_namespace_of_their_experiment(shared: KfpSite) -> None:
    made = {}
    for namespace in ("one", "two"):
        given = recurring(experiment_id=await experiment_of(shared, namespace), namespace=namespace)
        made[namespace] = await ask(shared, "POST", "/recurringruns", given)
        assert made[namespace]["namespace"] == namespace
    for namespace, job in made.items():
        page = await ask(shared, "GET", "/recurringruns", namespace=namespace)
        assert (page["recurringRuns"], page["total_size"]) == ([job], 1)
    assert (await shared.ask("GET", "/recurringruns", headers=USER)).status == 400
    other = recurring(experiment_id=made["one"]["experiment_id"], namespace="two")
    assert violated(await refused(shared, "/recurringruns", other)) == ["recurring_run.namespace"]
    assert violated(await refused(shared, "/recurringruns", recurring())) == ["recurring_run.experiment_id"]


async def test_runs_take_pipelines_of_their_namespace_and_shared_ones(shared: KfpSite) -> None:
    experiment = await experiment_of(shared, "one")
    for namespace in ("one", ""):
        reference = await publish(shared, namespace)
        given = {"display_name": "r", "experiment_id": experiment, "pipeline_version_reference": reference}
        made = await ask(shared, "POST", "/runs", given)
        told = made["pipeline_version_reference"]
        assert told.items() >= reference.items()
        again = await ask(shared, "POST", "/runs", given | {"pipeline_version_reference": told})
        assert again["pipeline_version_reference"] == told
        assert await ask(shared, "GET", f"/runs/{made['run_id']}") == made
    given["pipeline_version_reference"] = await publish(shared, "two")
    foreign = await refused(shared, "/runs", given)
    assert (foreign.status, violated(foreign)) == (400, ["run.pipeline_version_reference"])


async def test_recurring_runs_take_the_newest_version_of_a_shared_pipeline_each_time(shared: KfpSite) -> None:
    reference = await publish(shared, "")
    start = datetime.now(UTC) - timedelta(minutes=65)
    given = recurring(
        experiment_id=await experiment_of(shared, "one"),
        pipeline_version_reference=reference,
        trigger={"periodic_schedule": {"interval_second": 3600, "start_time": start.isoformat()}},
    )
    del given["pipeline_spec"]
    made = await ask(shared, "POST", "/recurringruns", given)
    assert made["pipeline_version_reference"] == reference
    version = pipeline_service_pb2.CreatePipelineVersionRequest(parent="namespaces/default/pipelines/train")
    version.pipeline_version.spec.text = json.dumps(pipelines.chain(2, "true"))
    newest = (await shared.own_pipelines.CreatePipelineVersion(version)).pipeline_version
    turns = JobTurns(shared.database, NewRuns(shared.database, Graphs()), TurnSettings())
    await turns.take(uuid.UUID(made["recurring_run_id"]))
    (run,) = (await ask(shared, "GET", "/runs", namespace="one"))["runs"]
    assert run["pipeline_version_reference"] == reference | {"pipeline_version_id": newest.uid}


async def test_our_own_side_names_the_shared_pipeline_where_it_is(shared: KfpSite) -> None:
    experiment, reference = await experiment_of(shared, "one"), await publish(shared, "")
    given = {"display_name": "r", "experiment_id": experiment, "pipeline_version_reference": reference}
    await ask(shared, "POST", "/runs", given)
    pipeline_name = "namespaces/default/pipelines/train"
    for field, name in (("pipeline", pipeline_name), ("pipeline_version", f"{pipeline_name}/versions/1")):
        asked = run_service_pb2.ListRunsRequest(parent="namespaces/one", filter=f'{field} = "{name}"')
        (run,) = (await shared.own_runs.ListRuns(asked)).runs
        assert run.pipeline_version == f"{pipeline_name}/versions/1"
    rerun = run_service_pb2.RerunRunRequest(name=run.name)
    assert (await shared.own_runs.RerunRun(rerun)).run.pipeline_version == run.pipeline_version


async def test_over_grpc_metadata_names_the_user(shared: KfpSite) -> None:
    asked = run_pb2.ListRunsRequest(namespace="one")
    assert not (await shared.runs.ListRuns(asked, metadata=tuple(USER.items()))).runs
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await shared.runs.ListRuns(asked)
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_header_is_the_one_that_was_configured(database: Database, database_dsn: str) -> None:
    spaces = Spaces(multi_user=True, user_header="x-user", user_prefix="")
    async with serving(database, database_dsn, spaces) as site:
        assert (await site.ask("GET", "/pipelines", headers={"x-user": "ada"})).status == 200
        for headers in (USER, {"x-user": ""}):
            assert (await site.ask("GET", "/pipelines", headers=headers)).status == 401


@pytest.mark.parametrize("headers", [{}, dict.fromkeys(USER, "nonsense")])
async def test_a_single_user_is_never_asked_who_they_are(kfp: KfpSite, headers: dict[str, str]) -> None:
    for path in ("/experiments", "/pipelines", "/runs", "/recurringruns"):
        assert (await kfp.ask("GET", path, headers=headers)).status == 200


async def test_a_single_user_needs_no_header_and_no_namespace(kfp: KfpSite) -> None:
    made = await kfp.ask("POST", "/experiments", {"display_name": "mine", "namespace": "anything"})
    assert "namespace" not in made.body
    assert (await kfp.ask("GET", "/experiments", query={"namespace": "other"})).body["total_size"] == 2
