"""Verdicts on pods as a real cluster has told of them, and on what becomes of those by one change."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock_agent import exits
from penstock_server.launch.base import Phase
from penstock_server.launch.kubernetes.history import History
from penstock_server.launch.kubernetes.judge import judge
from penstock_server.launch.kubernetes.judgement import (
    Circumstances,
    Ending,
    Graces,
    Grounds,
    Judgement,
    Overtime,
    Pending,
    Refused,
    Started,
    Stuck,
    Verdict,
)
from penstock_server.launch.kubernetes.names import TIMEOUT_ANNOTATION
from penstock_server.launch.kubernetes.view import PodView, view
from penstock_server.launch.kubernetes.waits import Trouble, is_unclear

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text())
NOW = datetime(2026, 11, 26, 2, 27, tzinfo=UTC)
GRACES = Graces()
NONE = History()
AFTER = "2026-11-26T02:25:08Z"
"""When `stage-out-failed` has ended."""
OURS = ("penstock-stage-in", "penstock-stage-out", "main")
Change = Callable[[dict[str, Any]], object]


def recorded(name: str, *changes: Change) -> PodView:
    """A pod as it was recorded, changed."""
    pod = copy.deepcopy(RECORDED[name])
    for change in changes:
        change(pod)
    return view(pod)


def judged(pod: PodView, *before: PodView, history: History = NONE, **circumstances: Any) -> Judgement:
    """The judgement on the last of several looks at a pod."""
    given = Circumstances(**{"now": NOW, **circumstances})
    for seen in (*before, pod):
        history = history.after(seen, given.now)
    return judge(pod, history, given, GRACES)


def statuses(pod: dict[str, Any]) -> dict[str, Any]:
    return {told["name"]: told for key in ("initContainerStatuses", "containerStatuses") for told in pod["status"][key]}


def state(name: str, **state: Any) -> Change:
    return lambda pod: statuses(pod)[name].update(state=state)


def status(**changes: Any) -> Change:
    return lambda pod: pod["status"].update(changes)


def deleted(at: str = "2026-11-26T02:25:30Z", grace_s: int = 30) -> Change:
    return lambda pod: pod["metadata"].update(deletionTimestamp=at, deletionGracePeriodSeconds=grace_s)


def disrupted(reason: str, since: str = "2026-11-26T02:24:00Z") -> Change:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": since}
    return lambda pod: pod["status"]["conditions"].append(condition)


def ended(code: int, reason: str = "Error", message: str = "", at: str = "2026-11-26T02:25:00Z") -> dict[str, Any]:
    return {"exitCode": code, "reason": reason, "message": message, "finishedAt": at}


def unprepared(code: int) -> PodView:
    return recorded("stage-in-failed", state("penstock-stage-in", terminated=ended(code)))


RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed:"
    " unable to start container process: {}: unknown"
)
NO_CGROUP = RUNC.format("unable to apply cgroup configuration: open /sys/fs/cgroup/a: no such file or directory")


def unstarted(message: str) -> PodView:
    return recorded("command-missing", state("main", terminated=ended(128, "StartError", message)))


VERDICTS: list[tuple[str, PodView, Phase, str, int | None, str]] = [
    ("ended well", recorded("succeeded"), Phase.SUCCEEDED, "", 0, ""),
    ("ended with a code", recorded("failed"), Phase.FAILED, "EXIT_CODE", 3, "exit code 3"),
    ("killed", recorded("failed", state("main", terminated=ended(137))), Phase.FAILED, "EXIT_CODE", 137, "SIGKILL"),
    ("out of memory", recorded("out-of-memory"), Phase.FAILED, "OUT_OF_MEMORY", 137, "limit of 64Mi"),
    ("timed out before main", recorded("deadline"), Phase.FAILED, "TIMED_OUT", None, "timeout of 3 s"),
    ("timed out", recorded("deadline-handled"), Phase.FAILED, "TIMED_OUT", 137, "timeout of 3 s"),
    ("no input", recorded("stage-in-failed"), Phase.FAILED, "INPUT_UNAVAILABLE", None, "no such artifact"),
    ("not stored", recorded("stage-out-failed"), Phase.LOST, "PUBLISH_FAILED", 0, "full"),
    (
        "not let store",
        recorded("stage-out-failed", state("penstock-stage-out", terminated=ended(71, "Error", "no such key", AFTER))),
        Phase.FAILED,
        "PUBLISH_REFUSED",
        0,
        "no such key",
    ),
    ("bad image", recorded("image-invalid"), Phase.FAILED, "IMAGE_UNAVAILABLE", None, "Not A Name"),
    ("no program", recorded("command-missing"), Phase.FAILED, "PROGRAM_NOT_FOUND", 128, "/no/such/program"),
    ("node cannot start it", unstarted(NO_CGROUP), Phase.FAILED, "CONTAINER_START_FAILED", 128, "cgroup"),
    ("a mesh's sidecar was killed", recorded("mesh-native"), Phase.SUCCEEDED, "", 0, ""),
    ("init container failed", recorded("init-failed"), Phase.FAILED, "ENVIRONMENT_FAILED", None, "'mine' ended"),
    (
        "init container without its program",
        recorded(
            "init-failed", state("mine", terminated=ended(128, "StartError", RUNC.format('exec: "a": is a directory')))
        ),
        Phase.FAILED,
        "PROGRAM_NOT_FOUND",
        None,
        "'mine': failed to create",
    ),
    ("took more than its limit", recorded("ephemeral-evicted"), Phase.FAILED, "LIMIT_EXCEEDED", 137, "storage"),
    (
        "evicted for others",
        recorded("ephemeral-evicted", status(message="The node was low on resource: memory.")),
        Phase.LOST,
        "POD_EVICTED",
        137,
        "low on resource",
    ),
    ("drained", recorded("evicted-by-api"), Phase.LOST, "POD_EVICTED", 137, "drained"),
    (
        "preempted",
        recorded("evicted-by-api", lambda pod: pod["status"]["conditions"].clear(), disrupted("PreemptionByScheduler")),
        Phase.LOST,
        "POD_PREEMPTED",
        137,
        "priority",
    ),
    ("shut down", recorded("failed", status(reason="Terminated")), Phase.LOST, "NODE_SHUTDOWN", 3, "shut down"),
    (
        "its node is lost",
        recorded("running", status(phase="Failed", reason="NodeLost")),
        Phase.LOST,
        "NODE_LOST",
        None,
        "",
    ),
    (
        "nothing is known of its container",
        recorded("failed", state("main", terminated=ended(137, "ContainerStatusUnknown"))),
        Phase.LOST,
        "NODE_LOST",
        137,
        "",
    ),
    (
        "not taken",
        recorded("gated", status(phase="Failed", reason="OutOfcpu")),
        Phase.LOST,
        "POD_REJECTED",
        None,
        "OutOfcpu",
    ),
    (
        "deleted, and polite about it",
        recorded("deleted-polite"),
        Phase.LOST,
        "POD_DELETED",
        0,
        "somebody deleted it",
    ),
    ("deleted", recorded("deleted-running"), Phase.LOST, "POD_DELETED", 137, "somebody deleted it"),
    ("store did not answer", unprepared(68), Phase.LOST, "STORE_UNAVAILABLE", None, ""),
    ("store refused", unprepared(71), Phase.FAILED, "STORE_REFUSED", None, ""),
    ("volume full", unprepared(69), Phase.FAILED, "ENVIRONMENT_FAILED", None, ""),
    ("agent broken", unprepared(70), Phase.LOST, "LAUNCHER_ERROR", None, ""),
    ("agent killed", unprepared(137), Phase.LOST, "START_FAILED", None, ""),
]


@pytest.mark.parametrize(
    ("pod", "phase", "reason", "code", "told"), [v[1:] for v in VERDICTS], ids=[v[0] for v in VERDICTS]
)
def test_what_has_ended_is_judged(pod: PodView, phase: Phase, reason: str, code: int | None, told: str) -> None:
    verdict = judged(pod)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason, verdict.exit_code) == (phase, reason, code)
    assert told in verdict.message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (RUNC.format('exec: "train": executable file not found in $PATH'), "PROGRAM_NOT_FOUND"),
        (
            RUNC.format('error during container init: exec: "./a": stat ./a: no such file or directory'),
            "PROGRAM_NOT_FOUND",
        ),
        (RUNC.format('exec: "/etc/passwd": permission denied'), "PROGRAM_NOT_FOUND"),
        ("container create failed: executable file `train` not found in $PATH: No such file", "PROGRAM_NOT_FOUND"),
        (NO_CGROUP, "CONTAINER_START_FAILED"),
        (RUNC.format('error mounting "/a" to rootfs at "/b": no such file or directory'), "CONTAINER_START_FAILED"),
        (RUNC.format("error running hook #0: fork/exec /usr/bin/hook: no such file"), "CONTAINER_START_FAILED"),
        (
            'unable to retrieve OCI runtime error: exec: "nvidia": executable file not found in $PATH',
            "CONTAINER_START_FAILED",
        ),
        ("", "CONTAINER_START_FAILED"),
    ],
)
def test_a_program_that_is_not_there_is_told_apart_from_a_node_that_cannot_start_it(message: str, reason: str) -> None:
    """Some container runtimes look for the program when the container is made: the pod waits then."""
    verdict = judged(unstarted(message))
    assert isinstance(verdict, Verdict)
    assert verdict.reason == reason
    waiting = state("main", waiting={"reason": "CreateContainerError", "message": message})
    pending = judged(recorded("config-missing", waiting))
    assert isinstance(pending, Pending)
    assert pending.grounds == reason


def staging(seconds: float) -> PodView:
    """A pod whose *stage-in* has run for so long."""
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    stage_in = state("penstock-stage-in", running={"startedAt": since})
    return recorded(
        "stage-in-failed", status(phase="Pending"), state("main", waiting={"reason": "PodInitializing"}), stage_in
    )


def test_what_stage_in_says_of_itself_is_told_while_it_runs() -> None:
    said = History(trouble=Trouble("STORE_UNREACHABLE", "no answer", is_of_stage=True))
    assert judged(staging(20), history=said) == Pending("STORE_UNREACHABLE", "no answer")
    assert judged(staging(20), history=History(trouble=Trouble("FailedMount", NOT_FOUND))) == judged(staging(20))
    done = recorded("running", state("main", waiting={"reason": "PodInitializing"}))
    assert judged(done, history=said) == judged(done)


def test_the_log_of_stage_in_is_read_only_where_it_takes_long() -> None:
    assert [is_unclear(staging(seconds), NOW) for seconds in (0, 14, 15, 900)] == [False, False, True, True]
    assert not is_unclear(recorded("running"), NOW)


def test_the_report_of_a_success_is_handed_on() -> None:
    verdict = judged(recorded("succeeded"))
    assert isinstance(verdict, Verdict)
    assert verdict.report == "done"


WAITS: list[tuple[str, str, Grounds | None, str]] = [
    ("image-unknown", "ERR_IMAGE_PULL", Grounds.IMAGE, "nowhere.example/none:1: not found"),
    ("image-never", "ERR_IMAGE_NEVER_PULL", Grounds.IMAGE, "pull policy of Never"),
    ("config-missing", "CREATE_CONTAINER_CONFIG_ERROR", Grounds.CONFIG, 'secret "nosecret" not found'),
    ("unschedulable", "UNSCHEDULABLE", Grounds.SCHEDULING, "Insufficient cpu"),
    ("node-selector", "UNSCHEDULABLE", Grounds.SCHEDULING, "node affinity/selector"),
    ("stage-out-crashing", "CRASH_LOOP_BACK_OFF", Grounds.START, "penstock-stage-out: exit code 1"),
    ("gated", "SCHEDULING_GATED", None, "non-empty scheduling gates"),
]


@pytest.mark.parametrize(("name", "reason", "grounds", "told"), WAITS)
def test_what_cannot_start_yet_waits_with_the_words_of_the_cluster(
    name: str, reason: str, grounds: Grounds | None, told: str
) -> None:
    pending = judged(recorded(name))
    assert isinstance(pending, Pending)
    assert (pending.reason, pending.grounds) == (reason, grounds)
    assert told in pending.message
    until = f"(given up at {NOW + GRACES.of(grounds):%H:%M:%S} UTC)" if grounds is not None else ""
    assert pending.message.endswith(until)


@pytest.mark.parametrize(("name", "grounds"), [(name, grounds) for name, _, grounds, _ in WAITS if grounds is not None])
def test_what_cannot_start_is_given_up_after_its_grace_and_not_before(name: str, grounds: Grounds) -> None:
    pod, grace = recorded(name), GRACES.of(grounds)
    early = History(failing={grounds: NOW - grace + timedelta(seconds=1)})
    assert isinstance(judged(pod, history=early), Pending)
    late = History(failing={grounds: NOW - grace})
    verdict = judged(pod, history=late)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.FAILED, grounds.value)


def test_a_wait_is_grave_once_half_of_its_grace_is_over() -> None:
    pod, half = recorded("unschedulable"), GRACES.of(Grounds.SCHEDULING) / 2
    for waited, is_grave in ((half - timedelta(seconds=1), False), (half, True)):
        pending = judged(pod, history=History(failing={Grounds.SCHEDULING: NOW - waited}))
        assert isinstance(pending, Pending)
        assert pending.is_grave is is_grave


def test_the_grace_begins_anew_when_something_else_is_wrong() -> None:
    history = History(failing={Grounds.SCHEDULING: NOW - timedelta(days=1)})
    assert isinstance(judged(recorded("image-unknown"), history=history), Pending)


def test_a_grace_goes_on_while_another_trouble_is_told_now_and_then() -> None:
    """Of two volumes that cannot be mounted the newest event is now of one, now of the other."""
    pod = recorded("running", *(state(name, waiting={"reason": "PodInitializing"}) for name in OURS))
    missing = Trouble("FailedMount", 'secret "nosecret" not found')
    other = Trouble("FailedAttachVolume", "the storage does not answer")
    history, grace = NONE, timedelta(seconds=GRACES.config_s)
    for seconds, trouble in ((0, missing), (20, other), (40, missing)):
        history = replace(history, trouble=trouble).after(pod, NOW + timedelta(seconds=seconds))
    waits = judged(pod, history=history, now=NOW + grace - timedelta(seconds=1))
    assert isinstance(waits, Pending)
    verdict = judged(pod, history=history, now=NOW + grace)
    assert isinstance(verdict, Verdict)
    assert (verdict.reason, "nosecret" in verdict.message) == ("CONTAINER_CONFIG_INVALID", True)


@pytest.mark.parametrize(
    ("told_s", "counted_s"),
    [(20, 20), (-600, 0), (600, 80)],
    ids=["late", "node's clock is behind", "node's clock is ahead"],
)
def test_a_grace_counts_from_when_the_node_first_met_with_the_trouble(told_s: float, counted_s: float) -> None:
    """Its events may come minutes late: the kubelet has few calls a second for those of all its pods."""
    pod = recorded("running", *(state(name, waiting={"reason": "PodInitializing"}) for name in OURS))
    missing = Trouble("FailedMount", 'secret "nosecret" not found', since=NOW + timedelta(seconds=told_s))
    seen = NONE.after(pod, NOW)
    history = replace(seen, trouble=missing).after(pod, NOW + timedelta(seconds=80))
    assert history.failing[Grounds.CONFIG] == NOW + timedelta(seconds=counted_s)


def test_a_sidecar_that_crashes_between_two_tries_keeps_its_grace() -> None:
    crashing = recorded("stage-out-crashing")
    starting = recorded("stage-out-crashing", state("penstock-stage-out", running={}))
    history = NONE.after(crashing, NOW).after(starting, NOW + timedelta(seconds=40))
    later = NOW + timedelta(seconds=GRACES.start_s)
    assert isinstance(judged(crashing, history=history, now=later), Verdict)


@pytest.mark.parametrize("code", [exits.ALREADY_ENDED, exits.CLOSED])
def test_what_stage_in_refuses_is_told_as_refused(code: int) -> None:
    assert judged(recorded("stage-in-refused", state("penstock-stage-in", terminated=ended(code)))) == Refused()


def test_main_that_runs_has_started() -> None:
    assert judged(recorded("running")) == Started()


def test_before_main_has_started_the_pod_is_told_to_get_ready() -> None:
    pod = recorded("running", state("main", waiting={"reason": "PodInitializing"}))
    assert judged(pod) == Pending("POD_INITIALIZING", "the pod is made ready and its inputs are fetched")


def test_a_success_is_told_once_stage_out_has_ended() -> None:
    pod = recorded("succeeded", status(phase="Running"), state("penstock-stage-out", running={}))
    assert isinstance(judged(pod), Ending)


def test_an_earlier_life_of_stage_out_is_no_end() -> None:
    crashed = state("penstock-stage-out", terminated=ended(0, at="2026-11-26T02:24:59Z"))
    assert isinstance(judged(recorded("succeeded", status(phase="Running"), crashed)), Ending)


def test_a_pod_that_does_not_end_after_main_may_have_been_done_long_ago() -> None:
    """As its status says once more only when the last container of others has ended."""
    pod = recorded("mesh-native", status(phase="Running"), state("penstock-stage-out", running={}))
    ended_at = datetime(2026, 11, 26, 2, 25, 18, tzinfo=UTC)
    assert judged(pod, now=ended_at + timedelta(seconds=4)) == Ending()
    assert judged(pod, now=ended_at + timedelta(seconds=5)) == Ending(is_slow=True)


def test_an_old_mesh_sidecar_holds_the_pod_which_has_to_be_ended() -> None:
    assert judged(recorded("mesh-old-holds")) == Ending(held_by=("istio-proxy",))
    ending = recorded("mesh-old-holds", deleted("2026-11-26T02:27:00Z"))
    assert judged(ending) == Ending(is_slow=True)
    assert judged(ending, now=NOW + timedelta(minutes=1)) == Stuck()


def test_a_pod_that_was_ended_because_of_a_sidecar_has_succeeded() -> None:
    """The last event of it tells only of the second deletion, which is the kubelet's."""
    verdict = judged(recorded("mesh-old-ended"), recorded("mesh-old-holds"), is_gone=True)
    assert isinstance(verdict, Verdict)
    assert verdict.phase is Phase.SUCCEEDED


def test_a_failure_is_told_while_sidecars_still_run() -> None:
    verdict = judged(recorded("mesh-old-holds", state("main", terminated=ended(4))))
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.exit_code) == (Phase.FAILED, 4)


def test_an_end_before_the_deletion_is_the_steps_own() -> None:
    before = recorded("failed", deleted("2026-11-26T02:25:31Z", 30))
    verdict = judged(before)
    assert isinstance(verdict, Verdict)
    assert verdict.reason == "EXIT_CODE"
    same_second = judged(recorded("failed", deleted("2026-11-26T02:25:30Z", 30)))
    assert isinstance(same_second, Verdict)
    assert same_second.reason == "POD_DELETED"


def test_a_polite_end_after_the_deletion_is_no_success() -> None:
    polite = recorded("deleted-polite")
    asked = recorded("deleted-polite", deleted("2026-11-26T02:26:31Z", 5), state("main", running={}))
    verdict = judged(polite, asked, is_gone=True)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.LOST, "POD_DELETED")


def test_what_we_stop_is_stopped_unless_it_was_faster() -> None:
    verdict = judged(recorded("deleted-running"), recorded("deleting-running"), is_stopping=True, is_gone=True)
    assert isinstance(verdict, Verdict)
    assert verdict.phase is Phase.STOPPED
    faster = judged(recorded("failed"), is_stopping=True)
    assert isinstance(faster, Verdict)
    assert faster.phase is Phase.FAILED


GOING = ("POD_TERMINATING", "the pod is being deleted, and has until 02:26:07 UTC to end")


def test_what_is_deleted_goes_on_until_it_has_ended_and_says_so() -> None:
    now = datetime(2026, 11, 26, 2, 26, 6, tzinfo=UTC)
    assert judged(recorded("deleting-running"), now=now) == Started(*GOING)


@pytest.mark.parametrize("name", ["image-unknown", "stage-out-crashing", "unschedulable", "running"])
def test_what_is_deleted_before_it_has_started_says_nothing_but_that(name: str) -> None:
    """Its containers are ended one by one, which looks as if they crashed."""
    main = state("main", waiting={"reason": "PodInitializing"}) if name == "running" else lambda _: None
    pod = recorded(name, main, deleted("2026-11-26T02:26:07Z", 5))
    assert judged(pod, now=datetime(2026, 11, 26, 2, 26, 6, tzinfo=UTC)) == Pending(*GOING)


@pytest.mark.parametrize("name", ["unschedulable", "image-unknown", "running"])
def test_a_pod_that_is_gone_without_a_word_is_lost(name: str) -> None:
    verdict = judged(recorded(name), is_gone=True)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.LOST, "POD_DELETED")


def test_a_pod_that_outlives_its_deletion_is_stuck_and_lost_with_its_node() -> None:
    pod = recorded("deleting-running")
    late = NOW + timedelta(hours=1)
    assert judged(pod, now=late) == Stuck()
    verdict = judged(pod, now=late, is_node_lost=True, is_stopping=True)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.LOST, "NODE_LOST")


def test_outputs_that_were_cut_off_by_the_end_of_the_pod_are_not_published() -> None:
    pod = recorded("succeeded", state("penstock-stage-out", running={}))
    verdict = judged(pod, is_gone=True)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.LOST, "PUBLISH_FAILED")


def test_a_deadline_after_the_end_of_main_does_not_fail_it() -> None:
    late = status(reason="DeadlineExceeded", phase="Failed", startTime="2026-11-26T02:24:57Z")
    pod = recorded("succeeded", late, lambda pod: pod["spec"].update(activeDeadlineSeconds=60))
    verdict = judged(pod)
    assert isinstance(verdict, Verdict)
    assert verdict.phase is Phase.SUCCEEDED


def limited(timeout_s: int) -> Change:
    """A pod that was taken up at 02:24:58 and has a time limit."""
    return lambda pod: pod["metadata"].update(annotations={TIMEOUT_ANNOTATION: str(timeout_s)})


DEADLINE = datetime(2026, 11, 26, 2, 25, 58, tzinfo=UTC)
TERMINATED = state("main", terminated=ended(143, at="2026-11-26T02:25:59Z"))


def test_a_pod_whose_time_is_over_is_to_be_ended_once() -> None:
    pod = recorded("running", limited(60))
    assert judged(pod, now=DEADLINE) == Started()
    assert judged(pod, now=DEADLINE + timedelta(seconds=1)) == Overtime()
    assert isinstance(judged(recorded("running", limited(60), deleted("2026-11-26T02:26:04Z", 5))), Started | Stuck)


@pytest.mark.parametrize(
    ("looks", "is_timing_out"),
    [
        ([recorded("running", limited(60), TERMINATED)], False),
        ([recorded("running", limited(60), deleted("2026-11-26T02:26:03Z", 5))], False),
        ([recorded("running", limited(60), deleted("2026-11-26T02:26:02Z", 5))], True),
        ([recorded("running", limited(60), TERMINATED, deleted("2026-11-26T02:25:59Z", 0))], True),
    ],
    ids=["by its node", "by another server", "by us, and our clock was early", "by us, and only its end was seen"],
)
def test_what_is_ended_because_its_time_is_over_has_timed_out(looks: list[PodView], is_timing_out: bool) -> None:
    verdict = judged(*reversed(looks), is_timing_out=is_timing_out, is_gone=True)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.FAILED, "TIMED_OUT")
    assert "timeout of 60 s" in verdict.message


def test_a_pod_that_somebody_deletes_before_its_time_is_over_is_lost() -> None:
    verdict = judged(recorded("running", limited(60), deleted("2026-11-26T02:26:00Z", 5)), is_gone=True)
    assert isinstance(verdict, Verdict)
    assert (verdict.phase, verdict.reason) == (Phase.LOST, "POD_DELETED")


def test_what_we_stop_after_its_time_is_stopped() -> None:
    pod = recorded("running", limited(60), deleted("2026-11-26T02:26:03Z", 5))
    verdict = judged(pod, is_stopping=True, is_timing_out=True, is_gone=True)
    assert isinstance(verdict, Verdict)
    assert verdict.phase is Phase.STOPPED


NOT_FOUND = 'MountVolume.SetUp failed for volume "data" : secret "nosecret" not found'


@pytest.mark.parametrize(
    ("trouble", "reason", "grounds"),
    [
        (Trouble("FailedMount", NOT_FOUND), "FAILED_MOUNT", Grounds.CONFIG),
        (Trouble("FailedAttachVolume", "Multi-Attach error"), "FAILED_ATTACH_VOLUME", Grounds.PREPARATION),
    ],
)
def test_what_only_events_tell_of_a_pod_that_does_not_start_is_told_and_given_up(
    trouble: Trouble, reason: str, grounds: Grounds
) -> None:
    nothing = state("penstock-stage-in", waiting={}), state("penstock-stage-out", waiting={}), state("main", waiting={})
    pod = recorded("running", status(phase="Pending"), *nothing)
    history = History(trouble=trouble).after(pod, NOW)
    told = f"{trouble.message} (given up at {NOW + GRACES.of(grounds):%H:%M:%S} UTC)"
    assert judged(pod, history=history) == Pending(reason, told, grounds)
    late = judged(pod, history=history, now=NOW + GRACES.of(grounds))
    assert isinstance(late, Verdict)
    assert (late.phase, late.reason, trouble.message in late.message) == (Phase.FAILED, grounds.value, True)


def test_trouble_that_is_over_is_not_told() -> None:
    pod = recorded("running", state("main", waiting={"reason": "PodInitializing"}))
    history = History(trouble=Trouble("FailedMount", NOT_FOUND))
    assert judged(pod, history=history) == Pending(
        "POD_INITIALIZING", "the pod is made ready and its inputs are fetched"
    )
