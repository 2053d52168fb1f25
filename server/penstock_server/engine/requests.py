"""What the API asks of runs: make one, cancel, retry, delete. Nothing here moves a run.

A request is checked and recorded; the engine that owns the run, here or elsewhere, takes it up.
"""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from penstock_server.engine.graphs import Graphs
from penstock_server.engine.reasons import WAITING_FOR_ENGINE
from penstock_server.model.errors import FailedPrecondition, PenstockError
from penstock_server.model.ids import RunUid, ServerId
from penstock_server.model.json import Json
from penstock_server.model.resources import CachePolicy, Run
from penstock_server.spec import document as documents
from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.document import Document
from penstock_server.spec.graph import PipelineGraph
from penstock_server.spec.interface import check_parameters
from penstock_server.spec.support import check_supported
from penstock_server.store import experiments, pipeline_versions, requests, runs, specs
from penstock_server.store.database import Connection, Database
from penstock_server.store.requested import RequestKey
from penstock_server.store.revisions import changed_meanwhile

COMPILE_ASIDE_BYTES = 64 * 1024
"""Larger specs are compiled in a thread, so that other calls do not wait for them."""


@dataclass(frozen=True, slots=True)
class VersionSource:
    """A pipeline version of the run's namespace: by number or by alias, the newest when both are None."""

    pipeline_id: str
    number: int | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class InlineSpec:
    """A spec of the run's own that was read, compiled and found to be supported already."""

    digest: str
    canonical: bytes
    graph: PipelineGraph


@dataclass(frozen=True, slots=True)
class NewRunRequest:
    """A run to be made."""

    namespace: str
    run_id: str
    source: VersionSource | InlineSpec | Document
    experiment_id: str = experiments.DEFAULT
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Json] = field(default_factory=dict)
    cache_policy: CachePolicy = CachePolicy.DEFAULT
    deadline_s: float | None = None
    artifact_root: str = ""
    traceparent: str | None = None
    request: RequestKey | None = None
    """What makes the call safe to repeat."""
    call_deadline_s: float | None = None
    """Seconds that the call itself may take."""


@dataclass(frozen=True, slots=True)
class _Spec:
    digest: str
    graph: PipelineGraph
    document: bytes | None
    """To be stored; None when it is."""
    pipeline_id: str | None = None
    pipeline_version: int | None = None


class Taker(Protocol):
    """An engine that takes new runs at once."""

    def offer(self) -> ServerId | None:
        """Under which id it takes a run that is about to be made; None when it does not."""

    def take_new(self, run: Run, graph: PipelineGraph) -> None:
        """Take up a run that was made under an offer, and committed."""


@dataclass(frozen=True, slots=True)
class _Made:
    run: Run
    is_new: bool
    graph: PipelineGraph | None
    owner: ServerId | None


class RunRequests:
    """Checks and records what the API asks."""

    def __init__(self, database: Database, graphs: Graphs, taker: Taker | None = None) -> None:
        """`taker`: this process's own engine, so that a new run need not be claimed and read back."""
        self._database = database
        self._graphs = graphs
        self._taker = taker

    async def create_run(self, request: NewRunRequest, *, validate_only: bool = False) -> tuple[Run, bool]:
        """The new run, PENDING, or the one that the same request made before; whether it is new.

        With `validate_only` everything is checked and answered, and nothing is made. Raises NotFound
        (NAMESPACE_NOT_FOUND, EXPERIMENT_NOT_FOUND, PIPELINE_VERSION_NOT_FOUND), FailedPrecondition
        (EXPERIMENT_ARCHIVED), AlreadyExists (RUN_EXISTS, REQUEST_ID_REUSED), and what the checks of specs
        and parameters raise.
        """
        given = await self._inline_spec(request.source)
        if given is not None:
            check_parameters(given.graph, request.parameters)
        if validate_only:
            made = await self._tried(request, given)
            return made.run, made.is_new
        async with self._database.writing(deadline_s=request.call_deadline_s) as connection:
            made = await self._create(connection, request, given)
        if self._taker is not None and made.is_new and made.owner is not None and made.graph is not None:
            self._taker.take_new(made.run, made.graph)
        return made.run, made.is_new

    async def cancel_run(self, namespace: str, run_id: str, *, message: str = "", revision: int | None = None) -> Run:
        """Ask for the run to be cancelled. Raises NotFound, Conflict, FailedPrecondition(RUN_FINISHED)."""
        async with self._database.transaction() as connection:
            asked = await requests.request_cancel(connection, namespace, run_id, message, revision)
            run = await runs.get(connection, namespace, run_id)
            if not asked:
                _check_revision(run, revision)
                raise _refused("RUN_FINISHED", run, f"is {run.state} already; nothing is left to be cancelled")
            return run

    async def retry_run(self, namespace: str, run_id: str, *, revision: int | None = None) -> Run:
        """Ask for the run to go on. Raises NotFound, Conflict, FailedPrecondition(RUN_NOT_RETRYABLE)."""
        async with self._database.transaction() as connection:
            asked = await requests.request_retry(connection, namespace, run_id, revision)
            run = await runs.get(connection, namespace, run_id)
            if not asked:
                _check_revision(run, revision)
                raise _refused("RUN_NOT_RETRYABLE", run, f"is {run.state}; only failed or cancelled runs go on")
            return run

    async def delete_run(self, namespace: str, run_id: str, *, force: bool, revision: int | None = None) -> None:
        """Delete the run; with `force` one that has not ended is cancelled, and deleted by its engine then.

        Raises NotFound, Conflict, FailedPrecondition(RUN_NOT_FINISHED).
        """
        async with self._database.transaction() as connection:
            if await requests.delete_ended(connection, namespace, run_id, revision):
                return
            run = await runs.get(connection, namespace, run_id)
            _check_revision(run, revision)
            if not force:
                raise _refused("RUN_NOT_FINISHED", run, f"is {run.state}; cancel it and wait, or use force")
            if not await requests.request_delete(connection, namespace, run_id, revision):
                # It ended between the two statements.
                await requests.delete_ended(connection, namespace, run_id, revision)

    async def _inline_spec(self, source: VersionSource | InlineSpec | Document) -> _Spec | None:
        """What the request brings along; None when it names a version."""
        if isinstance(source, VersionSource):
            return None
        if isinstance(source, InlineSpec):
            check_supported(source.graph)
            if self._graphs.get(source.digest) is None:
                self._graphs.put(source.digest, source.graph)
            return _Spec(source.digest, source.graph, source.canonical)
        canonical = documents.canonical(source)
        digest = documents.digest(canonical)
        graph = self._graphs.get(digest)
        if graph is None:
            graph = await _compile(source, len(canonical))
            self._graphs.put(digest, graph)
        check_supported(graph)
        return _Spec(digest, graph, canonical)

    async def _version_spec(self, connection: Connection, namespace: str, source: VersionSource) -> _Spec:
        version = await pipeline_versions.get(
            connection, namespace, source.pipeline_id, number=source.number, alias=source.alias
        )
        graph = self._graphs.get(version.spec_digest)
        if graph is None:
            graph = self._graphs.compiled(version.spec_digest, await specs.get(connection, version.spec_digest))
        check_supported(graph)
        return _Spec(version.spec_digest, graph, None, source.pipeline_id, version.number)

    async def _tried(self, request: NewRunRequest, given: _Spec | None) -> _Made:
        """What would be made."""
        try:
            async with self._database.transaction(deadline_s=request.call_deadline_s) as connection:
                raise _NothingMade(await self._create(connection, request, given))
        except _NothingMade as answer:
            return answer.made

    async def _create(self, connection: Connection, request: NewRunRequest, given: _Spec | None) -> _Made:
        try:
            spec = given or await self._checked_version(connection, request)
        except PenstockError:
            # A repeat answers as the first time, whatever has changed since; then comes what is wrong around the spec.
            key = request.request
            repeated = await runs.find_repeat(connection, request.namespace, key) if key is not None else None
            if repeated is not None:
                return _Made(repeated, is_new=False, graph=None, owner=None)
            await experiments.get_open(connection, request.namespace, request.experiment_id)
            raise
        owner = self._taker.offer() if self._taker is not None else None
        run, is_new = await runs.insert(connection, _new_run(request, spec), request.request, owner=owner)
        return _Made(run, is_new, spec.graph, owner)

    async def _checked_version(self, connection: Connection, request: NewRunRequest) -> _Spec:
        assert isinstance(request.source, VersionSource)
        spec = await self._version_spec(connection, request.namespace, request.source)
        check_parameters(spec.graph, request.parameters)
        return spec


class _NothingMade(Exception):  # an answer that rolls the transaction back
    def __init__(self, made: _Made) -> None:
        super().__init__()
        self.made = made


async def _compile(source: Document, size_bytes: int) -> PipelineGraph:
    if size_bytes < COMPILE_ASIDE_BYTES:
        return compile_pipeline(source)
    return await asyncio.to_thread(compile_pipeline, source)


def _new_run(request: NewRunRequest, spec: _Spec) -> runs.NewRun:
    return runs.NewRun(
        uid=RunUid(uuid.uuid4()),
        namespace=request.namespace,
        id=request.run_id,
        experiment_id=request.experiment_id,
        pipeline_id=spec.pipeline_id,
        pipeline_version=spec.pipeline_version,
        spec_digest=spec.digest,
        document=spec.document,
        display_name=request.display_name or request.run_id,
        description=request.description,
        labels=request.labels,
        parameters=request.parameters,
        cache_policy=request.cache_policy,
        deadline_s=request.deadline_s,
        artifact_root=request.artifact_root,
        reason=WAITING_FOR_ENGINE,
        message="",
        traceparent=request.traceparent,
        root_display_name=spec.graph.display_name or spec.graph.name,
    )


def _check_revision(run: Run, revision: int | None) -> None:
    if revision is not None and run.revision != revision:
        raise changed_meanwhile(runs.resource_name(run.namespace, run.id))


def _refused(reason: str, run: Run, why: str) -> FailedPrecondition:
    name = runs.resource_name(run.namespace, run.id)
    return FailedPrecondition(reason, f"{name} {why}", metadata={"name": name, "state": run.state})
