"""Takes over all that a KFP installation holds: experiments, pipelines with their versions, schedules, runs.

Nothing is remembered between two walks but what the server has: it knows each resource by KFP's id, so that a walk
that was cut off is begun again and finds what the one before has made. Schedules come before runs, which name them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice

from penstock.kfp_host import KfpHost, KfpHostError, Listed, Resource
from penstock.kfp_imports import BlockingKfpImports
from penstock.kfp_items import Answer, batches, id_of, reference, result_of, text, told, uuids
from penstock.kfp_results import Choice, ElsewhereError, Kind, Outcome, Result

PAGE_SIZE = 100
SPEC_PAGE_SIZE = 20
"""Of pages whose items hold whole specs."""
RUN_PAGE_SIZE = 50
SPECS_KEPT = 16
NO_EXPERIMENT = "EXPERIMENT_NOT_IMPORTED"
NO_VERSION = "PIPELINE_VERSION_NOT_IMPORTED"
LOST_VERSION = "PIPELINE_VERSION_NOT_FOUND"
_GONE = frozenset({400, 404})
_LISTS = {
    Kind.EXPERIMENTS: ("experiments", "experiments", PAGE_SIZE),
    Kind.SCHEDULES: ("recurringruns", "recurringRuns", SPEC_PAGE_SIZE),
    Kind.RUNS: ("runs", "runs", RUN_PAGE_SIZE),
}
"""Of what belongs to one namespace of KFP: path, field and size of a page."""


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
        """What becomes of each resource, as it does. Raises KfpHostError, PenstockError, ElsewhereError."""
        for kind in _LISTS:
            if kind in self._choice.kinds:
                self._check_place(kind)
        yield from self._chosen(Kind.EXPERIMENTS, self._walk_experiments())
        yield from self._chosen(Kind.PIPELINES, self._walk_pipelines())
        if Kind.SCHEDULES in self._choice.kinds:
            yield from self._walk_schedules()
        if Kind.RUNS in self._choice.kinds:
            yield from self._walk_runs()

    def _check_place(self, kind: Kind) -> None:
        """An installation goes into one namespace of a server, since an id is there once.

        The oldest come first, so that an earlier import has brought what is on the first page before all others.
        """
        page = list(islice(self._pages(kind), SPEC_PAGE_SIZE))
        ids = uuids(kind, page)
        found = dict(self._imports.find(ids).elsewhere) if ids else {}
        for listed in page:
            name = found.get(id_of(kind, listed.item))
            if name is not None:
                raise ElsewhereError(_elsewhere(self._host.url, kind, listed, name))

    def _chosen(self, kind: Kind, results: Iterator[Result]) -> Iterator[Result]:
        """The results, if the kind was chosen. If not, it is looked up what is here: runs and schedules name it."""
        for result in results:
            if kind in self._choice.kinds:
                yield result

    def _walk_experiments(self) -> Iterator[Result]:
        take = partial(self._imports.experiment, validate_only=self._only_tried(Kind.EXPERIMENTS))
        for listed, name in self._looked_up(Kind.EXPERIMENTS, self._pages(Kind.EXPERIMENTS), PAGE_SIZE):
            result = result_of(Kind.EXPERIMENTS, listed, name, take)
            self._experiments[result.id] = self._here(Kind.EXPERIMENTS, result)
            yield result

    def _walk_pipelines(self) -> Iterator[Result]:
        tried = self._only_tried(Kind.PIPELINES)
        take = partial(self._imports.pipeline, validate_only=tried)
        for listed, name in self._looked_up(Kind.PIPELINES, self._all_pipelines(), PAGE_SIZE):
            result = result_of(Kind.PIPELINES, listed, name, take)
            self._pipelines[result.id] = self._here(Kind.PIPELINES, result)
            yield result
            if result.name:
                yield from self._walk_versions(result, tried)

    def _all_pipelines(self) -> Iterator[Listed]:
        """Those of the namespace, and then those that all namespaces share."""
        seen: set[str] = set()
        for namespace in dict.fromkeys((self._choice.kfp_namespace, "")):
            for listed in self._host.pages("pipelines", "pipelines", page_size=PAGE_SIZE, namespace=namespace):
                id = text(listed.item, "pipeline_id")
                if id not in seen:
                    seen.add(id)
                    yield listed

    def _walk_versions(self, pipeline: Result, tried: bool) -> Iterator[Result]:
        pages = self._host.pages(f"pipelines/{pipeline.id}/versions", "pipeline_versions", page_size=SPEC_PAGE_SIZE)
        take = partial(self._imports.pipeline_version, pipeline.name, validate_only=tried)
        for listed, name in self._looked_up(Kind.VERSIONS, pages, SPEC_PAGE_SIZE):
            result = result_of(Kind.VERSIONS, listed, name, take, f"{pipeline.title} / ")
            self._versions[result.id] = self._here(Kind.PIPELINES, result)
            yield result

    def _walk_schedules(self) -> Iterator[Result]:
        for listed, name in self._looked_up(Kind.SCHEDULES, self._pages(Kind.SCHEDULES), SPEC_PAGE_SIZE):
            lost = None if name else self._lacks_version(listed)
            here = "" if self._choice.enable_schedules else name
            yield lost or self._grouped(Kind.SCHEDULES, listed, here, self._take_schedule)

    def _walk_runs(self) -> Iterator[Result]:
        for listed, name in self._looked_up(Kind.RUNS, self._pages(Kind.RUNS), RUN_PAGE_SIZE):
            yield self._grouped(Kind.RUNS, listed, name, self._take_run)

    def _looked_up(self, kind: Kind, pages: Iterable[Listed], size: int) -> Iterator[tuple[Listed, str]]:
        """The items, each with our name for it if it is here already: those need not be sent."""
        for batch in batches(pages, size):
            ids = uuids(kind, batch)
            names = dict(self._imports.find(ids).names) if ids else {}
            for listed in batch:
                yield listed, names.get(id_of(kind, listed.item), "")

    def _lacks_version(self, listed: Listed) -> Result | None:
        """What is left out since nothing is here that it would execute."""
        if "pipeline_spec" in listed.item or self._executed_by_schedule(listed.item):
            return None
        pipeline_id, version_id = reference(listed.item)
        if version_id in self._versions or self._pipelines.get(pipeline_id) == "":
            note = "the pipeline version that it executes is not here: it was left out, or pipelines were not imported"
            return told(Kind.SCHEDULES, listed, Outcome.LEFT_OUT, reason=NO_VERSION, notes=(note,))
        note = "the pipeline version that it executes is gone in KFP: there it cannot run either"
        return told(Kind.SCHEDULES, listed, Outcome.LEFT_OUT, reason=LOST_VERSION, notes=(note,))

    def _grouped(self, kind: Kind, listed: Listed, name: str, take: Callable[[Resource], Answer]) -> Result:
        """What becomes of a resource that belongs to an experiment."""
        experiment = text(listed.item, "experiment_id")
        if not name and self._experiments.get(experiment, "there") == "":
            note = "its experiment is not here; import experiments too"
            return told(kind, listed, Outcome.LEFT_OUT, reason=NO_EXPERIMENT, notes=(note,))
        result = result_of(kind, listed, name, take)
        if experiment and experiment not in self._experiments and result.outcome is Outcome.MADE:
            note = "its experiment is gone in KFP; it is in the default experiment"
            return replace(result, notes=(*result.notes, note))
        return result

    def _take_schedule(self, item: Resource) -> Answer:
        return self._imports.recurring_run(
            item,
            experiment=self._experiments.get(text(item, "experiment_id"), ""),
            pipeline_version=self._executed_by_schedule(item),
            enable=self._choice.enable_schedules,
            validate_only=self._choice.dry_run,
        )

    def _take_run(self, item: Resource) -> Answer:
        if "run_details" not in item:
            # A page may lack room for the tasks of all its runs.
            item = self._host.get("runs", text(item, "run_id"))
        version = self._versions.get(reference(item)[1], "")
        return self._imports.run(
            item,
            self._host.url,
            experiment=self._experiments.get(text(item, "experiment_id"), ""),
            pipeline_version=version,
            pipeline_spec=None if version or "pipeline_spec" in item else self._spec(*reference(item)),
            validate_only=self._choice.dry_run,
        )

    def _executed_by_schedule(self, item: Resource) -> str:
        """Ours; without a version the newest is meant."""
        pipeline_id, version_id = reference(item)
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

    def _pages(self, kind: Kind) -> Iterator[Listed]:
        path, items, page_size = _LISTS[kind]
        return self._host.pages(path, items, page_size=page_size, namespace=self._choice.kfp_namespace)

    def _only_tried(self, kind: Kind) -> bool:
        return self._choice.dry_run or kind not in self._choice.kinds

    def _here(self, kind: Kind, result: Result) -> str:
        """Our name for what is here, or would be after a dry run."""
        is_made = result.outcome is Outcome.THERE or kind in self._choice.kinds
        return result.name if is_made else ""


def _elsewhere(url: str, kind: Kind, listed: Listed, name: str) -> str:
    """What is wrong, and what to do."""
    found, namespace = told(kind, listed, Outcome.LEFT_OUT), name.split("/")[1]
    return (
        f"what {url} has was imported into namespace {namespace} before, and an id is on a server once: "
        f"{kind.removesuffix('s')} {found.title} ({found.id}) is {name}\n"
        f"import into that namespace (`penstock -n {namespace} import-kfp ...`), or delete there what came; "
        "pipelines alone can go into several (`--only pipelines`)"
    )
