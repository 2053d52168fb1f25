"""Tasks of runs as KFP tells them, and the names of nodes."""

import uuid

import pytest

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.nodes import Node, node_of
from penstock_server.compat.task_details import artifact_number, run_details
from penstock_server.model.ids import TaskId
from penstock_server.model.resources import ArtifactValue, Pod, TaskKind, TaskValues
from penstock_server.model.states import TaskState
from tests.compat.records import UID, at, task

MODEL = ArtifactValue("model", "system.Model", "file:///a/model", uid=uuid.UUID("a0000000-0000-4000-8000-000000000001"))


def detail(*tasks: object, of: str) -> pb.PipelineTaskDetail:
    details = run_details(UID, tasks, {}).task_details  # type: ignore[arg-type]  # they are Tasks
    return next(each for each in details if each.task_id == of)


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("train", Node(TaskId("train"))),
        ("train@2", Node(TaskId("train"), 2)),
        ("loop.3.train@12", Node(TaskId("loop.3.train"), 12)),
        ("train@0", Node(TaskId("train@0"))),
        ("@1", Node(TaskId("@1"))),
        ("train@x", Node(TaskId("train@x"))),
    ],
)
def test_a_node_is_a_task_or_one_of_its_attempts(name: str, node: Node) -> None:
    assert node_of(name) == node
    assert str(node) == name


def test_tasks_know_their_run_their_holder_and_what_they_hold() -> None:
    root, train = task("root", None), task("train")
    held = detail(root, train, of="train")
    assert (held.run_id, held.parent_task_id, held.display_name) == (str(UID), "root", "train")
    holder = detail(root, train, of="root")
    assert (holder.parent_task_id, [child.task_id for child in holder.child_tasks]) == ("", ["train"])


def test_a_step_names_its_attempts_by_which_logs_are_asked_for() -> None:
    tried = detail(task("root", None), task("train", state=TaskState.RUNNING, attempt_count=3), of="train")
    assert tried.pod_name == "train@3"
    assert [child.pod_name for child in tried.child_tasks] == ["train@1", "train@2", "train@3"]
    assert tried.executor_detail.main_job == "train@3"
    assert list(tried.executor_detail.failed_main_jobs) == ["train@1", "train@2"]


def test_a_step_that_is_a_pod_names_it() -> None:
    train = task("train", state=TaskState.RUNNING, attempt_count=2)
    details = run_details(UID, [train], {}, {TaskId("train"): Pod("one-train-2-ab", "steps", "node-1")}).task_details
    assert details[0].pod_name == "one-train-2-ab"
    assert [child.pod_name for child in details[0].child_tasks] == ["train@1", "train@2"]


def test_a_step_that_was_not_tried_names_none() -> None:
    waiting = detail(task("root", None), task("train"), of="train")
    assert (waiting.pod_name, waiting.HasField("executor_detail"), len(waiting.child_tasks)) == ("", False, 0)


def test_times_that_have_not_come_are_absent() -> None:
    waiting = detail(task("root", None), task("train", create_time=at(1)), of="train")
    assert waiting.create_time.ToDatetime(at(0).tzinfo) == at(1)
    assert not waiting.HasField("start_time")
    assert not waiting.HasField("end_time")


def test_iterations_are_told_apart() -> None:
    tasks = [task("root", None), task("loop", kind=TaskKind.LOOP)]
    tasks += [task(f"loop.{number}", "loop", kind=TaskKind.ITERATION) for number in range(2)]
    assert [each.display_name for each in run_details(UID, tasks, {}).task_details] == [
        "root",
        "loop",
        "loop[0]",
        "loop[1]",
    ]


def test_what_one_task_made_and_another_was_given_has_one_number() -> None:
    made = task("train", outputs=TaskValues(artifacts={"model": (MODEL,)}))
    given = task("test", inputs=TaskValues(artifacts={"candidate": (MODEL,)}))
    number = artifact_number(MODEL.uid or uuid.uuid4())
    assert 0 < number < 2**63
    assert list(detail(made, given, of="train").outputs["model"].artifact_ids) == [number]
    assert list(detail(made, given, of="test").inputs["candidate"].artifact_ids) == [number]
