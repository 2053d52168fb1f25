"""Names of pods and claims: valid whatever the user wrote, the same for the same, told apart otherwise."""

import re
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.launch.kubernetes import names
from penstock_server.model.ids import AttemptId, RunUid, TaskId
from tests.launch.world import step

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?\Z")
attempts = st.builds(
    AttemptId,
    st.uuids().map(RunUid),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).map(TaskId),
    st.integers(1, 10**6),
)


@given(st.text(max_size=100), attempts)
def test_a_pod_has_a_valid_name_whatever_the_task_is_called(run_id: str, attempt: AttemptId) -> None:
    assert DNS_LABEL.match(names.pod_name(run_id, attempt))
    assert DNS_LABEL.match(names.workspace_claim(run_id, attempt.run_uid))


@given(st.lists(attempts, unique=True, max_size=30))
def test_each_attempt_has_a_name_of_its_own(listed: list[AttemptId]) -> None:
    assert len({names.pod_name("run", attempt) for attempt in listed}) == len(listed)


@given(attempts)
def test_a_pod_says_whose_it_is(attempt: AttemptId) -> None:
    annotations = names.pod_annotations(step("true", attempt=attempt))
    assert names.attempt_in(annotations) == attempt
    assert names.fence_in(annotations) == 1


@given(attempts, st.text(max_size=100))
def test_labels_are_valid_whatever_task_and_pipeline_are_called(attempt: AttemptId, pipeline: str) -> None:
    request = step("true", attempt=attempt)
    request = replace(request, facts=replace(request.facts, pipeline_name=pipeline))
    assert [value for value in names.pod_labels(request, "here").values() if LABEL_VALUE.match(value) is None] == []


def test_labels_tell_people_and_tools_whose_a_pod_is() -> None:
    attempt = AttemptId(RunUid(uuid.UUID(int=7)), TaskId("outer.3.Train it"), 12)
    request = step("true", attempt=attempt)
    labels = names.pod_labels(replace(request, facts=replace(request.facts, pipeline_name="(Line fit)")), "here")
    assert labels == {
        "app.kubernetes.io/managed-by": "penstock",
        "penstock.dev/installation": "here",
        "penstock.dev/run": str(attempt.run_uid),
        "penstock.dev/run-id": "run-1",
        "penstock.dev/task": "outer.3.Train-it",
        "penstock.dev/pipeline": "Line-fit",
        "pipeline/runid": str(attempt.run_uid),
    }


@pytest.mark.parametrize("timeout_s", [None, 0.5, 90])
def test_a_pod_says_how_long_it_may_take(timeout_s: float | None) -> None:
    assert names.timeout_s_in(names.pod_annotations(step("true", timeout_s=timeout_s))) == timeout_s


def test_a_name_tells_people_run_task_and_attempt() -> None:
    attempt = AttemptId(RunUid(uuid.UUID(int=7)), TaskId("outer.3.Train it"), 12)
    assert re.fullmatch(r"nightly-a1b2-outer-3-train-it-12-[0-9a-f]{10}", names.pod_name("nightly-a1b2", attempt))
    assert names.workspace_claim("nightly-a1b2", attempt.run_uid) == "nightly-a1b2-00000000-kfp-workspace"


@pytest.mark.parametrize(
    "text", ["", "x", "a/b/1", f"{uuid.UUID(int=7)}/t/0", f"{uuid.UUID(int=7)}/t/x", "//1", "a//1"]
)
def test_a_pod_of_somebody_else_has_no_attempt(text: str) -> None:
    assert names.attempt_in({names.ATTEMPT_ANNOTATION: text}) is None
    assert names.fence_in({names.FENCE_ANNOTATION: text}) is None
    assert names.timeout_s_in({names.TIMEOUT_ANNOTATION: text}) is None
