"""An API server with one namespace of pods that need no node, in a process of its own.

What a pod looks like from one moment to the next was recorded on a real cluster, with all that nobody reads, and is
told as fast as it is taken. `python -m tests.bench.simulated_cluster` prints its port, then obeys lines:

    release, hold    let pods end that run, and those that come; or keep them running
    break            end the watches with 410, so that everything is listed again
    look             nothing

and answers each with how many pods there are, and how often all of them were listed.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock_agent.report import ReportPlace, StepReport, message_of
from penstock_server.launch.kubernetes.names import ATTEMPT_ANNOTATION
from tests.launch.kubernetes.api_server import (
    ApiServer,
    Asked,
    Reply,
    answer,
    begin_stream,
    refusal,
    stream,
    write_piece,
)

NAMESPACE = "simulated"
HERE = f"/api/v1/namespaces/{NAMESPACE}"
PODS = f"{HERE}/pods"
TIMELINE: list[dict[str, Any]] = json.loads(Path(__file__).with_name("pod_timeline.json").read_text())
"""What is told of a pod after its creation, moment by moment: node, status, and who has written which field."""
UNTIL_RUNNING = 6
"""So many of those moments come before its container's end."""
CREATED_AT = "2026-11-26T04:22:19Z"
SAID_AT = b"2026-11-26T04:22:20.000000001Z "
EXPIRED = {"kind": "Status", "reason": "Expired", "message": "too old resource version", "code": 410}
_REPORT = '"REPORT"'
Pod = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Event:
    what: str
    pod: Pod


@dataclass
class SimulatedCluster(ApiServer):
    """The server. The resource version of an event is how many there have been with it."""

    is_released: bool = False
    lists: int = 0
    breaks: int = 0
    pods: dict[str, Pod] = field(default_factory=dict)
    events: list[_Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, with every event."""

    def obey(self, command: str) -> str:
        """Do what a line says; the answer."""
        if command == "break":
            self.breaks += 1
        elif command != "look":
            self.is_released = command == "release"
            for pod in list(self.pods.values()) if self.is_released else ():
                self._play(pod, TIMELINE[UNTIL_RUNNING:])
        self._wake()
        return f"{len(self.pods)} {self.lists}"

    def reply_to(self, asked: Asked) -> Reply:
        """As an API server does."""
        self.asked.clear()
        if asked.path.endswith("/selfsubjectaccessreviews"):
            return answer({"status": {"allowed": True}}, 201)
        if asked.path == HERE:
            return answer({"metadata": {"name": NAMESPACE}})
        if asked.path == PODS:
            return self._create(asked.body) if asked.method == "POST" else self._read(asked.query)
        name, _, part = asked.path.removeprefix(f"{PODS}/").partition("/")
        if name not in self.pods:
            return refusal(404, "NotFound")
        if part == "log":
            return stream(SAID_AT + b"said\n" if "timestamps" in asked.query else b"said\n")
        return answer(self._remove(name) if asked.method == "DELETE" else self.pods[name])

    def _create(self, body: Pod) -> Reply:
        if body["metadata"]["name"] in self.pods:
            return refusal(409, "AlreadyExists")
        metadata = {**body["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": CREATED_AT}
        made = self._tell("ADDED", {**body, "metadata": metadata, "status": {"phase": "Pending"}})
        self._play(made, TIMELINE if self.is_released else TIMELINE[:UNTIL_RUNNING])
        return answer(made, 201)

    def _play(self, pod: Pod, moments: Sequence[dict[str, Any]]) -> None:
        for moment in moments:
            spec = {**pod["spec"], "nodeName": moment["nodeName"]}
            metadata = {**pod["metadata"], "managedFields": moment["managedFields"]}
            pod = self._tell("MODIFIED", {**pod, "metadata": metadata, "spec": spec, "status": _status(pod, moment)})

    def _remove(self, name: str) -> Pod:
        pod = self.pods[name]
        pod = self._tell("MODIFIED", {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": CREATED_AT}})
        return self._tell("DELETED", pod)

    def _tell(self, what: str, pod: Pod) -> Pod:
        pod = {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(len(self.events) + 1)}}
        self.events.append(_Event(what, pod))
        self.pods[pod["metadata"]["name"]] = pod
        if what == "DELETED":
            del self.pods[pod["metadata"]["name"]]
        self._wake()
        return pod

    def _wake(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()

    def _read(self, query: dict[str, str]) -> Reply:
        if "watch" in query:
            return self._watch(int(query["resourceVersion"]), float(query["timeoutSeconds"]))
        first, limit = int(query.get("continue", 0)), int(query["limit"])
        self.lists += first == 0
        names = sorted(self.pods)
        rest = str(first + limit) if first + limit < len(names) else ""
        metadata = {"resourceVersion": str(len(self.events)), "continue": rest}
        return answer({"metadata": metadata, "items": [self.pods[name] for name in names[first : first + limit]]})

    def _watch(self, told: int, seconds: float) -> Reply:
        async def reply(writer: asyncio.StreamWriter) -> None:
            breaks = self.breaks
            begin_stream(writer)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._follow(writer, told)
            if breaks != self.breaks:
                await write_piece(writer, {"type": "ERROR", "object": EXPIRED})
            await write_piece(writer, b"")

        return reply

    async def _follow(self, writer: asyncio.StreamWriter, told: int) -> None:
        breaks = self.breaks
        bookmark = {"kind": "Pod", "metadata": {"resourceVersion": str(told)}}
        await write_piece(writer, {"type": "BOOKMARK", "object": bookmark})
        while breaks == self.breaks:
            news = self.news
            while told < len(self.events):
                event = self.events[told]
                told += 1
                await write_piece(writer, {"type": event.what, "object": event.pod})
            await news.wait()


def _status(pod: Pod, moment: dict[str, Any]) -> dict[str, Any]:
    """The status of that moment, with a report of the pod's own attempt where it has one."""
    text = json.dumps(moment["status"])
    if _REPORT in text:
        report = StepReport(pod["metadata"]["annotations"][ATTEMPT_ANNOTATION])
        text = text.replace(_REPORT, json.dumps(message_of(report.to_json(), ReportPlace("", ""))))
    status: dict[str, Any] = json.loads(text)
    return status


async def _serve() -> None:
    cluster = SimulatedCluster()
    listener = await asyncio.start_server(cluster.serve, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while command := (await lines.readline()).decode().strip():
        print(cluster.obey(command), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
