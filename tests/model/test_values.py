"""Ids and JSON values."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.ids import ROOT_TASK, AttemptId, RunUid, TaskId, child_task_id
from penstock_server.model.json import Json, with_integers

KEYS = st.text("abcroot-", min_size=1, max_size=6)


@given(st.lists(KEYS, min_size=1, max_size=4), st.lists(KEYS, min_size=1, max_size=4))
def test_two_paths_share_an_id_only_when_they_are_equal(one: list[str], other: list[str]) -> None:
    assert (task_id(one) == task_id(other)) == (one == other)
    assert task_id(one) != ROOT_TASK


def task_id(path: list[str]) -> TaskId:
    result = ROOT_TASK
    for key in path:
        result = child_task_id(result, key)
    return result


def test_an_attempt_is_named_by_run_task_and_number() -> None:
    attempt = AttemptId(RunUid(uuid.UUID(int=1)), TaskId("outer.train"), 2)
    assert str(attempt) == "00000000-0000-0000-0000-000000000001/outer.train/2"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2.0, 2),
        (2.5, 2.5),
        ([1.0, {"a": 3.0}], [1, {"a": 3}]),
        (True, True),
        (None, None),
        ("2.0", "2.0"),
        (1e300, 1e300),
    ],
)
def test_integral_numbers_lose_their_fraction_at_any_depth(value: Json, expected: Json) -> None:
    assert repr(with_integers(value)) == repr(expected)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_infinities_stay_as_they_are(value: float) -> None:
    assert with_integers(value) == value
