"""Making runs: what the API asks for is checked, pinned to a spec and stored, once for each request.

Nothing here moves a run; the engine that owns it, here or elsewhere, takes it up.
"""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from penstock_server.engine.announcements import Announcements
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.reasons import WAITING_FOR_ENGINE
from penstock_server.engine.rerun import Forecast, forecast, reusable
from penstock_server.engine.restore import new_live_run
from penstock_server.engine.results import HasContent, anything
from penstock_server.engine.run_requests import (
    NO_CACHE_DEFAULTS,
    CacheDefaults,
    InlineSpec,
    NewRunRequest,
    RerunRequest,
    RunSource,
    StoredSpec,
    VersionSource,
)
from penstock_server.model.errors import NotFound, PenstockError
from penstock_server.model.ids import RunUid, ServerId
from penstock_server.model.json import Json
from penstock_server.model.resources import CachePolicy, Run
from penstock_server.schedule.macros import SlotFacts, expand
from penstock_server.spec import document as documents
from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.document import Document
from penstock_server.spec.graph import ParameterType, PipelineGraph
from penstock_server.spec.interface import check_parameters
from penstock_server.spec.support import check_supported
from penstock_server.store import experiments, pipeline_versions, runs, specs, tasks
from penstock_server.store.database import Connection, Database

_NUMBERS = frozenset({ParameterType.NUMBER_INTEGER, ParameterType.NUMBER_DOUBLE})
COMPILE_ASIDE_BYTES = 64 * 1024
"""Larger specs are compiled in a thread, so that other calls do not wait for them."""


@dataclass(frozen=True, slots=True)
class _Spec:
    digest: str
    graph: PipelineGraph
    document: bytes | None
    """To be stored; None when it is."""
    pipeline_id: str | None = None
    pipeline_version: int | None = None
    pipeline_namespace: str | None = None
    caching: CacheDefaults = NO_CACHE_DEFAULTS
    """What the version says."""
    parameters: Mapping[str, Json] = field(default_factory=dict)
    """Those of the request, with their macros written out; checked."""


class Taker(Protocol):
    """An engine that takes new runs at once."""

    def offer(self) -> ServerId | None:
        """Under which id it takes a run that is about to be made; None when it does not."""

    def take_new(self, run: Run, graph: PipelineGraph) -> None:
        """Take up a run that was made under an offer, and committed."""


@dataclass(frozen=True, slots=True)
class MadeRun:
    """A run as it was stored, and who takes it up."""

    run: Run
    is_new: bool
    graph: PipelineGraph | None
    owner: ServerId | None


class NewRuns:
    """Makes runs."""

    def __init__(
        self,
        database: Database,
        graphs: Graphs,
        taker: Taker | None = None,
        *,
        caching: CacheDefaults = NO_CACHE_DEFAULTS,
        has_content: HasContent = anything,
        makes_volumes: bool = False,
    ) -> None:
        """`taker`: this process's own engine, so that a new run need not be claimed and read back.

        `makes_volumes`: steps that make and delete volume claims can be run.
        """
        self._makes_volumes = makes_volumes
        self._database = database
        self._graphs = graphs
        self._taker = taker
        self._caching = caching
        self._has_content = has_content
        self._announcements = Announcements(database, runs.announce)

    async def create_run(self, request: NewRunRequest, *, validate_only: bool = False) -> tuple[Run, bool]:
        """The new run, PENDING, or the one that the same request made before; whether it is new.

        With `validate_only` everything is checked and answered, and nothing is made. Raises NotFound
        (NAMESPACE_NOT_FOUND, EXPERIMENT_NOT_FOUND, PIPELINE_VERSION_NOT_FOUND), FailedPrecondition
        (EXPERIMENT_ARCHIVED), AlreadyExists (RUN_EXISTS, REQUEST_ID_REUSED), and what the checks of specs
        and parameters raise.
        """
        given = await self._inline_spec(request.source)
        if given is not None:
            given = _checked(given, request)
        if validate_only:
            made = await self._tried(request, given)
            return made.run, made.is_new
        async with self._database.writing(deadline_s=request.call_deadline_s) as connection:
            made = await self._create(connection, request, given)
        self.hand_on(made)
        return made.run, made.is_new

    async def make(self, connection: Connection, request: NewRunRequest) -> MadeRun:
        """Store a run whose source is stored, in a transaction of the caller's, who calls `hand_on` after the commit.

        Raises what `create_run` raises.
        """
        return await self._create(connection, request, None)

    def hand_on(self, made: MadeRun) -> None:
        """A new run that is committed goes to the engine of this process that has offered itself, or is told of to
        all."""
        if not made.is_new:
            return
        if made.owner is None:
            self._announcements.tell(made.run.uid)
        elif self._taker is not None and made.graph is not None:
            self._taker.take_new(made.run, made.graph)

    async def check(self, connection: Connection, request: NewRunRequest) -> None:
        """Raise what `make` would raise for the source and for the parameters. Nothing is made."""
        await self._stored_spec(connection, request)

    async def keep_spec(self, connection: Connection, source: InlineSpec) -> StoredSpec:
        """Store a spec that no run executes yet."""
        check_supported(source.graph, volumes=self._makes_volumes)
        await specs.insert(connection, source.digest, source.canonical)
        return StoredSpec(source.digest, None, None)

    async def rerun(self, request: RerunRequest, *, validate_only: bool = False) -> tuple[Run, Forecast | None]:
        """The new run, or the one that the same request made before; with `validate_only` what it would reuse.

        Raises NotFound(RUN_NOT_FOUND), and what `create_run` raises.
        """
        async with self._database.connection(deadline_s=request.call_deadline_s) as connection:
            try:
                old = await runs.get(connection, request.namespace, request.rerun_of)
            except NotFound:
                # A repeat answers as the first time, also when the old run is gone by now.
                key = request.request
                repeated = await runs.find_repeat(connection, request.namespace, key) if key is not None else None
                if repeated is None:
                    raise
                return repeated, None
        wanted = _repeating(old, request)
        if not validate_only:
            run, _is_new = await self.create_run(wanted)
            return run, None
        made = await self._tried(wanted, None)
        return made.run, None if made.graph is None else await self._forecast(made.run, made.graph, old)

    async def _forecast(self, run: Run, graph: PipelineGraph, old: Run) -> Forecast:
        async with self._database.connection() as connection:
            found = await tasks.all_of_run(connection, old.uid)
        live = new_live_run(run, graph, fence=0, launcher="")

        def foresee() -> Forecast:
            live.reusable = reusable(old, found, self._has_content)
            return forecast(live)

        return await asyncio.to_thread(foresee)

    async def _inline_spec(self, source: RunSource) -> _Spec | None:
        """What the request brings along; None when it names what is stored."""
        if isinstance(source, VersionSource | StoredSpec):
            return None
        if isinstance(source, InlineSpec):
            check_supported(source.graph, volumes=self._makes_volumes)
            if self._graphs.get(source.digest) is None:
                self._graphs.put(source.digest, source.graph)
            return _Spec(source.digest, source.graph, source.canonical)
        canonical = documents.canonical(source)
        digest = documents.digest(canonical)
        graph = self._graphs.get(digest)
        if graph is None:
            graph = await _compile(source, len(canonical))
            self._graphs.put(digest, graph)
        check_supported(graph, volumes=self._makes_volumes)
        return _Spec(digest, graph, canonical)

    async def _stored_spec(self, connection: Connection, request: NewRunRequest) -> _Spec:
        """What the request names, checked against its parameters, with their macros written out."""
        source = request.source
        if isinstance(source, StoredSpec):
            spec = await self._of_run(connection, source)
        else:
            assert isinstance(source, VersionSource)
            spec = await self._of_version(connection, request.namespace, source)
        check_supported(spec.graph, volumes=self._makes_volumes)
        return _checked(spec, request)

    async def _of_run(self, connection: Connection, source: StoredSpec) -> _Spec:
        graph = await self._compiled(connection, source.digest)
        return _Spec(source.digest, graph, None, source.pipeline_id, source.pipeline_version, source.pipeline_namespace)

    async def _of_version(self, connection: Connection, namespace: str, source: VersionSource) -> _Spec:
        version = await pipeline_versions.get(
            connection, source.namespace or namespace, source.pipeline_id, number=source.number, alias=source.alias
        )
        graph = await self._compiled(connection, version.spec_digest)
        caching = CacheDefaults(version.cache_policy, version.cache_max_age_s)
        return _Spec(version.spec_digest, graph, None, source.pipeline_id, version.number, source.namespace, caching)

    async def _compiled(self, connection: Connection, digest: str) -> PipelineGraph:
        graph = self._graphs.get(digest)
        return graph if graph is not None else self._graphs.compiled(digest, await specs.get(connection, digest))

    async def _tried(self, request: NewRunRequest, given: _Spec | None) -> MadeRun:
        """What would be made."""
        try:
            async with self._database.transaction(deadline_s=request.call_deadline_s) as connection:
                raise _NothingMade(await self._create(connection, request, given))
        except _NothingMade as answer:
            return answer.made

    async def _create(self, connection: Connection, request: NewRunRequest, given: _Spec | None) -> MadeRun:
        try:
            spec = given or await self._stored_spec(connection, request)
        except PenstockError:
            # A repeat answers as the first time, whatever has changed since; then comes what is wrong around the spec.
            key = request.request
            repeated = await runs.find_repeat(connection, request.namespace, key) if key is not None else None
            if repeated is not None:
                return MadeRun(repeated, is_new=False, graph=None, owner=None)
            await experiments.get_open(connection, request.namespace, request.experiment_id)
            raise
        # A run that repeats another one is claimed instead: whoever does that reads the other one's results.
        owner = self._taker.offer() if self._taker is not None and request.rerun_of is None else None
        new = self._new_run(request, spec)
        made = await runs.insert(connection, new, request.request, owner=owner)
        return MadeRun(made.run, made.is_new, spec.graph, made.owner)

    def _new_run(self, request: NewRunRequest, spec: _Spec) -> runs.NewRun:
        caching = _caching(request, spec.caching, self._caching)
        origin, facts = request.origin, _facts(request)
        return runs.NewRun(
            uid=RunUid(uuid.uuid4() if facts is None else uuid.UUID(facts.run_uid)),
            namespace=request.namespace,
            id=request.run_id,
            experiment_id=request.experiment_id,
            pipeline_namespace=spec.pipeline_namespace,
            pipeline_id=spec.pipeline_id,
            pipeline_version=spec.pipeline_version,
            spec_digest=spec.digest,
            document=spec.document,
            display_name=request.display_name or request.run_id,
            description=request.description,
            labels=request.labels,
            parameters=spec.parameters,
            cache_policy=caching.policy,
            deadline_s=request.deadline_s,
            artifact_root=request.artifact_root,
            reason=WAITING_FOR_ENGINE,
            message="",
            traceparent=request.traceparent,
            root_display_name=spec.graph.display_name or spec.graph.name,
            priority=request.priority,
            max_parallel_tasks=request.max_parallel_tasks,
            task_timeout_s=request.task_timeout_s,
            queue_timeout_s=request.queue_timeout_s,
            cache_max_age_s=caching.max_age_s,
            rerun_of=request.rerun_of,
            job_uid=None if origin is None else origin.job_uid,
            job_id=None if origin is None else origin.job_id,
            slot_time=None if origin is None else origin.slot_time,
            backfill_uid=None if origin is None else origin.backfill_uid,
        )


def _checked(spec: _Spec, request: NewRunRequest) -> _Spec:
    """The spec with the parameters that it is given. Raises InvalidArgument."""
    parameters = _parameters(request, spec.graph)
    check_parameters(spec.graph, parameters, request.parameters_field)
    return replace(spec, parameters=parameters)


def _parameters(request: NewRunRequest, graph: PipelineGraph) -> Mapping[str, Json]:
    """The parameters, with macros written out where there is something to write."""
    facts = _facts(request)
    if facts is None:
        return request.parameters
    declared = graph.root.input_parameters
    numeric = frozenset(name for name, parameter in declared.items() if parameter.type in _NUMBERS)
    return expand(request.parameters, facts, numeric=numeric)


def _facts(request: NewRunRequest) -> SlotFacts | None:
    return request.facts if request.origin is None else request.origin.facts


class _NothingMade(Exception):  # an answer that rolls the transaction back
    def __init__(self, made: MadeRun) -> None:
        super().__init__()
        self.made = made


async def _compile(source: Document, size_bytes: int) -> PipelineGraph:
    if size_bytes < COMPILE_ASIDE_BYTES:
        return compile_pipeline(source)
    return await asyncio.to_thread(compile_pipeline, source)


def _caching(request: NewRunRequest, version: CacheDefaults, server: CacheDefaults) -> CacheDefaults:
    """What the run says, else its version, else the server. A version's DEFAULT leaves it to the server."""
    policy = request.cache_policy
    if policy is None:
        policy = server.policy if version.policy is CachePolicy.DEFAULT else version.policy
    ages = (request.cache_max_age_s, version.max_age_s, server.max_age_s)
    return CacheDefaults(policy, next((age for age in ages if age is not None), None))


def _repeating(old: Run, request: RerunRequest) -> NewRunRequest:
    """All that the old run was asked to do, but for what is to change."""
    kept = {name: value for name, value in old.parameters.items() if name not in request.unset_parameters}
    return NewRunRequest(
        namespace=old.namespace,
        run_id=request.run_id,
        source=request.source
        or StoredSpec(old.spec_digest, old.pipeline_id, old.pipeline_version, old.pipeline_namespace),
        experiment_id=old.experiment_id,
        display_name=request.display_name or old.display_name,
        description=old.description,
        labels=old.labels,
        parameters=kept | dict(request.parameters),
        cache_policy=old.cache_policy,
        cache_max_age_s=old.cache_max_age_s,
        deadline_s=old.deadline_s,
        priority=old.priority,
        max_parallel_tasks=old.max_parallel_tasks,
        task_timeout_s=old.task_timeout_s,
        queue_timeout_s=old.queue_timeout_s,
        artifact_root=old.artifact_root,
        traceparent=request.traceparent,
        rerun_of=old.uid,
        request=request.request,
        call_deadline_s=request.call_deadline_s,
    )
