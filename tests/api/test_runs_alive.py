"""RunService with an engine behind it, on a launcher that does what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from penstock.v1 import experiment_pb2, experiment_service_pb2, run_pb2
from penstock.v1 import run_service_pb2 as pb
from penstock_server.engine.loop import Engine
from penstock_server.engine.settings import EngineSettings
from penstock_server.launch.base import StepRequest
from penstock_server.launch.fake import Act, FakeHost, FakeLauncher, failure
from penstock_server.store.notifications import Notifications
from tests import pipelines
from tests.api.calls import reason
from tests.api.conftest import Api

PARENT = "namespaces/default"
PATIENCE_S = 30


class Stage:
    """Says what steps do; each step waits for its gate, if it has one."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.host = FakeHost(script=self.act)

    def act(self, request: StepRequest) -> Act:
        return self.acts.get(request.task_key, Act(log=b"hello\n"))


@pytest.fixture
async def stage(api: Api, notifications: Notifications) -> AsyncIterator[Stage]:
    stage = Stage()
    launcher = FakeLauncher(stage.host)
    await launcher.start()
    settings = EngineSettings("file:///nowhere", 4)
    engine = Engine(api.database, notifications, launcher, settings)
    await engine.start()
    api.logs.launcher = launcher.logs
    yield stage
    await engine.drain()
    await engine.close()
    await launcher.close()


async def create(api: Api, id: str = "one", experiment: str = "default") -> str:
    run = run_pb2.Run(experiment=f"{PARENT}/experiments/{experiment}")
    run.inline_spec.text = json.dumps(pipelines.chain(2, "true"))
    request = pb.CreateRunRequest(parent=PARENT, run_id=id, run=run)
    return (await api.runs.CreateRun(request)).run.name


async def watched(api: Api, name: str, after_sequence: int = 0) -> run_pb2.Run:
    """The run at its end."""
    async with asyncio.timeout(PATIENCE_S):
        stream = api.runs.WatchRun(pb.WatchRunRequest(name=name, after_sequence=after_sequence))
        responses = [response async for response in stream]
    assert [response.event.sequence for response in responses] == list(
        range(after_sequence + 1, after_sequence + 1 + len(responses))
    )
    return responses[-1].run


async def running(api: Api, name: str) -> None:
    """Return once the first step runs."""
    async with asyncio.timeout(PATIENCE_S):
        async for response in api.runs.WatchRun(pb.WatchRunRequest(name=name)):
            if response.event.attempt_transition.to_state == 2:
                return


async def test_a_run_is_watched_to_its_success(api: Api, stage: Stage) -> None:
    name = await create(api)
    run = await watched(api, name)
    assert run.state == run_pb2.Run.STATE_SUCCEEDED
    assert run.task_counts.succeeded == 3
    request = pb.ReadLogsRequest(name=f"{name}/tasks/s0", follow=True)
    assert [response.content async for response in api.runs.ReadLogs(request)] == [b"hello\n"]


async def test_a_running_run_is_cancelled(api: Api, stage: Stage) -> None:
    stage.acts["s0"] = Act(gate=asyncio.Event())
    name = await create(api)
    await running(api, name)
    answer = (await api.runs.CancelRun(pb.CancelRunRequest(name=name, message="enough"))).run
    assert answer.state in (run_pb2.Run.STATE_CANCELLING, run_pb2.Run.STATE_CANCELLED)
    run = await watched(api, name)
    assert run.state == run_pb2.Run.STATE_CANCELLED
    assert await reason(api.runs.CancelRun(pb.CancelRunRequest(name=name))) == "RUN_FINISHED"


async def test_a_failed_run_goes_on_after_a_retry(api: Api, stage: Stage) -> None:
    stage.acts["s1"] = failure(3)
    name = await create(api)
    failed = await watched(api, name)
    assert failed.state == run_pb2.Run.STATE_FAILED
    assert failed.failed_task == f"{name}/tasks/s1"
    del stage.acts["s1"]
    await api.runs.RetryRun(pb.RetryRunRequest(name=name))
    run = await watched(api, name, failed.event_sequence)
    assert run.state == run_pb2.Run.STATE_SUCCEEDED
    first = (await api.runs.GetTask(pb.GetTaskRequest(name=f"{name}/tasks/s0"))).task
    second = (await api.runs.GetTask(pb.GetTaskRequest(name=f"{name}/tasks/s1"))).task
    assert (first.attempt_count, second.attempt_count, run.task_counts.succeeded) == (1, 2, 3)


async def test_a_running_run_is_deleted_by_force_once_it_has_ended(api: Api, stage: Stage) -> None:
    stage.acts["s0"] = Act(gate=asyncio.Event())
    name = await create(api)
    await running(api, name)
    watching = asyncio.create_task(watched(api, name))
    await api.runs.DeleteRun(pb.DeleteRunRequest(name=name, force=True))
    await asyncio.wait([watching], timeout=PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        while await exists(api, name):
            await asyncio.wait([watching], timeout=PATIENCE_S)


async def exists(api: Api, name: str) -> bool:
    listed = await api.runs.ListRuns(pb.ListRunsRequest(parent=PARENT, filter=f"name = {name}"))
    return bool(listed.runs)


async def test_an_experiment_goes_by_force_with_runs_that_run(api: Api, stage: Stage) -> None:
    stage.acts["s0"] = Act(gate=asyncio.Event())
    made = experiment_service_pb2.CreateExperimentRequest(
        parent=PARENT, experiment_id="vision", experiment=experiment_pb2.Experiment(description="x")
    )
    name = (await api.experiments.CreateExperiment(made)).experiment.name
    runs = [await create(api, id, "vision") for id in ("one", "two", "three")]
    await running(api, runs[0])
    delete = experiment_service_pb2.DeleteExperimentRequest(name=name)
    assert await reason(api.experiments.DeleteExperiment(delete)) == "EXPERIMENT_HAS_RUNS"
    delete.force = True
    await api.experiments.DeleteExperiment(delete, timeout=PATIENCE_S)
    assert not (await api.runs.ListRuns(pb.ListRunsRequest(parent=PARENT))).runs
