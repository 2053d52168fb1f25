"""Verdicts on pods something of which was killed on its node, as a real cluster has told of them."""

from typing import Any

import pytest

from penstock_server.launch.base import Phase
from penstock_server.launch.kubernetes.judgement import Pending, Started, Verdict
from penstock_server.launch.kubernetes.sandbox import lost_at
from penstock_server.launch.kubernetes.view import PodView
from tests.launch.kubernetes.test_judge import deleted, disrupted, ended, judged, recorded, state, status

EARLIER, LATER = "2026-11-26T06:36:37Z", "2026-11-26T06:36:39Z"
"""A second before and after the sandbox of `sandbox-lost-running` was found lost."""

LOST: list[tuple[str, PodView, str]] = [
    ("its program ended well, as it was told to", recorded("sandbox-lost-ended"), "SANDBOX_LOST"),
    (
        "its program did not",
        recorded("sandbox-lost-ended", state("main", terminated=ended(143, at=LATER))),
        "SANDBOX_LOST",
    ),
    ("over", recorded("sandbox-lost-ended", status(phase="Succeeded")), "SANDBOX_LOST"),
    ("the shim was killed", recorded("shim-killed"), "SANDBOX_LOST"),
    ("while inputs were fetched", recorded("sandbox-lost-in-stage-in"), "SANDBOX_LOST"),
    ("while inputs were fetched, over", recorded("sandbox-lost-in-stage-in", status(phase="Failed")), "SANDBOX_LOST"),
    ("the shim was killed while inputs were fetched", recorded("shim-killed-in-stage-in"), "SANDBOX_LOST"),
    ("between two containers", recorded("sandbox-lost-before-main"), "SANDBOX_LOST"),
    ("the fetching was killed", recorded("stage-in-killed"), "START_FAILED"),
    ("the fetching was killed, over", recorded("stage-in-killed", status(phase="Failed")), "START_FAILED"),
    ("the storing was killed", recorded("stage-out-killed"), "PUBLISH_FAILED"),
    ("the storing was down", recorded("stage-out-down", status(phase="Failed")), "PUBLISH_FAILED"),
]


@pytest.mark.parametrize(("pod", "reason"), [case[1:] for case in LOST], ids=[case[0] for case in LOST])
def test_what_its_node_has_ended_is_lost(pod: PodView, reason: str) -> None:
    verdict = judged(pod)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.LOST, reason)


def test_a_program_that_was_seen_without_its_sandbox_has_not_succeeded_however_late_it_ends() -> None:
    seen = recorded("sandbox-lost-running")
    assert judged(seen) == Started("SANDBOX_LOST", "its node has lost its sandbox, and ends its containers")
    late = state("main", terminated=ended(0, "Completed", at="2026-11-26T06:37:38Z"))
    verdict = judged(recorded("sandbox-lost-ended", late), seen)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason, verdict.exit_code) == (Phase.LOST, "SANDBOX_LOST", 0)


def test_init_containers_end_before_another_attempt_begins() -> None:
    assert isinstance(judged(recorded("sandbox-lost-in-init")), Pending)
    assert isinstance(judged(recorded("sandbox-lost-before-main"), recorded("sandbox-lost-in-init")), Verdict)


def test_a_pod_that_ends_by_itself_has_lost_nothing() -> None:
    """Its sandbox goes as well, after the second in which its program has ended."""
    pod = recorded("ended-within-seconds")
    assert lost_at(pod) is None
    verdict = judged(pod)
    assert isinstance(verdict, Verdict)
    assert verdict.phase is Phase.SUCCEEDED


def test_a_pod_that_has_begun_nothing_has_lost_nothing() -> None:
    waiting = [state(name, waiting={}) for name in ("penstock-stage-in", "penstock-stage-out", "main")]
    assert lost_at(recorded("sandbox-lost-running", *waiting)) is None


def test_a_program_that_fails_by_itself_has_failed_though_the_sandbox_goes_then() -> None:
    verdict = judged(recorded("ended-within-seconds", state("main", terminated=ended(255, at="2026-11-26T06:36:42Z"))))
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.FAILED, "EXIT_CODE")


def test_an_init_container_that_fails_by_itself_has_failed_though_the_sandbox_goes_then() -> None:
    failed = state("deaf", terminated=ended(255, at="2026-11-26T06:37:39Z"))
    verdict = judged(recorded("sandbox-lost-before-main", failed, status(phase="Failed")))
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.FAILED, "ENVIRONMENT_FAILED")


def test_a_program_that_took_too_much_memory_has_done_so_though_all_of_the_pod_was_killed() -> None:
    out_of_memory = state("main", terminated=ended(137, "OOMKilled", at="2026-11-26T06:36:47Z"))
    verdict = judged(recorded("shim-killed", out_of_memory))
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.FAILED, "OUT_OF_MEMORY")


@pytest.mark.parametrize("reason", ["ContainerStatusUnknown", "Unknown"])
def test_nothing_is_said_of_a_program_whose_end_nobody_saw(reason: str) -> None:
    """As when the machine was without power: the container runtime makes up an exit code."""
    verdict = judged(recorded("failed", state("main", terminated=ended(255, reason))))
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.LOST, "NODE_LOST")


def test_outputs_of_an_earlier_life_of_the_agent_are_no_success() -> None:
    """It was asked to end before the step had ended, stored what there was, and was not started again in time."""
    early = state("penstock-stage-out", terminated=ended(0, at="2026-11-26T02:24:30Z"))
    verdict = judged(recorded("succeeded", early))
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.LOST, "PUBLISH_FAILED")


@pytest.mark.parametrize(
    ("pod", "circumstances", "reason"),
    [
        (recorded("sandbox-lost-in-stage-in", deleted("2026-11-26T06:36:58Z", 5)), {"is_gone": True}, "POD_DELETED"),
        (recorded("sandbox-lost-ended", disrupted("PreemptionByScheduler", EARLIER)), {}, "POD_PREEMPTED"),
        (recorded("sandbox-lost-in-stage-in", status(phase="Failed")), {"is_stopping": True}, "STOPPED"),
    ],
    ids=["deleted", "preempted", "stopped"],
)
def test_who_ended_a_pod_is_told_before_how_it_fell(pod: PodView, circumstances: dict[str, Any], reason: str) -> None:
    verdict = judged(pod, **circumstances)
    assert isinstance(verdict, Verdict)
    assert verdict.reason == reason
