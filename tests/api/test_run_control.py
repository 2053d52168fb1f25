"""RunService: what callers do to runs - cancel, pause, resume, retry, run again."""

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Value

from penstock.v1 import run_pb2
from penstock.v1 import run_service_pb2 as pb
from penstock_server.model.states import RunState
from penstock_server.store import runs
from tests import factories
from tests.api.calls import reason, refusal
from tests.api.conftest import Api
from tests.api.moving import Mover, mover
from tests.api.test_runs import PARENT, create, get, inline, publish

NAME = f"{PARENT}/runs/one"


async def ended(api: Api, name: str, state: RunState = RunState.SUCCEEDED) -> Mover:
    """The run has run."""
    owner = await moved(api, name)
    await owner.start()
    await owner.end(state)
    return owner


async def moved(api: Api, name: str) -> Mover:
    """Somebody owns the run."""
    async with api.database.connection() as connection:
        record = await runs.get(connection, "default", name.rpartition("/")[2])
    return await mover(api.database, record)


async def rerun(api: Api, name: str, **fields: Any) -> pb.RerunRunResponse:
    return await api.runs.RerunRun(pb.RerunRunRequest(name=name, **fields))


async def test_cancel_and_retry_are_requests_of_runs_in_the_right_state(api: Api) -> None:
    run = await factories.insert_run(api.database, id="one")
    name = f"{PARENT}/runs/one"
    assert await reason(api.runs.RetryRun(pb.RetryRunRequest(name=name))) == "RUN_NOT_RETRYABLE"
    await api.runs.CancelRun(pb.CancelRunRequest(name=name, message="enough"))
    await api.runs.CancelRun(pb.CancelRunRequest(name=name))
    owner = await mover(api.database, run)
    await owner.start()
    await owner.end(RunState.FAILED)
    assert await reason(api.runs.CancelRun(pb.CancelRunRequest(name=name))) == "RUN_FINISHED"
    assert (await api.runs.RetryRun(pb.RetryRunRequest(name=name))).run.name == name


async def test_a_pause_and_its_end_show_at_once_and_may_be_repeated(api: Api) -> None:
    await factories.insert_run(api.database, id="one")
    paused = (await api.runs.PauseRun(pb.PauseRunRequest(name=NAME))).run
    assert paused.HasField("pause_time")
    again = (await api.runs.PauseRun(pb.PauseRunRequest(name=NAME))).run
    assert again.pause_time == paused.pause_time
    for _ in range(2):
        assert not (await api.runs.ResumeRun(pb.ResumeRunRequest(name=NAME))).run.HasField("pause_time")


async def test_what_has_ended_or_is_ending_is_not_paused(api: Api) -> None:
    await factories.insert_run(api.database, id="one")
    await api.runs.CancelRun(pb.CancelRunRequest(name=NAME))
    assert await reason(api.runs.PauseRun(pb.PauseRunRequest(name=NAME))) == "RUN_CANCELLING"
    await ended(api, NAME, RunState.FAILED)
    assert await reason(api.runs.PauseRun(pb.PauseRunRequest(name=NAME))) == "RUN_FINISHED"
    assert await reason(api.runs.ResumeRun(pb.ResumeRunRequest(name=NAME))) == "RUN_FINISHED"


async def test_a_pause_and_its_end_are_guarded_by_etags(api: Api) -> None:
    await factories.insert_run(api.database, id="one")
    assert await reason(api.runs.PauseRun(pb.PauseRunRequest(name=NAME, etag="old"))) == "ETAG_MISMATCH"
    assert await reason(api.runs.ResumeRun(pb.ResumeRunRequest(name=NAME, etag="old"))) == "ETAG_MISMATCH"


async def test_a_rerun_has_all_of_the_old_run_but_what_is_to_change(api: Api) -> None:
    old = await create(api, inline(display_name="Old", labels={"a": "b"}, priority=4, max_parallel_tasks=2))
    made = (await rerun(api, old.name, parameters={"lr": Value(number_value=2)}, run_id="new")).run
    assert (made.name, made.rerun_of) == (f"{PARENT}/runs/new", old.name)
    assert (made.display_name, dict(made.labels)) == ("Old", {"a": "b"})
    assert (made.priority, made.max_parallel_tasks, made.spec_digest) == (4, 2, old.spec_digest)
    assert dict(made.parameters) == {"lr": Value(number_value=2)}
    assert (await get(api, made.name)).rerun_of == old.name


async def test_a_parameter_can_take_its_default_again(api: Api) -> None:
    asked = inline()
    asked.parameters["epochs"].number_value = 9
    old = await create(api, asked)
    assert set((await rerun(api, old.name, unset_parameters=["epochs"])).run.parameters) == {"lr"}
    both = await refusal(rerun(api, old.name, unset_parameters=["lr"], parameters={"lr": Value(number_value=1)}))
    assert both.fields == ["unset_parameters"]
    assert await reason(rerun(api, old.name, unset_parameters=["lr"])) == "MISSING_PARAMETER"


async def test_a_rerun_takes_another_version_and_keeps_a_deleted_one(api: Api) -> None:
    await publish(api)
    old = await create(api, inline())
    latest = f"{PARENT}/pipelines/train/versions/latest"
    made = (await rerun(api, old.name, pipeline_version=latest)).run
    assert made.pipeline_version == f"{PARENT}/pipelines/train/versions/1"
    elsewhere = latest.replace("default", "other")
    assert (await refusal(rerun(api, old.name, pipeline_version=elsewhere))).fields == ["pipeline_version"]


async def test_a_rerun_with_a_request_id_is_made_once_also_when_the_old_run_is_gone(api: Api) -> None:
    old = await create(api, inline())
    request_id = "3d0ca315-aff9-4fc2-be61-3b76b9a2d798"
    once = (await rerun(api, old.name, request_id=request_id)).run
    await ended(api, old.name)
    await api.runs.DeleteRun(pb.DeleteRunRequest(name=old.name))
    assert (await rerun(api, old.name, request_id=request_id)).run.uid == once.uid
    assert await reason(rerun(api, old.name)) == "RUN_NOT_FOUND"


async def test_a_forecast_tells_what_would_run_and_makes_nothing(api: Api) -> None:
    old = await create(api, inline())
    told = await rerun(api, old.name, validate_only=True)
    assert (list(told.forecast.reused), list(told.forecast.will_run)) == ([], ["s0"])
    assert len((await api.runs.ListRuns(pb.ListRunsRequest(parent=PARENT))).runs) == 1


@pytest.mark.parametrize(
    ("version", "asked", "kept"),
    [
        ("DEFAULT", "UNSPECIFIED", "DEFAULT"),
        ("DISABLED", "UNSPECIFIED", "DISABLED"),
        ("DISABLED", "DEFAULT", "DEFAULT"),
        ("UNSPECIFIED", "REFRESH", "REFRESH"),
    ],
)
async def test_a_run_caches_as_it_says_or_as_its_version_does(api: Api, version: str, asked: str, kept: str) -> None:
    policy = run_pb2.Run.CachePolicy
    await publish(api, cache_policy=policy.Value(f"CACHE_POLICY_{version}"))
    asked_run = run_pb2.Run(pipeline_version=f"{PARENT}/pipelines/train/versions/1", parameters=inline().parameters)
    asked_run.cache_policy = policy.Value(f"CACHE_POLICY_{asked}")
    assert policy.Name((await create(api, asked_run)).cache_policy) == f"CACHE_POLICY_{kept}"
