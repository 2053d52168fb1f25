"""Reasons of ends: whose failure each is, and the table of them in the documentation."""

from pathlib import Path

import pytest

from penstock_server.launch.base import Observation, Phase
from penstock_server.launch.reasons import ENDINGS, WAITS, endings_table, hint_of
from penstock_server.model.states import FailureClass
from tests.launch.world import attempt_id

STATES = Path(__file__).parents[2] / "docs" / "reference" / "states.md"


def test_the_documentation_has_the_table() -> None:
    assert endings_table() in STATES.read_text()


@pytest.mark.parametrize(
    ("phase", "reason", "failure", "settled"),
    [
        (Phase.FAILED, "OUT_OF_MEMORY", FailureClass.OUT_OF_MEMORY, False),
        (Phase.FAILED, "IMAGE_UNAVAILABLE", FailureClass.ENVIRONMENT, True),
        (Phase.FAILED, "CONTAINER_CONFIG_INVALID", FailureClass.ENVIRONMENT, True),
        (Phase.FAILED, "UNSCHEDULABLE", FailureClass.ENVIRONMENT, True),
        (Phase.FAILED, "QUOTA_EXCEEDED", FailureClass.ENVIRONMENT, True),
        (Phase.FAILED, "PROGRAM_NOT_FOUND", FailureClass.ENVIRONMENT, True),
        (Phase.FAILED, "CONTAINER_START_FAILED", FailureClass.ENVIRONMENT, False),
        (Phase.FAILED, "ENVIRONMENT_FAILED", FailureClass.ENVIRONMENT, False),
        (Phase.FAILED, "STORE_REFUSED", FailureClass.ENVIRONMENT, False),
        (Phase.FAILED, "PUBLISH_REFUSED", FailureClass.ENVIRONMENT, True),
        (Phase.FAILED, "POLICY_DENIED", FailureClass.ENVIRONMENT, True),
        (Phase.FAILED, "SOMETHING_ELSE", FailureClass.STEP, False),
        (Phase.LOST, "POD_EVICTED", FailureClass.LOST, False),
        (Phase.LOST, "POLICY_DENIED", FailureClass.LOST, False),
        (Phase.PENDING, "UNSCHEDULABLE", None, False),
        (Phase.SUCCEEDED, "", None, False),
    ],
)
def test_a_reason_says_whose_failure_it_is(
    phase: Phase, reason: str, failure: FailureClass | None, settled: bool
) -> None:
    seen = Observation(attempt_id(), phase, reason)
    assert (seen.failure_class, seen.is_settled) == (failure, settled)


def test_every_reason_says_what_to_do_in_a_sentence() -> None:
    assert all(hint_of(reason).endswith(".") for reason in (*ENDINGS, *WAITS))
    assert hint_of("SOMETHING_ELSE") == ""
