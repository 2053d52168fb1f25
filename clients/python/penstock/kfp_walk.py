"""Takes over all that a KFP installation holds: experiments, pipelines with their versions, schedules, runs.

Nothing is remembered between two walks but what the server has: it knows each resource by KFP's id, so that a walk
that was cut off is begun again and finds what the one before has made. Schedules come before runs, which name them.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Protocol

from penstock.errors import PenstockError
from penstock.kfp_host import KfpHost, KfpHostError, Listed, Resource
from penstock.kfp_imports import BlockingKfpImports
from penstock.kfp_results import Choice, Kind, Outcome, Result

PAGE_SIZE = 100
SPEC_PAGE_SIZE = 20
"""Of pages whose items hold whole specs."""
RUN_PAGE_SIZE = 50
SPECS_KEPT = 16
NO_EXPERIMENT = "EXPERIMENT_NOT_IMPORTED"
_OF_ONE = frozenset(
    {"INVALID_ARGUMENT", "ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"}
)
"""Codes that say something of the one resource, and not of the server."""
_OF_ALL = frozenset({"NAMESPACE_NOT_FOUND"})
_GONE = frozenset({400, 404})


class _Answer(Protocol):
    """A response of the server."""

    @property
    def name(self) -> str: ...
    @property
    def is_new(self) -> bool: ...
    @property
    def notes(self) -> Iterable[str]: ...


class KfpWalk:
    """One walk."""

    def __init__(self, host: KfpHost, imports: BlockingKfpImports, choice: Choice) -> None:
        self._host = host
        self._imports = imports
        self._choice = choice
        self._experiments: dict[str, str] = {}
        """Ours by KFP's ids; empty for one that is not here."""
        self._pipelines: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._spec = lru_cache(SPECS_KEPT)(self._read_spec)

    def results(self) -> Iterator[Result]:
        """What becomes of each resource, as it does. Raises KfpHostError, PenstockError."""
        yield from self._chosen(Kind.EXPERIMENTS, self._walk_experiments())
        yield from self._chosen(Kind.PIPELINES, self._walk_pipelines())
        if Kind.SCHEDULES in self._choice.kinds:
            yield from self._walk_schedules()
        if Kind.RUNS in self._choice.kinds:
            yield from self._walk_runs()

    def _chosen(self, kind: Kind, results: Iterator[Result]) -> Iterator[Result]:
        """The results, if the kind was chosen. If not, it is looked up what is here: runs and schedules name it."""
        for result in results:
            if kind in self._choice.kinds:
                yield result

    def _walk_experiments(self) -> Iterator[Result]:
        tried = self._only_tried(Kind.EXPERIMENTS)
        for listed in self._pages("experiments", "experiments", PAGE_SIZE):
            result = _result(Kind.EXPERIMENTS, listed, partial(self._imports.experiment, validate_only=tried))
            self._experiments[result.id] = self._here(Kind.EXPERIMENTS, result)
            yield result

    def _walk_pipelines(self) -> Iterator[Result]:
        tried = self._only_tried(Kind.PIPELINES)
        for listed in self._all_pipelines():
            result = _result(Kind.PIPELINES, listed, partial(self._imports.pipeline, validate_only=tried))
            self._pipelines[result.id] = self._here(Kind.PIPELINES, result)
            yield result
            if result.name:
                yield from self._walk_versions(result, tried)

    def _all_pipelines(self) -> Iterator[Listed]:
        """Those of the namespace, and then those that all namespaces share."""
        seen: set[str] = set()
        for namespace in dict.fromkeys((self._choice.kfp_namespace, "")):
            for listed in self._host.pages("pipelines", "pipelines", page_size=PAGE_SIZE, namespace=namespace):
                id = _text(listed.item, "pipeline_id")
                if id not in seen:
                    seen.add(id)
                    yield listed

    def _walk_versions(self, pipeline: Result, tried: bool) -> Iterator[Result]:
        path = f"pipelines/{pipeline.id}/versions"
        take = partial(self._imports.pipeline_version, pipeline.name, validate_only=tried)
        for listed in self._host.pages(path, "pipeline_versions", page_size=SPEC_PAGE_SIZE):
            result = _result(Kind.VERSIONS, listed, take, f"{pipeline.title} / ")
            self._versions[result.id] = self._here(Kind.PIPELINES, result)
            yield result

    def _walk_schedules(self) -> Iterator[Result]:
        for listed in self._pages("recurringruns", "recurringRuns", SPEC_PAGE_SIZE):
            yield self._grouped(Kind.SCHEDULES, listed, self._take_schedule)

    def _walk_runs(self) -> Iterator[Result]:
        for listed in self._pages("runs", "runs", RUN_PAGE_SIZE):
            yield self._grouped(Kind.RUNS, listed, self._take_run)

    def _grouped(self, kind: Kind, listed: Listed, take: Callable[[Resource], _Answer]) -> Result:
        """What becomes of a resource that belongs to an experiment."""
        experiment = _text(listed.item, "experiment_id")
        if self._experiments.get(experiment, "there") == "":
            told = "its experiment is not here; import experiments too"
            return _told(kind, listed, Outcome.LEFT_OUT, reason=NO_EXPERIMENT, notes=(told,))
        result = _result(kind, listed, take)
        if experiment and experiment not in self._experiments and result.outcome is Outcome.MADE:
            note = "its experiment is gone in KFP; it is in the default experiment"
            return _told(kind, listed, result.outcome, name=result.name, notes=(*result.notes, note))
        return result

    def _take_schedule(self, item: Resource) -> _Answer:
        return self._imports.recurring_run(
            item,
            experiment=self._experiments.get(_text(item, "experiment_id"), ""),
            pipeline_version=self._executed_by_schedule(item),
            enable=self._choice.enable_schedules,
            validate_only=self._choice.dry_run,
        )

    def _take_run(self, item: Resource) -> _Answer:
        if "run_details" not in item:
            # A page may lack room for the tasks of all its runs.
            item = self._host.get("runs", _text(item, "run_id"))
        version = self._versions.get(_version_id(item), "")
        return self._imports.run(
            item,
            self._host.url,
            experiment=self._experiments.get(_text(item, "experiment_id"), ""),
            pipeline_version=version,
            pipeline_spec=None if version or "pipeline_spec" in item else self._spec(*_reference(item)),
            validate_only=self._choice.dry_run,
        )

    def _executed_by_schedule(self, item: Resource) -> str:
        """Ours; without a version the newest is meant."""
        pipeline_id, version_id = _reference(item)
        if version_id:
            return self._versions.get(version_id, "")
        pipeline = self._pipelines.get(pipeline_id, "")
        return f"{pipeline}/versions/latest" if pipeline else ""

    def _read_spec(self, pipeline_id: str, version_id: str) -> Resource | None:
        """What a version that is not here executes, as far as KFP has it still."""
        if not (pipeline_id and version_id):
            return None
        try:
            spec = self._host.get("pipelines", pipeline_id, "versions", version_id).get("pipeline_spec")
        except KfpHostError as error:
            if error.status not in _GONE:
                raise
            return None
        return spec if isinstance(spec, dict) else None

    def _pages(self, path: str, items: str, page_size: int) -> Iterator[Listed]:
        return self._host.pages(path, items, page_size=page_size, namespace=self._choice.kfp_namespace)

    def _only_tried(self, kind: Kind) -> bool:
        return self._choice.dry_run or kind not in self._choice.kinds

    def _here(self, kind: Kind, result: Result) -> str:
        """Our name for what is here, or would be after a dry run."""
        is_made = result.outcome is Outcome.THERE or kind in self._choice.kinds
        return result.name if is_made else ""


_IDS = {
    Kind.EXPERIMENTS: "experiment_id",
    Kind.PIPELINES: "pipeline_id",
    Kind.VERSIONS: "pipeline_version_id",
    Kind.SCHEDULES: "recurring_run_id",
    Kind.RUNS: "run_id",
}


def _result(kind: Kind, listed: Listed, take: Callable[[Resource], _Answer], within: str = "") -> Result:
    """Take it over. Raises PenstockError for what says nothing of this one resource."""
    try:
        answer = take(listed.item)
    except PenstockError as error:
        if error.code.name not in _OF_ONE or error.reason in _OF_ALL:
            raise
        why = (error.message, *(f"{each.field}: {each.description}" for each in error.violations[1:]))
        return _told(kind, listed, Outcome.LEFT_OUT, within, reason=error.reason or error.code.name, notes=why)
    outcome = Outcome.MADE if answer.is_new else Outcome.THERE
    return _told(kind, listed, outcome, within, name=answer.name, notes=tuple(answer.notes))


def _told(
    kind: Kind,
    listed: Listed,
    outcome: Outcome,
    within: str = "",
    *,
    name: str = "",
    reason: str = "",
    notes: tuple[str, ...] = (),
) -> Result:
    item = listed.item
    title = within + (_text(item, "display_name") or _text(item, "name"))
    return Result(kind, _text(item, _IDS[kind]), title, outcome, name, reason, notes, listed.total)


def _reference(item: Resource) -> tuple[str, str]:
    """KFP's ids of the pipeline and the version that something executes."""
    reference = item.get("pipeline_version_reference")
    told = reference if isinstance(reference, dict) else {}
    return _text(told, "pipeline_id"), _text(told, "pipeline_version_id") or _text(item, "pipeline_version_id")


def _version_id(item: Resource) -> str:
    return _reference(item)[1]


def _text(item: Resource, name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""
