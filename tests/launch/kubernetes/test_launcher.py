"""A launcher of pods against an API server that misbehaves: what a real cluster does not do on demand."""

import asyncio
import copy
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock_agent.report import StepReport
from penstock_server.launch.base import Phase, StepRequest
from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.attempt import PodAttempt
from penstock_server.launch.kubernetes.frame import Frame, Stage
from penstock_server.launch.kubernetes.judgement import Graces
from penstock_server.launch.kubernetes.launcher import KubernetesLauncher
from penstock_server.launch.kubernetes.records import Closing, Records
from penstock_server.launch.kubernetes.work import INTERRUPTIONS_MAX
from penstock_server.launch.kubernetes.workplace import ClusterNamespaces, KubernetesSettings
from penstock_server.model.errors import FailedPrecondition, Unavailable
from penstock_server.model.states import FailureClass
from penstock_server.store.records import StoredRecords
from tests.launch.kubernetes.api_server import (
    ApiServer,
    Reply,
    answer,
    api_of,
    api_server,
    cut,
    refusal,
    silence,
    stream,
)
from tests.launch.world import Watched, component, step, until

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text())
PODS = "/api/v1/namespaces/ns/pods"
NAMESPACE = "GET /api/v1/namespaces/ns"
REVIEWS = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
EMPTY = answer({"metadata": {"resourceVersion": "1"}, "items": []})


@dataclass
class Play:
    """A launcher, the server it asks, and a step."""

    server: ApiServer
    watched: Watched
    records: Records
    request: StepRequest

    @property
    def path(self) -> str:
        return f"{PODS}/{names.pod_name(self.request.facts.run_id, self.request.attempt)}"

    def pod(self, recorded: str, version: int, **metadata: Any) -> dict[str, Any]:
        """A pod of the step that looks as one that was recorded."""
        pod: dict[str, Any] = copy.deepcopy(RECORDED[recorded])
        pod["metadata"] = {
            "name": self.path.rpartition("/")[2],
            "namespace": "ns",
            "uid": "u",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-11-26T02:25:00Z",
            "labels": {names.INSTALLATION_LABEL: "installation"},
            "annotations": names.pod_annotations(self.request),
            **metadata,
        }
        return pod


@asynccontextmanager
async def playing(folder: Path, *watches: Reply, start: bool = True, **settings: Any) -> AsyncIterator[Play]:
    given: dict[str, Any] = {"graces": Graces(lost_node_s=0), "tick_s": 0.02, "sync_timeout_s": 5}
    given["frame"] = Frame("installation", Stage("stage"))
    async with api_server() as server, api_of(server, patience_s=0, watch_s=60) as api:
        server.on(NAMESPACE, answer({"kind": "Namespace"}))
        server.on(REVIEWS, answer({"status": {"allowed": True}}, 201))
        server.on(f"GET {PODS}", EMPTY)
        server.on(f"WATCH {PODS}", *(watches or (silence,)))
        records = Records(StoredRecords.in_folder(folder), f"file://{folder}")
        launcher = KubernetesLauncher(api, records, KubernetesSettings(ClusterNamespaces("ns"), **(given | settings)))
        if start:
            await launcher.start()
        watched = Watched(launcher)
        try:
            yield Play(server, watched, records, step(of=component(["true"], image="busybox"), store=folder))
        finally:
            await watched.close()


async def test_a_pod_whose_creation_was_not_answered_is_found(tmp_path: Path) -> None:
    async with playing(tmp_path) as play:
        play.server.on(f"POST {PODS}", cut, refusal(409, "AlreadyExists"))
        play.server.on(f"GET {play.path}", answer(play.pod("running", 5)))
        await play.watched.launcher.launch(play.request)
        assert (await play.watched.start_of(play.request)).handle == f"ns/{play.path.rpartition('/')[2]}"


async def test_what_is_launched_while_the_api_server_is_away_starts_when_it_is_back(tmp_path: Path) -> None:
    async with playing(tmp_path) as play:
        play.server.on(f"POST {PODS}", refusal(503), cut, answer(play.pod("running", 5), 201))
        await play.watched.launcher.launch(play.request)
        await play.watched.start_of(play.request)


async def test_a_step_that_is_stopped_while_it_is_not_known_whether_there_is_a_pod_never_starts(tmp_path: Path) -> None:
    async with playing(tmp_path) as play:
        play.server.on(f"POST {PODS}", refusal(503))
        play.server.on(f"GET {play.path}", refusal(404, "NotFound"))
        await play.watched.launcher.launch(play.request)
        await play.server.until(lambda: bool(play.server.of(f"POST {PODS}")))
        await play.watched.launcher.stop(play.request.attempt)
        assert (await play.watched.end_of(play.request)).phase is Phase.STOPPED
        closing = await play.records.closing(play.request.attempt)
        assert closing is not None
        assert closing.reason == "STOPPED"


async def test_a_namespace_without_room_is_waited_for_and_given_up_in_the_end(tmp_path: Path) -> None:
    quota = refusal(403, "Forbidden", 'pods "a" is forbidden: exceeded quota: pods', Retry_After="1")
    async with playing(tmp_path, graces=Graces(scheduling_s=0)) as play:
        play.server.on(f"POST {PODS}", quota)
        end = await play.watched.run(play.request)
        assert (end.phase, end.reason) == (Phase.FAILED, "QUOTA_EXCEEDED")
    async with playing(tmp_path) as play:
        play.server.on(f"POST {PODS}", quota)
        await play.watched.launcher.launch(play.request)
        await until(lambda: any(seen.reason == "QUOTA_EXCEEDED" for seen in play.watched.told))
        assert play.watched.told[-1].phase is Phase.PENDING


NO_ROLE = 'pods "a" is forbidden: User "penstock" cannot {} resource "pods" in API group "" in the namespace "ns"'


async def test_a_role_that_is_lacking_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator who takes it away by mistake must not end every run of that time, nor let pods run on."""
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.REFUSED_RETRY_S", 0.02)
    monkeypatch.setattr("penstock_server.launch.kubernetes.work.RETRY_MAX_S", 0.02)
    async with playing(tmp_path) as play:
        refused = [refusal(403, "Forbidden", NO_ROLE.format(verb)) for verb in ("create", "delete")]
        play.server.on(f"POST {PODS}", refused[0], answer(play.pod("running", 5), 201))
        play.server.on(f"DELETE {play.path}", *(refused[1] for _ in range(INTERRUPTIONS_MAX)), answer({}))
        play.server.on(f"GET {play.path}/log", stream(b""))
        await play.watched.launcher.launch(play.request)
        await play.watched.start_of(play.request)
        assert ("PERMISSION_LACKING", Phase.PENDING) in [(seen.reason, seen.phase) for seen in play.watched.told]
        await play.watched.launcher.stop(play.request.attempt)
        deletions = f"DELETE {play.path}"
        await play.server.until(lambda: len(play.server.of(deletions)) > INTERRUPTIONS_MAX)
        assert not any(seen.phase.is_final for seen in play.watched.told)


async def test_a_step_that_waits_for_room_in_its_namespace_is_stopped_before_it_asks_again(tmp_path: Path) -> None:
    async with playing(tmp_path) as play:
        play.server.on(f"POST {PODS}", refusal(403, "Forbidden", 'pods "a" is forbidden: exceeded quota: pods'))
        play.server.on(f"GET {play.path}", refusal(404, "NotFound"))
        await play.watched.launcher.launch(play.request)
        await until(lambda: any(seen.reason == "QUOTA_EXCEEDED" for seen in play.watched.told))
        await play.watched.launcher.stop(play.request.attempt)
        assert (await play.watched.end_of(play.request)).phase is Phase.STOPPED
        assert len(play.server.of(f"POST {PODS}")) == 1


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (refusal(403, "Forbidden", 'violates PodSecurity "restricted"'), "PodSecurity"),
        (refusal(422, "Invalid", "spec.containers[0].image: Required value"), "Required value"),
        (refusal(404, "NotFound", 'namespaces "ns" not found'), "the cluster has no namespace ns"),
    ],
)
async def test_a_pod_that_the_cluster_refuses_fails_with_its_words(tmp_path: Path, refused: Reply, told: str) -> None:
    async with playing(tmp_path) as play:
        play.server.on(f"POST {PODS}", refused)
        end = await play.watched.run(play.request)
        assert (end.phase, end.reason, end.is_settled) == (Phase.FAILED, "POD_REFUSED", True)
        assert told in end.message


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(("ready", "is_lost"), [("Unknown", True), ("True", False)])
async def test_a_pod_that_should_be_gone_is_removed_by_force_only_when_its_node_is_lost(
    tmp_path: Path, ready: str, is_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.LOOK_S", 0)
    async with playing(tmp_path) as play:
        stuck = play.pod("running", 5, deletionTimestamp=ago(60), deletionGracePeriodSeconds=5)
        node = {"status": {"conditions": [{"type": "Ready", "status": ready}]}}
        play.server.on(f"POST {PODS}", answer(stuck, 201))
        play.server.on("GET /api/v1/nodes/penstock", answer(node))
        play.server.on(f"DELETE {play.path}", answer({}))
        play.server.on(f"GET {play.path}/log", stream(b"so far\n"))
        await play.watched.launcher.launch(play.request)
        if is_lost:
            end = await play.watched.end_of(play.request)
            assert (end.phase, end.reason) == (Phase.LOST, "NODE_LOST")
            await play.server.until(lambda: bool(play.server.of(f"DELETE {play.path}")))
            assert play.server.of(f"DELETE {play.path}")[0].body["gracePeriodSeconds"] == 0
        else:
            await play.server.until(lambda: len(play.server.of("GET /api/v1/nodes/penstock")) > 1)
            assert play.server.of(f"DELETE {play.path}") == []
            assert not any(seen.phase.is_final for seen in play.watched.told)


async def test_the_wait_for_a_place_does_not_count_as_a_pod_that_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are asked for once a pod has not started for a while, not of every pod that was made late."""
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.LOOK_S", 0.2)
    clock, made_at, asked_at = asyncio.get_running_loop().time, list[float](), dict[str, float]()

    async with playing(tmp_path, pending_pods_max=1) as play:
        second = replace(play, request=step(of=component(["true"], image="busybox"), store=tmp_path))
        waiting = {"spec": {"nodeName": "penstock"}, "status": {"phase": "Pending"}}
        is_new = {"creationTimestamp": ago(-3600)}

        async def make_second(writer: asyncio.StreamWriter) -> None:
            made_at.append(clock())
            await answer({**second.pod("running", 6, uid="v", **is_new), **waiting}, 201)(writer)

        async def events(writer: asyncio.StreamWriter) -> None:
            asked_at.setdefault(play.server.asked[-1].query["fieldSelector"].split(",")[0], clock())
            await answer({"metadata": {}, "items": []})(writer)

        play.server.on(f"POST {PODS}", answer({**play.pod("running", 5, **is_new), **waiting}, 201), make_second)
        play.server.on("GET /api/v1/namespaces/ns/events", events)
        await play.watched.launcher.launch(play.request)
        await play.watched.launcher.launch(second.request)
        await play.server.until(lambda: "involvedObject.uid=u" in asked_at)
        play.server.on(f"DELETE {play.path}", answer({}))
        await play.watched.launcher.forget([play.request.attempt])
        await play.server.until(lambda: "involvedObject.uid=v" in asked_at)
    assert asked_at["involvedObject.uid=v"] - made_at[0] >= 0.2


async def test_a_refusal_of_events_is_logged_and_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The grace of a pod goes on from what events have told before."""
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.LOOK_S", 0)
    missing = {"reason": "FailedMount", "message": 'secret "nosecret" not found', "lastTimestamp": ago(1)}
    async with playing(tmp_path, graces=Graces(config_s=1)) as play:
        waiting = {"spec": {"nodeName": "penstock"}, "status": {"phase": "Pending"}}
        play.server.on(f"POST {PODS}", answer({**play.pod("running", 5), **waiting}, 201))
        events = answer({"metadata": {}, "items": [missing]})
        play.server.on("GET /api/v1/namespaces/ns/events", events, refusal(403, "Forbidden", "no events for you"))
        end = await play.watched.run(play.request)
        assert (end.phase, end.reason) == (Phase.FAILED, "CONTAINER_CONFIG_INVALID")
    logged = {record.message: record.__dict__.get("error", "") for record in caplog.records}
    assert "no events for you" in logged["events or log of a pod not read"]


async def test_of_a_pod_that_does_not_start_for_long_a_server_that_takes_it_over_asks_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.LOOK_S", 3600)
    missing = {"reason": "FailedMount", "message": 'secret "nosecret" not found', "lastTimestamp": ago(1)}
    async with playing(tmp_path, start=False) as play:
        waiting = {"spec": {"nodeName": "penstock"}, "status": {"phase": "Pending"}}
        pods = [{**play.pod("running", 5, creationTimestamp=ago(7200)), **waiting}]
        play.server.replace(f"GET {PODS}", answer({"metadata": {"resourceVersion": "5"}, "items": pods}))
        play.server.on("GET /api/v1/namespaces/ns/events", answer({"metadata": {}, "items": [missing]}))
        await play.watched.launcher.start()
        await play.watched.launcher.adopt([play.request])
        await until(lambda: any(seen.reason == "FAILED_MOUNT" for seen in play.watched.told))


async def test_events_that_the_cluster_has_forgotten_still_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps them for an hour, where it is not told otherwise."""
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.LOOK_S", 0)
    missing = {"reason": "FailedMount", "message": 'secret "nosecret" not found', "lastTimestamp": ago(1)}
    async with playing(tmp_path, graces=Graces(config_s=1)) as play:
        waiting = {"spec": {"nodeName": "penstock"}, "status": {"phase": "Pending"}}
        play.server.on(f"POST {PODS}", answer({**play.pod("running", 5), **waiting}, 201))
        play.server.on("GET /api/v1/namespaces/ns/events", answer({"metadata": {}, "items": [missing]}), EMPTY)
        end = await play.watched.run(play.request)
        assert (end.phase, end.reason) == (Phase.FAILED, "CONTAINER_CONFIG_INVALID")


async def test_an_attempt_that_cannot_be_judged_does_not_keep_others_from_being_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with playing(tmp_path, graces=Graces(image_s=0.3)) as play:
        play.server.on(f"POST {PODS}", answer(play.pod("unschedulable", 5), 201))
        await play.watched.launcher.launch(play.request)
        await until(lambda: any(seen.reason == "UNSCHEDULABLE" for seen in play.watched.told))
        judged, broken = PodAttempt.look, play.request.attempt

        def look(attempt: PodAttempt) -> None:
            if attempt.request.attempt == broken:
                raise RuntimeError("a fault of ours")
            judged(attempt)

        monkeypatch.setattr(PodAttempt, "look", look)
        other = replace(play, request=step(of=component(["true"], image="busybox"), store=tmp_path))
        play.server.replace(f"POST {PODS}", answer(other.pod("image-unknown", 6, uid="v"), 201))
        assert (await play.watched.run(other.request)).reason == "IMAGE_UNAVAILABLE"
    assert "attempt not looked at" in {record.message for record in caplog.records}


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (
            Stage("stage", secrets=("penstock-store",)),
            "secret penstock-store of the namespace ns (`kubernetes_store_secrets`)",
        ),
        (Stage("stage"), "no secret"),
        (Stage("stage", user=7, store_volume={"emptyDir": {}}), "are user 7 (`kubernetes_stage_user`)"),
    ],
    ids=["keys", "no keys", "volume"],
)
@pytest.mark.parametrize(
    ("recorded", "container", "reason", "is_settled"),
    [("stage-in-failed", 0, "STORE_REFUSED", False), ("stage-out-failed", 1, "PUBLISH_REFUSED", True)],
)
async def test_a_store_that_refuses_is_told_with_who_asked_it(
    tmp_path: Path, stage: Stage, told: str, recorded: str, container: int, reason: str, is_settled: bool
) -> None:
    async with playing(tmp_path, frame=Frame("installation", stage)) as play:
        pod = play.pod(recorded, 5)
        refused = {"exitCode": 71, "reason": "Error", "message": "the object store does not let us"}
        pod["status"]["initContainerStatuses"][container]["state"] = {"terminated": refused}
        play.server.on(f"POST {PODS}", answer(pod, 201))
        end = await play.watched.run(play.request)
        assert (end.reason, end.failure_class, end.is_settled) == (reason, FailureClass.ENVIRONMENT, is_settled)
        assert "the object store does not let us" in end.message
        assert told in end.message


async def test_what_stage_in_says_of_itself_is_told_while_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.LOOK_S", 0)
    async with playing(tmp_path) as play:
        pod = play.pod("stage-in-failed", 5)
        pod["status"]["phase"] = "Pending"
        pod["status"]["initContainerStatuses"][0]["state"] = {"running": {"startedAt": ago(20)}}
        pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "PodInitializing"}}
        play.server.on(f"POST {PODS}", answer(pod, 201))
        play.server.on(f"GET {play.path}/log", answer(b"penstock: STORE_UNREACHABLE: no answer\n"))
        await play.watched.launcher.launch(play.request)
        await until(lambda: any(seen.reason == "STORE_UNREACHABLE" for seen in play.watched.told))
        assert [seen.reason for seen in play.watched.told] == ["POD_INITIALIZING", "STORE_UNREACHABLE"]
        assert play.watched.told[-1].message == "no answer"


async def test_an_image_that_cannot_be_pulled_is_told_once(tmp_path: Path) -> None:
    """Between two tries the pod goes to and fro; what it says at the tries is the reason."""
    tries = RECORDED["image-unknown"]["status"]["containerStatuses"][0]["state"]["waiting"]
    backing_off = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    launched, events = asyncio.Event(), list[bytes]()

    async def watch(writer: asyncio.StreamWriter) -> None:
        await launched.wait()
        await stream(*events)(writer)

    async with playing(tmp_path, watch, silence) as play:
        pods = [play.pod("image-unknown", version) for version in (6, 7, 8)] + [play.pod("running", 9)]
        for pod, waiting in zip(pods, (backing_off, tries, backing_off), strict=False):
            pod["status"]["containerStatuses"][0]["state"]["waiting"] = waiting
        events += [json.dumps({"type": "MODIFIED", "object": pod}).encode() + b"\n" for pod in pods]
        play.server.on(f"POST {PODS}", answer(play.pod("image-unknown", 5), 201))
        await play.watched.launcher.launch(play.request)
        await until(lambda: bool(play.watched.told))
        launched.set()
        await play.watched.start_of(play.request)
        assert [seen.reason for seen in play.watched.told] == ["ERR_IMAGE_PULL", ""]


NEVER_RAN = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}


@pytest.mark.parametrize(
    ("recorded", "reason", "ends_as"),
    [
        ("image-unknown", "ERR_IMAGE_PULL", "IMAGE_UNAVAILABLE"),
        ("unschedulable", "UNSCHEDULABLE", "UNSCHEDULABLE"),
    ],
)
async def test_a_pod_that_has_waited_for_half_of_its_grace_is_told_to_the_log_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recorded: str, reason: str, ends_as: str
) -> None:
    async with playing(tmp_path, graces=Graces(image_s=0.4, scheduling_s=0.4)) as play:
        play.server.on(f"POST {PODS}", answer(play.pod(recorded, 5), 201))
        assert (await play.watched.run(play.request)).reason == ends_as
    (record,) = [each.__dict__ for each in caplog.records if each.name.startswith("penstock_server")]
    assert (record["levelname"], record["message"]) == ("WARNING", "pod does not start")
    assert (record["attempt"], record["pod"]) == (str(play.request.attempt), f"ns/{play.path.rpartition('/')[2]}")
    assert (record["reason"], record["ends_as"], record["grace_s"]) == (reason, ends_as, 0.4)


async def test_a_namespace_without_room_is_told_to_the_log_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.REFUSED_RETRY_S", 0.02)
    async with playing(tmp_path, graces=Graces(scheduling_s=0.4)) as play:
        play.server.on(f"POST {PODS}", refusal(403, "Forbidden", 'pods "a" is forbidden: exceeded quota: pods'))
        assert (await play.watched.run(play.request)).reason == "QUOTA_EXCEEDED"
        assert len(play.server.of(f"POST {PODS}")) > 3
    (record,) = [each.__dict__ for each in caplog.records if each.name.startswith("penstock_server")]
    assert (record["message"], record["reason"], record["pod"]) == ("pod does not start", "QUOTA_EXCEEDED", "")
    assert "exceeded quota" in record["why"]


async def test_a_step_that_goes_well_is_no_news_for_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock_server")
    async with playing(tmp_path) as play:
        play.server.on(f"POST {PODS}", answer(play.pod("running", 5), 201))
        await play.watched.launcher.launch(play.request)
        await play.watched.start_of(play.request)
    assert [each.message for each in caplog.records if each.name.startswith("penstock_server")] == []


async def test_a_container_that_never_ran_has_no_log_to_keep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A pod that is stopped while it pulls ends with a container that its node cannot find."""
    deleted, events = asyncio.Event(), list[bytes]()

    async def watch(writer: asyncio.StreamWriter) -> None:
        await deleted.wait()
        await stream(*events)(writer)

    async def delete(writer: asyncio.StreamWriter) -> None:
        await answer({})(writer)
        deleted.set()

    async with playing(tmp_path, watch, silence) as play:
        ended = play.pod("image-unknown", 6, deletionTimestamp=ago(1))
        ended["status"]["phase"] = "Failed"
        ended["status"]["containerStatuses"][0]["state"] = {"terminated": NEVER_RAN}
        events += [json.dumps({"type": what, "object": ended}).encode() + b"\n" for what in ("MODIFIED", "DELETED")]
        play.server.on(f"POST {PODS}", answer(play.pod("image-unknown", 5), 201))
        play.server.on(f"DELETE {play.path}", delete)
        await play.watched.launcher.launch(play.request)
        await until(lambda: bool(play.watched.told))
        await play.watched.launcher.stop(play.request.attempt)
        assert (await play.watched.end_of(play.request)).phase is Phase.STOPPED
        await play.watched.launcher.forget([play.request.attempt])
        assert play.server.of(f"GET {play.path}/log") == []
    assert "log not kept" not in {record.message for record in caplog.records}


async def test_a_sidecar_that_holds_the_pod_is_ended_and_the_verdict_outlives_the_pod(tmp_path: Path) -> None:
    """Whoever adopts the attempt when the pod is gone learns from its records that the step had ended well."""
    async with playing(tmp_path) as play:
        play.server.on(f"POST {PODS}", answer(play.pod("mesh-old-holds", 5), 201))
        play.server.on(f"DELETE {play.path}", answer({}))
        play.server.on(f"GET {play.path}/log", stream(b""))
        await play.watched.launcher.launch(play.request)
        await play.server.until(lambda: bool(play.server.of(f"DELETE {play.path}")))
        closing = await play.records.closing(play.request.attempt)
        assert closing is not None
        assert closing.verdict is not None
        assert closing.verdict.phase is Phase.SUCCEEDED


async def test_a_sidecar_that_holds_the_status_back_does_not_hold_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.LOOK_S", 0)
    async with playing(tmp_path) as play:
        pod = play.pod("mesh-native", 5)
        pod["status"]["phase"] = "Running"
        for told in pod["status"]["initContainerStatuses"][1:]:
            told["state"] = {"running": {"startedAt": "2026-11-26T02:25:17Z"}}
        play.server.on(f"POST {PODS}", answer(pod, 201))
        play.server.on(f"GET {play.path}/log", stream(b""))
        await play.watched.launcher.launch(play.request)
        await play.watched.start_of(play.request)
        report = StepReport(str(play.request.attempt), None, {}, {}, ())
        await play.records.store.write(play.records.report_uri(play.request.attempt), report.to_json())
        assert (await play.watched.end_of(play.request)).phase is Phase.SUCCEEDED


async def test_a_store_that_goes_away_while_an_attempt_is_concluded_by_its_report_delays_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_server.launch.kubernetes.attempt.LOOK_S", 0)
    monkeypatch.setattr("penstock_server.launch.kubernetes.work.RETRY_S", 0.02)
    read, reads = StoredRecords.read, 0

    async def failing_once(records: StoredRecords, uri: str) -> bytes | None:
        nonlocal reads
        content = await read(records, uri)
        reads += content is not None
        if reads == 2:  # first it is seen that there is a report, then what it says is read
            reads += 1
            raise Unavailable("STORE_UNAVAILABLE", "away")
        return content

    monkeypatch.setattr(StoredRecords, "read", failing_once)
    async with playing(tmp_path) as play:
        pod = play.pod("mesh-native", 5)
        pod["status"]["phase"] = "Running"
        for told in pod["status"]["initContainerStatuses"][1:]:
            told["state"] = {"running": {"startedAt": "2026-11-26T02:25:17Z"}}
        play.server.on(f"POST {PODS}", answer(pod, 201))
        play.server.on(f"GET {play.path}/log", stream(b""))
        report = StepReport(str(play.request.attempt), None, {}, {}, ())
        await play.records.store.write(play.records.report_uri(play.request.attempt), report.to_json())
        await play.watched.launcher.launch(play.request)
        assert (await play.watched.end_of(play.request)).phase is Phase.SUCCEEDED
        assert reads > 2


async def test_a_pod_whose_time_is_over_is_ended_with_the_short_grace_and_the_verdict_outlives_it(
    tmp_path: Path,
) -> None:
    async with playing(tmp_path, stop_grace_s=3) as play:
        play.request = replace(play.request, timeout_s=60)
        pod = play.pod("running", 5)
        pod["status"]["startTime"] = ago(59)
        play.server.on(f"POST {PODS}", answer(pod, 201))
        play.server.on(f"DELETE {play.path}", answer({}))
        await play.watched.launcher.launch(play.request)
        await play.watched.start_of(play.request)
        await play.server.until(lambda: bool(play.server.of(f"DELETE {play.path}")))
        assert play.server.of(f"DELETE {play.path}")[0].body["gracePeriodSeconds"] == 3
        closing = await play.records.closing(play.request.attempt)
        assert closing is not None
        assert closing.verdict is not None
        assert (closing.verdict.phase, closing.verdict.reason) == (Phase.FAILED, "TIMED_OUT")


async def test_what_the_server_may_not_do_is_told_at_the_start(tmp_path: Path) -> None:
    async with playing(tmp_path, start=False) as play:
        play.server.replace(REVIEWS, answer({"status": {"allowed": False}}, 201))
        with pytest.raises(FailedPrecondition, match="create pods in ns"):
            await play.watched.launcher.start()


async def test_a_namespace_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    async with playing(tmp_path, start=False) as play:
        play.server.replace(NAMESPACE, refusal(404, "NotFound"))
        with pytest.raises(FailedPrecondition, match="no namespace ns: make it"):
            await play.watched.launcher.start()


async def test_a_server_that_may_not_read_its_namespace_starts(tmp_path: Path) -> None:
    async with playing(tmp_path, start=False) as play:
        play.server.replace(NAMESPACE, refusal(403, "Forbidden"))
        await play.watched.launcher.start()
        assert len(play.server.of(NAMESPACE)) == 1


async def test_nothing_is_adopted_before_the_pods_are_known(tmp_path: Path) -> None:
    async with playing(tmp_path, start=False, sync_timeout_s=0.1) as play:
        play.server.replace(f"GET {PODS}", refusal(503))
        with pytest.raises(Unavailable):
            await play.watched.launcher.start()
        with pytest.raises(Unavailable):
            await play.watched.launcher.adopt([play.request])


@pytest.mark.parametrize(
    ("closing", "phase"),
    [(None, Phase.LOST), (Closing("STOPPED"), Phase.STOPPED), (Closing("FORGOTTEN"), Phase.LOST)],
    ids=["nothing", "stopped", "forgotten"],
)
async def test_what_was_seen_running_and_has_no_pod_is_judged_by_its_records(
    tmp_path: Path, closing: Closing | None, phase: Phase
) -> None:
    async with playing(tmp_path) as play:
        if closing is not None:
            await play.records.close(play.request.attempt, closing)
        play.server.on(f"GET {play.path}", refusal(404, "NotFound"))
        await play.watched.launcher.adopt([replace(play.request, has_started=True)])
        assert (await play.watched.end_of(play.request)).phase is phase
