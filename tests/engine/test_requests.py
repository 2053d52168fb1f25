"""What the API asks of runs: what is made, what is refused, and what a repeat answers."""

import asyncio
import uuid
from typing import Any

import pytest

from penstock_server.engine.run_requests import NewRunRequest, VersionSource
from penstock_server.launch.fake import Act, FakeHost
from penstock_server.model.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unimplemented,
)
from penstock_server.model.resources import Run
from penstock_server.spec import document as documents
from penstock_server.spec.document import from_struct
from penstock_server.store import experiments, pipeline_versions, pipelines
from penstock_server.store.pipeline_versions import NewPipelineVersion
from penstock_server.store.requested import RequestKey
from tests import pipelines as irs
from tests.engine.conftest import Field, eventually

IR = irs.chain(1, "true")


def request(**more: Any) -> NewRunRequest:
    return NewRunRequest(**{"namespace": "default", "run_id": "r1", "source": from_struct(IR), **more})


async def add_version(field: Field, alias: str | None = None) -> None:
    canonical = documents.canonical(from_struct(IR))
    new = NewPipelineVersion(alias, "", "", {}, documents.digest(canonical), canonical, "kfp-2", ())
    async with field.database.transaction() as connection:
        await pipeline_versions.insert(connection, "default", "p", new)


async def add_pipeline(field: Field) -> None:
    async with field.database.transaction() as connection:
        await pipelines.insert(connection, "default", "p", display_name="", description="", labels={})


async def test_a_new_run_waits_for_an_engine(field: Field) -> None:
    run, is_new = await field.new_runs.create_run(request(display_name="mine", labels={"team": "a"}))
    assert is_new
    assert (run.state, run.reason, run.event_sequence) == ("PENDING", "WAITING_FOR_ENGINE", 2)
    assert (run.display_name, run.labels, run.experiment_id) == ("mine", {"team": "a"}, "default")


async def test_the_newest_version_is_pinned(field: Field) -> None:
    await add_pipeline(field)
    await add_version(field)
    await add_version(field, alias="stable")
    run, _ = await field.new_runs.create_run(request(source=VersionSource("p")))
    other, _ = await field.new_runs.create_run(request(run_id="r2", source=VersionSource("p", alias="stable")))
    first, _ = await field.new_runs.create_run(request(run_id="r3", source=VersionSource("p", number=1)))
    assert [made.pipeline_version for made in (run, other, first)] == [2, 2, 1]


async def test_a_repeat_answers_with_the_first_run(field: Field) -> None:
    key = RequestKey(uuid.uuid4(), "digest")
    made = await asyncio.gather(
        *(field.new_runs.create_run(request(run_id=f"r{index}", request=key)) for index in range(5))
    )
    assert len({run.uid for run, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


async def test_a_request_id_serves_one_request(field: Field) -> None:
    request_id = uuid.uuid4()
    await field.new_runs.create_run(request(request=RequestKey(request_id, "one")))
    with pytest.raises(AlreadyExists, match="REQUEST_ID_REUSED"):
        await field.new_runs.create_run(request(run_id="r2", request=RequestKey(request_id, "two")))


async def test_validation_alone_makes_nothing(field: Field) -> None:
    run, is_new = await field.new_runs.create_run(request(), validate_only=True)
    assert (run.id, is_new) == ("r1", True)
    with pytest.raises(NotFound):
        await field.requests.cancel_run("default", "r1")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"namespace": "nowhere"}, "NAMESPACE_NOT_FOUND"),
        ({"experiment_id": "nothing"}, "EXPERIMENT_NOT_FOUND"),
        ({"source": VersionSource("p")}, "PIPELINE_VERSION_NOT_FOUND|PIPELINE_NOT_FOUND"),
    ],
)
async def test_what_is_named_has_to_exist(field: Field, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotFound, match=reason):
        await field.new_runs.create_run(request(**more))


async def test_an_archived_experiment_takes_no_runs(field: Field) -> None:
    async with field.database.transaction() as connection:
        await experiments.insert(connection, "default", "e", display_name="", description="", labels={})
        await experiments.set_archived(connection, "default", "e", archived=True)
    with pytest.raises(FailedPrecondition, match="EXPERIMENT_ARCHIVED"):
        await field.new_runs.create_run(request(experiment_id="e"))


async def test_unknown_parameters_are_refused(field: Field) -> None:
    with pytest.raises(InvalidArgument):
        await field.new_runs.create_run(request(parameters={"nobody": 1}))


async def test_what_cannot_run_yet_is_refused(field: Field) -> None:
    ir = irs.chain(1, "true")
    ir["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = "argostub/createpvc"
    with pytest.raises(Unimplemented):
        await field.new_runs.create_run(request(source=from_struct(ir)))


async def test_a_taken_id_is_refused(field: Field) -> None:
    await field.new_runs.create_run(request())
    with pytest.raises(AlreadyExists, match="RUN_EXISTS"):
        await field.new_runs.create_run(request())


async def test_a_finished_run_is_not_cancelled(field: Field) -> None:
    await field.server()
    run, _ = await field.new_runs.create_run(request())
    await field.ended(run.uid)
    with pytest.raises(FailedPrecondition, match="RUN_FINISHED"):
        await field.requests.cancel_run("default", "r1")
    with pytest.raises(FailedPrecondition, match="RUN_NOT_RETRYABLE"):
        await field.requests.retry_run("default", "r1")


@pytest.mark.parametrize("ask", ["cancel_run", "retry_run", "delete_run"])
async def test_a_stale_etag_and_a_missing_run_are_refused(field: Field, ask: str) -> None:
    more = {"force": True} if ask == "delete_run" else {}
    with pytest.raises(NotFound, match="RUN_NOT_FOUND"):
        await getattr(field.requests, ask)("default", "r1", **more)
    await field.new_runs.create_run(request())
    with pytest.raises(Conflict, match="ETAG_MISMATCH"):
        await getattr(field.requests, ask)("default", "r1", revision=99, **more)


async def test_a_finished_run_is_deleted_at_once(field: Field) -> None:
    await field.server()
    run, _ = await field.new_runs.create_run(request())
    await field.ended(run.uid)
    await field.requests.delete_run("default", "r1", force=False)
    with pytest.raises(NotFound):
        await field.requests.cancel_run("default", "r1")


# Runs that this process's engine takes at once.


async def test_a_run_made_beside_an_engine_is_its_own(field: Field) -> None:
    gate = asyncio.Event()
    server = await field.server(FakeHost(lambda request: Act(gate=gate)), poll_s=3600)
    run, _ = await field.new_runs_of(server).create_run(request())
    assert server.engine.run_count == 1
    gate.set()
    await field.ended(run.uid)


async def test_a_run_whose_call_broke_is_found_by_its_server(field: Field) -> None:
    """It was stored as the server's own, and then nobody told the server."""
    server = await field.server(poll_s=0.05)
    run, _ = await field.new_runs_of(Forgetful(server.engine.offer)).create_run(request())
    await field.ended(run.uid)


async def test_a_drained_server_offers_nothing(field: Field) -> None:
    server = await field.server()
    await server.engine.drain()
    assert server.engine.offer() is None


async def test_a_busy_server_leaves_new_runs_to_all(field: Field) -> None:
    host = FakeHost(lambda request: Act(gate=asyncio.Event()))
    server = await field.server(host, max_parallel_steps=1)
    await field.submit(irs.wide(20, "true"))
    await eventually(lambda: server.engine.offer() is None, "the server is busy")


class Forgetful:
    """Offers, and forgets."""

    def __init__(self, offer: Any) -> None:
        self.offer = offer

    def take_new(self, run: Run, graph: object) -> None:
        """Nothing."""
