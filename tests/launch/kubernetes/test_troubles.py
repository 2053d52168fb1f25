"""What is asked of the cluster where the status of a pod does not tell enough: its events, its node."""

from datetime import UTC, datetime
from typing import Any

import pytest

from penstock_server.launch.kubernetes.api_errors import ApiUnavailableError
from penstock_server.launch.kubernetes.nodes import is_lost
from penstock_server.launch.kubernetes.troubles import newest_trouble
from penstock_server.launch.kubernetes.view import PodView, view
from penstock_server.launch.kubernetes.waits import Trouble
from tests.launch.kubernetes.api_server import Reply, answer, api_of, api_server, refusal

EVENTS = "GET /api/v1/namespaces/ns/events"
POD: PodView = view({"metadata": {"name": "a", "namespace": "ns", "uid": "u"}})


def event(reason: str, message: str, time: str, key: str = "lastTimestamp") -> dict[str, Any]:
    return {"reason": reason, "message": message, key: time}


def listed(*events: dict[str, Any]) -> Reply:
    return answer({"metadata": {}, "items": list(events)})


async def test_the_newest_warning_is_found_that_the_status_does_not_tell() -> None:
    events = (
        event("FailedMount", "old", "2026-01-01T00:00:01Z"),
        event("FailedMount", "secret not found", "2026-01-01T00:00:03Z") | {"firstTimestamp": "2026-01-01T00:00:02Z"},
        event("FailedCreatePodSandBox", "no network", "2026-01-01T00:00:02.5Z", "eventTime"),
        event("FailedScheduling", "told by the status", "2026-01-01T00:00:09Z"),
    )
    async with api_server() as server, api_of(server) as api:
        server.on(EVENTS, listed(*events))
        since = datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
        assert await newest_trouble(api, POD) == Trouble("FailedMount", "secret not found", since=since)
        assert server.asked[0].query["fieldSelector"] == "involvedObject.uid=u,type=Warning"


async def test_without_events_nothing_is_told() -> None:
    async with api_server() as server, api_of(server) as api:
        server.on(EVENTS, listed())
        assert await newest_trouble(api, POD) is None


LOG = "GET /api/v1/namespaces/ns/pods/a/log"
STAGING: PodView = view(
    {
        "metadata": {"name": "a", "namespace": "ns", "uid": "u"},
        "status": {"initContainerStatuses": [{"name": "penstock-stage-in", "state": {"running": {}}}]},
    }
)


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        (b"penstock: STORE_UNREACHABLE: no answer\n", Trouble("STORE_UNREACHABLE", "no answer", is_of_stage=True)),
        (b"Traceback", None),
        (b"", None),
    ],
)
async def test_of_a_pod_whose_inputs_are_fetched_the_last_line_of_stage_in_is_read(
    line: bytes, trouble: Trouble | None
) -> None:
    async with api_server() as server, api_of(server) as api:
        server.on(LOG, answer(line))
        assert await newest_trouble(api, STAGING) == trouble
        assert server.asked[0].query == {"container": "penstock-stage-in", "follow": "false", "tailLines": "1"}


def node(ready: str) -> Reply:
    return answer({"status": {"conditions": [{"type": "Ready", "status": ready}]}})


@pytest.mark.parametrize(
    ("reply", "lost"),
    [
        (node("True"), False),
        (node("False"), False),
        (node("Unknown"), True),
        (refusal(404, "NotFound"), True),
        (refusal(403, "Forbidden"), False),
    ],
    ids=["ready", "not ready", "not heard of", "gone", "not allowed"],
)
async def test_a_node_is_lost_only_where_the_cluster_says_so(reply: Reply, lost: bool) -> None:
    async with api_server() as server, api_of(server) as api:
        server.on("GET /api/v1/nodes/n", reply)
        assert await is_lost(api, "n") is lost


async def test_a_node_of_which_nothing_is_known_is_asked_after_again() -> None:
    async with api_server() as server, api_of(server, patience_s=0) as api:
        server.on("GET /api/v1/nodes/n", refusal(503))
        with pytest.raises(ApiUnavailableError):
            await is_lost(api, "n")
