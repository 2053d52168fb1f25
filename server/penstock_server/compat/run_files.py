"""What steps write and make: logs as text over plain HTTP; artifacts as base64 in JSON, and over gRPC."""

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import chain

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.dialect import plain_failure
from penstock_server.compat.nodes import Node, node_of
from penstock_server.compat.refusals import wrong
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.task_details import artifact_number
from penstock_server.engine.step_logs import AskedLog, StepLogs
from penstock_server.launch.base import LogChunk
from penstock_server.model.errors import NotFound
from penstock_server.model.resources import ArtifactValue, Run, Task
from penstock_server.rpc.call import Call
from penstock_server.rpc.plain import PlainAnswer, PlainRequest, PlainRoute
from penstock_server.rpc.proto_json import dumps
from penstock_server.store import kfp_runs, tasks
from penstock_server.store.database import Connection, Database

ARTIFACT_BYTES_MAX = 32 * 1024 * 1024
"""Content that is larger is read where its URI says."""
LOG = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"
ARTIFACT = "/apis/{version}/runs/{{run_id}}/nodes/{{node_id}}/artifacts/{{artifact_name}}:read"
_SERVICE = "kubeflow.pipelines.backend.api.v2beta1.RunService"


ReadContent = Callable[[str, int], Awaitable[bytes]]
"""The content at a URI, of so many bytes at most. Raises NotFound(ARTIFACT_NOT_FOUND), FailedPrecondition(
ARTIFACT_NOT_READABLE)."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Serves logs and artifacts of runs. Nodes are the pods that `run_details` names, or tasks."""

    database: Database
    logs: StepLogs
    read: ReadContent
    spaces: Spaces

    def routes(self) -> tuple[PlainRoute, ...]:
        """What is served beside the schema."""
        reads = [
            PlainRoute(
                f"{_SERVICE}/ReadArtifact", "GET", ARTIFACT.format(version=version), self._artifact, plain_failure
            )
            for version in ("v1beta1", "v2beta1")
        ]
        return (PlainRoute(f"{_SERVICE}/ReadLog", "GET", LOG, self._log, plain_failure, streaming=True), *reads)

    async def read_artifact(self, request: pb.ReadArtifactRequest, call: Call) -> pb.ReadArtifactResponse:
        """The content of an output artifact by its name, the first where an output has several; or of any artifact that
        the task was given or made, by the number that `run_details` tells.

        Raises NotFound (RUN_NOT_FOUND, TASK_NOT_FOUND, ARTIFACT_NOT_FOUND), FailedPrecondition(ARTIFACT_NOT_READABLE).
        """
        artifact = await self._find(request, call)
        return pb.ReadArtifactResponse(data=await self.read(artifact.uri, ARTIFACT_BYTES_MAX))

    async def _artifact(self, request: PlainRequest, call: Call) -> PlainAnswer:
        found = await self.read_artifact(pb.ReadArtifactRequest(**_checked(request)), call)
        return PlainAnswer(dumps({"data": base64.b64encode(found.data).decode()}), "application/json")

    async def _log(self, request: PlainRequest, call: Call) -> PlainAnswer:
        """The log of an attempt as text; with `follow=true` until the attempt has ended."""
        variables = _checked(request)
        run = await self._run(variables["run_id"], call)
        async with self.database.connection() as connection:
            node = await _node(connection, run, variables["node_id"])
        follow = request.query.get("follow", "").lower() in ("true", "1")
        asked = AskedLog(run, node.task_id, node.attempt or 0, follow=follow)
        attempt = await self.logs.find(asked)
        chunks = self.logs.read(asked, attempt)
        # What is wrong shows with the first piece, while the answer can still say so.
        first = await anext(chunks, None)
        content = b"" if first is None else _text(first, chunks)
        return PlainAnswer(content, "text/plain; charset=utf-8")

    async def _find(self, request: pb.ReadArtifactRequest, call: Call) -> ArtifactValue:
        run = await self._run(request.run_id, call)
        async with self.database.connection() as connection:
            node = await _node(connection, run, request.node_id)
            task = await tasks.get(connection, run.uid, node.task_id)
        named = task.outputs.artifacts.get(request.artifact_name, ())
        found = next(iter(named), None) or _numbered(task, request.artifact_name)
        if found is None:
            message = f"task {task.id} has no output artifact {request.artifact_name[:200]}"
            raise NotFound("ARTIFACT_NOT_FOUND", message, metadata={"task": task.id})
        return found

    async def _run(self, uid: str, call: Call) -> Run:
        async with self.database.connection() as connection:
            return (await kfp_runs.get(connection, self.spaces.reachable(call), uid)).record


async def _node(connection: Connection, run: Run, name: str) -> Node:
    """What the name stands for: an attempt by its pod, or by its number, or a task."""
    attempt = await tasks.attempt_in_pod(connection, run.uid, name)
    return node_of(name) if attempt is None else Node(attempt.task_id, attempt.number)


def _numbered(task: Task, number: str) -> ArtifactValue | None:
    """The artifact of that number among what a task was given and made."""
    for values in (task.outputs, task.inputs):
        for each in chain.from_iterable(values.artifacts.values()):
            if each.uid is not None and str(artifact_number(each.uid)) == number:
                return each
    return None


def _checked(request: PlainRequest) -> Mapping[str, str]:
    """What the path says. Raises InvalidArgument for what the database cannot be asked for."""
    for name, value in request.variables.items():
        if "\0" in value:
            raise wrong(name, "must not hold a NUL character")
    return request.variables


async def _text(first: LogChunk, rest: AsyncGenerator[LogChunk, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first.content
        async for chunk in rest:
            yield chunk.content
