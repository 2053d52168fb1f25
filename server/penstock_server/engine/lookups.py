"""Looks through the results of earlier runs, for all tasks that ask at about the same time at once."""

import asyncio
import logging
from collections.abc import Mapping

from penstock_server.engine.effects import LookUpCache
from penstock_server.engine.inputs import CacheAnswered, CacheHit
from penstock_server.engine.owned import OwnedRuns
from penstock_server.engine.results import HasContent, missing
from penstock_server.engine.state import LiveRun
from penstock_server.launch.base import EarlierStep, Launcher
from penstock_server.model.errors import PenstockError
from penstock_server.model.resources import TaskValues
from penstock_server.spec.caching import differences
from penstock_server.store import tasks
from penstock_server.store.database import Database
from penstock_server.store.tasks import CachedTask, EarlierTask, Wanted

DIFFERENCES_MAX = 3
"""So many are told."""

_log = logging.getLogger(__name__)


class Lookups:
    """Gathers questions while one query is under way, and asks them with the next."""

    def __init__(self, database: Database, owned: OwnedRuns, launcher: Launcher, has_content: HasContent) -> None:
        self._database = database
        self._launcher = launcher
        self._has_content = has_content
        self._owned = owned
        self._asked: list[tuple[LiveRun, LookUpCache]] = []
        self._awake = asyncio.Event()

    def ask(self, run: LiveRun, ask: LookUpCache) -> None:
        """Answer with `CacheAnswered`."""
        self._asked.append((run, ask))
        self._awake.set()

    async def work(self) -> None:
        """Answer, until cancelled."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            asked, self._asked = self._asked, []
            by_namespace: dict[str, list[tuple[LiveRun, LookUpCache]]] = {}
            for run, ask in asked:
                by_namespace.setdefault(run.record.namespace, []).append((run, ask))
            for namespace, questions in by_namespace.items():
                await self._answer(namespace, questions)

    async def _answer(self, namespace: str, questions: list[tuple[LiveRun, LookUpCache]]) -> None:
        wanted = {Wanted(ask.cache_key, ask.step_key) for _, ask in questions}
        try:
            async with self._database.connection() as connection:
                found = await tasks.find_cached(connection, namespace, wanted)
            lost = {**await self._undone(questions, found), **await self._gone(found)}
        except PenstockError as error:
            _log.warning("cache not looked up, the runs are loaded again", extra={"reason": error.reason})
            for run, _ in questions:
                self._owned.reload(run)
            return
        for run, ask in questions:
            asked = Wanted(ask.cache_key, ask.step_key)
            hit, note = self._judged(run, ask, found.get(asked), lost.get(asked))
            self._owned.post(run, CacheAnswered(ask.task_id, hit, note))

    async def _gone(self, found: Mapping[Wanted, CachedTask | EarlierTask]) -> Mapping[Wanted, str]:
        """Why what was found is of no use: an artifact is there no more. The store may take a while to answer."""
        hits = {key: task.outputs for key, task in found.items() if isinstance(task, CachedTask)}
        made = {key: outputs for key, outputs in hits.items() if outputs.artifacts}

        def look() -> dict[Wanted, str]:
            names = {key: missing(outputs, self._has_content) for key, outputs in made.items()}
            return {
                key: f"the artifact {name} of {_source(found[key])} exists no more"
                for key, name in names.items()
                if name
            }

        return await asyncio.to_thread(look) if made else {}

    async def _undone(
        self, questions: list[tuple[LiveRun, LookUpCache]], found: Mapping[Wanted, CachedTask | EarlierTask]
    ) -> Mapping[Wanted, str]:
        """Why what was found is of no use: what the step has brought about is so no more, as the launcher sees it."""
        undone: dict[Wanted, str] = {}
        for run, ask in questions:
            asked = Wanted(ask.cache_key, ask.step_key)
            earlier, task = found.get(asked), run.tasks[ask.task_id]
            if isinstance(earlier, CachedTask):
                inputs = task.inputs or TaskValues()
                step = EarlierStep(run.record.namespace, task.component, inputs, earlier.outputs)
                if not await self._launcher.still_so(step):
                    undone[asked] = f"what {_source(earlier)} has made, or deleted, is so no more"
        return undone

    def _judged(
        self, run: LiveRun, ask: LookUpCache, found: CachedTask | EarlierTask | None, lost: str | None
    ) -> tuple[CacheHit | None, str]:
        """What was found, or why it is of no use: for one, `lost`."""
        if found is None:
            return None, "no earlier run of this step has succeeded"
        source = _source(found)
        if isinstance(found, EarlierTask):
            return None, f"differs from {source}: {_difference(run, ask, found)}"
        if ask.max_age_s is not None and found.age_s > ask.max_age_s:
            return None, f"the result of {source} is {found.age_s:,.0f} s old, and may be {ask.max_age_s:,g} s"
        if lost is not None:
            return None, lost
        return CacheHit(found.run_uid, found.id, found.outputs, found.run_id), ""


def _source(found: CachedTask | EarlierTask) -> str:
    return f"run {found.run_id} task {found.id}"


def _difference(run: LiveRun, ask: LookUpCache, earlier: EarlierTask) -> str:
    """What differs between the task and an earlier one of the same step."""
    task = run.tasks[ask.task_id]
    inputs = task.inputs or TaskValues()
    claims = task.settings.claims if task.settings is not None else ()
    found = differences(task.component, task.place, inputs, earlier.inputs, earlier.result_key, claims)
    if not found:
        return "the key that it is cached under has changed"
    more = f"; and {len(found) - DIFFERENCES_MAX} more" if len(found) > DIFFERENCES_MAX else ""
    return "; ".join(found[:DIFFERENCES_MAX]) + more
