"""RunService: tasks and events."""

from typing import Any

import pytest

from penstock.v1 import event_pb2, task_pb2
from penstock.v1 import run_service_pb2 as pb
from penstock_server.model.changes import AttemptCreate, AttemptMove, Notice, TaskCreate, TaskMove
from penstock_server.model.ids import TaskId
from penstock_server.model.resources import ArtifactValue, TaskKind, TaskValues
from penstock_server.model.states import AttemptState, RunState, TaskState
from tests import factories
from tests.api.calls import reason
from tests.api.conftest import Api
from tests.api.moving import ROOT, STEP, Mover, mover

RUN = "namespaces/default/runs/one"


async def begun(api: Api, id: str = "one") -> Mover:
    """A run whose first step runs."""
    owner = await mover(api.database, await factories.insert_run(api.database, id=id))
    await owner.start()
    await owner.start_step()
    return owner


async def tasks(api: Api, **fields: Any) -> list[str]:
    response = await api.runs.ListTasks(pb.ListTasksRequest(parent=RUN, **fields))
    return [task.name.rpartition("/")[2] for task in response.tasks]


async def get(api: Api, task: str) -> task_pb2.Task:
    return (await api.runs.GetTask(pb.GetTaskRequest(name=f"{RUN}/tasks/{task}"))).task


async def events(api: Api, **fields: Any) -> list[event_pb2.Event]:
    response = await api.runs.ListEvents(pb.ListEventsRequest(parent=RUN, **fields))
    return list(response.events)


async def test_tasks_are_listed_as_they_came_to_be(api: Api) -> None:
    owner = await begun(api)
    await owner.move(
        TaskCreate(TaskId("outer"), ROOT, "outer", "Outer", TaskKind.DAG, "READY"),
        TaskCreate(TaskId("outer.inner"), TaskId("outer"), "inner", "Inner", TaskKind.STEP, "READY"),
    )
    assert await tasks(api) == ["root", "train", "outer", "outer.inner"]
    assert await tasks(api, parent_task=f"{RUN}/tasks/root") == ["train", "outer"]
    assert await tasks(api, parent_task=f"{RUN}/tasks/outer.inner") == []
    assert await tasks(api, order_by="start_time desc, name") == ["outer", "outer.inner", "train", "root"]
    assert await tasks(api, filter="kind = DAG") == ["root", "outer"]
    assert await tasks(api, filter=f"name = {RUN}/tasks/outer.inner") == ["outer.inner"]
    assert await tasks(api, filter="state = RUNNING reason = STARTED", order_by="name desc") == ["train", "root"]


async def test_tasks_are_paged(api: Api) -> None:
    await begun(api)
    request = pb.ListTasksRequest(parent=RUN, page_size=1)
    first = await api.runs.ListTasks(request)
    request.page_token = first.next_page_token
    second = await api.runs.ListTasks(request)
    assert [task.key for task in (*first.tasks, *second.tasks)] == ["root", "train"]
    assert not second.next_page_token


async def test_a_parent_that_is_not_there_is_told(api: Api) -> None:
    await begun(api)
    assert await reason(tasks(api, parent_task=f"{RUN}/tasks/nothing")) == "TASK_NOT_FOUND"
    elsewhere = "namespaces/default/runs/two/tasks/root"
    assert await reason(tasks(api, parent_task=elsewhere)) == "INVALID_REQUEST"
    assert await reason(get(api, "nothing")) == "TASK_NOT_FOUND"
    assert await reason(tasks(api, filter="position > 1")) == "INVALID_FILTER"


async def test_a_task_tells_what_it_was_given_and_gave(api: Api) -> None:
    owner = await begun(api)
    model = ArtifactValue("model", "system.Model", "file:///x", {"accuracy": 0.9}, "sha256:0", 7)
    inputs = TaskValues({"lr": 0.5, "steps": 3}, {})
    outputs = TaskValues({"loss": 0.25}, {"model": (model,)})
    await owner.move(
        AttemptMove(STEP, 1, AttemptState.RUNNING, AttemptState.SUCCEEDED),
        TaskMove(STEP, TaskState.RUNNING, TaskState.SUCCEEDED, inputs=inputs, outputs=outputs),
    )
    task = await get(api, "train")
    assert task.parent_task == f"{RUN}/tasks/root"
    assert (task.kind, task.state) == (task_pb2.Task.KIND_STEP, task_pb2.Task.STATE_SUCCEEDED)
    assert task.inputs.parameters["lr"].number_value == 0.5
    (artifact,) = task.outputs.artifacts["model"].artifacts
    assert (artifact.type, artifact.size_bytes) == ("system.Model", 7)
    assert artifact.metadata["accuracy"] == 0.9
    assert artifact.artifact.startswith("namespaces/default/artifacts/a-")
    assert task.HasField("end_time")


async def test_a_task_tells_its_attempts(api: Api) -> None:
    owner = await begun(api)
    await owner.move(
        AttemptMove(
            STEP, 1, AttemptState.RUNNING, AttemptState.FAILED, "EXIT_CODE", "exit code 3", exit_code=3,
            log_tail="boom", host="h", handle="42",
        ),
        TaskMove(STEP, TaskState.RUNNING, TaskState.FAILED, "EXIT_CODE", "exit code 3"),
    )  # fmt: skip
    task = await get(api, "train")
    (attempt,) = task.attempts
    assert (attempt.number, attempt.exit_code, attempt.log_tail) == (1, 3, "boom")
    assert (attempt.host, attempt.handle, attempt.launcher) == ("h", "42", "fake")
    assert not (await api.runs.ListTasks(pb.ListTasksRequest(parent=RUN))).tasks[1].attempts


async def test_a_task_that_waits_for_a_node_tells_its_pod_and_what_can_be_done(api: Api) -> None:
    owner = await begun(api)
    pod, told = TaskId("pod"), ("UNSCHEDULABLE", "0/3 nodes are available")
    await owner.move(
        TaskCreate(pod, ROOT, "pod", "pod", TaskKind.STEP, "READY"),
        TaskMove(pod, TaskState.PENDING, TaskState.QUEUED, "READY"),
        TaskMove(pod, TaskState.QUEUED, TaskState.RUNNING, "STARTED"),
        AttemptCreate(pod, 1, "kubernetes"),
        AttemptMove(pod, 1, AttemptState.LAUNCHING, AttemptState.LAUNCHING, *told, handle="steps/one-pod-1"),
        TaskMove(pod, TaskState.RUNNING, TaskState.RUNNING, *told),
    )
    listed = (await api.runs.ListTasks(pb.ListTasksRequest(parent=RUN))).tasks
    assert [task.HasField("pod") for task in listed] == [False, False, True]
    assert (listed[2].pod, listed[2].reason) == (task_pb2.Pod(name="one-pod-1", namespace="steps"), told[0])
    await owner.move(AttemptMove(pod, 1, AttemptState.LAUNCHING, AttemptState.RUNNING, host="node-1"))
    task = await get(api, "pod")
    assert task.pod == task_pb2.Pod(name="one-pod-1", namespace="steps", node="node-1")
    await owner.move(AttemptMove(pod, 1, AttemptState.RUNNING, AttemptState.LOST, "POD_EVICTED", "no memory"))
    assert "Ask for what the step really needs" in (await get(api, "pod")).attempts[0].hint


async def test_a_reused_result_names_where_it_is_from_even_when_that_is_gone(api: Api) -> None:
    first = await begun(api, "first")
    await first.end_step()
    await first.end()
    owner = await mover(api.database, await factories.insert_run(api.database, id="one"))
    await owner.start()
    await owner.move(
        TaskCreate(STEP, ROOT, "train", "train", TaskKind.STEP, "READY"),
        TaskMove(STEP, TaskState.PENDING, TaskState.SUCCEEDED, "CACHED", cached_from=(first.uid, STEP)),
    )
    assert (await get(api, "train")).cached_from == "namespaces/default/runs/first/tasks/train"
    await api.runs.DeleteRun(pb.DeleteRunRequest(name="namespaces/default/runs/first"))
    assert (await get(api, "train")).cached_from == f"namespaces/default/runs/{first.uid}/tasks/train"


async def test_events_tell_every_move_in_order(api: Api) -> None:
    owner = await begun(api)
    await owner.move(Notice("SETTINGS_IGNORED", "no image here", STEP, 1))
    await owner.end_step()
    await owner.end()
    told = await events(api)
    assert [event.sequence for event in told] == list(range(1, len(told) + 1))
    assert (told[0].run, told[0].subject) == (RUN, event_pb2.Event.SUBJECT_RUN)
    assert told[0].run_transition.from_state == 0
    assert told[-1].run_transition.to_state == 4
    assert told[1].task == f"{RUN}/tasks/root"
    assert [event.WhichOneof("transition") for event in told if event.attempt] == [
        "attempt_transition",
        "attempt_transition",
        "notice",
        "attempt_transition",
    ]


@pytest.mark.parametrize(
    ("filter", "sequences"),
    [
        ("subject = RUN", [1, 3]),
        ("sequence > 2 sequence < 5", [3, 4]),
        (f"task = {RUN}/tasks/root", [2, 4]),
        ("attempt = 1", [8, 9]),
        ("reason = STARTED NOT task:*", [3]),
        ("time > 2020-01-01 subject = NOTICE", []),
    ],
)
async def test_events_are_filtered(api: Api, filter: str, sequences: list[int]) -> None:
    await begun(api)
    assert [event.sequence for event in await events(api, filter=filter)] == sequences


async def test_events_are_read_from_a_sequence_on_and_backwards(api: Api) -> None:
    await begun(api)
    assert [event.sequence for event in await events(api, after_sequence=7)] == [8, 9]
    last = await events(api, order_by="sequence desc", page_size=1)
    assert [event.sequence for event in last] == [9]


async def test_a_run_counts_its_tasks_and_shows_its_roots_artifacts(api: Api) -> None:
    owner = await begun(api)
    run = (await api.runs.GetRun(pb.GetRunRequest(name=RUN))).run
    assert (run.task_counts.running, run.task_counts.succeeded) == (2, 0)
    await owner.end_step()
    model = ArtifactValue("model", "system.Model", "file:///x")
    await owner.move(
        TaskMove(ROOT, TaskState.RUNNING, TaskState.SUCCEEDED, outputs=TaskValues({}, {"model": (model,)}))
    )
    run = (await api.runs.GetRun(pb.GetRunRequest(name=RUN))).run
    listed = await api.runs.ListRuns(pb.ListRunsRequest(parent="namespaces/default"))
    assert run.task_counts.succeeded == 2
    assert run.output_artifacts["model"].artifacts[0].uri == "file:///x"
    assert list(listed.runs) == [run]


async def test_a_failed_run_names_the_task(api: Api) -> None:
    owner = await begun(api)
    async with api.database.connection() as connection:
        await connection.execute("UPDATE run SET failed_task_id = 'train'")
    run = (await api.runs.GetRun(pb.GetRunRequest(name=RUN))).run
    assert run.failed_task == f"{RUN}/tasks/train"
    assert owner.sequence == run.event_sequence
    assert RunState.RUNNING.name in run.State.Name(run.state)
