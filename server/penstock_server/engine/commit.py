"""Group commit: what was decided for all runs goes to the database in one transaction after the other.

While one transaction is in flight the next one gathers. Changes that nobody waits for linger a little, so
that they ride along with urgent ones: the end of a step and the start of the next are one commit.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from penstock_server.engine.effects import Decisions, Effect
from penstock_server.engine.observer import EngineObserver
from penstock_server.engine.state import LiveRun
from penstock_server.model.changes import Change, RunChanges
from penstock_server.model.errors import Internal, PenstockError
from penstock_server.model.ids import RunUid

_log = logging.getLogger(__name__)

Write = Callable[[Sequence[RunChanges]], Awaitable[frozenset[RunUid]]]
"""Writes a batch in one transaction; returns the runs it refused: another's by now, or elsewhere than thought."""


class Outcomes(Protocol):
    """Who is told how a commit went."""

    def committed(self, run: LiveRun, effects: list[Effect]) -> None:
        """The run's changes are durable: its effects may happen."""

    def refused(self, run: LiveRun) -> None:
        """Nothing of the run was written: it is somebody else's by now, or elsewhere than thought."""

    def unknown(self, run: LiveRun, *, fault: bool) -> None:
        """Nobody knows whether the run's changes are durable; `fault`: they broke a rule of the store."""


@dataclass(slots=True)
class _Gathered:
    changes: list[Change] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)


class Committer:
    """Gathers decisions and writes them, one transaction at a time."""

    def __init__(self, write: Write, outcomes: Outcomes, observer: EngineObserver, *, linger_s: float) -> None:
        self._write = write
        self._outcomes = outcomes
        self._observer = observer
        self._linger_s = linger_s
        self._gathering: dict[LiveRun, _Gathered] = {}
        self._due = asyncio.Event()
        self._lingering: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, run: LiveRun, decisions: Decisions) -> None:
        """Write the changes with the next transaction, then let the effects happen."""
        if not decisions.changes and not decisions.effects:
            return
        gathered = self._gathering.get(run)
        if gathered is None:
            gathered = self._gathering[run] = _Gathered()
        gathered.changes += decisions.changes
        gathered.effects += decisions.effects
        self._idle.clear()
        if any(effect.urgent for effect in decisions.effects):
            self._due.set()
        elif self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(self._linger_s, self._due.set)

    def drop(self, run: LiveRun) -> None:
        """Forget what was gathered for the run."""
        self._gathering.pop(run, None)

    async def flush(self) -> None:
        """Write all that has been gathered, without lingering, and wait for it."""
        self._due.set()
        await self._idle.wait()

    async def work(self) -> None:
        """Write one batch after the other, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            self._stop_lingering()
            batch, self._gathering = self._gathering, {}
            if batch:
                await self._commit(batch)
            if not self._gathering:
                self._idle.set()

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    async def _commit(self, batch: dict[LiveRun, _Gathered]) -> None:
        try:
            refused = await self._write_together(batch)
        except Internal as error:
            await self._commit_apart(batch, error)
        except PenstockError as error:
            self._give_up(batch, error)
        except Exception as error:
            # Whatever broke, the database knows how far it came; the other runs have to go on.
            _log.exception("commit broke")
            await self._commit_apart(batch, Internal("COMMIT_BROKE", str(error)))
        else:
            self._tell(batch, refused)

    async def _commit_apart(self, batch: dict[LiveRun, _Gathered], error: Internal) -> None:
        """A batch that the store found wrong wrote nothing: let only the wrong run pay for it."""
        if len(batch) == 1:
            self._give_up(batch, error)
            return
        for run, gathered in batch.items():
            await self._commit({run: gathered})

    async def _write_together(self, batch: dict[LiveRun, _Gathered]) -> frozenset[RunUid]:
        written = [
            RunChanges(run.uid, run.fence, run.event_sequence, tuple(gathered.changes))
            for run, gathered in batch.items()
            if gathered.changes
        ]
        if not written:
            return frozenset()
        start = time.perf_counter()
        refused = await self._write(written)
        count = sum(len(changes.changes) for changes in written)
        self._observer.committed(len(written), count, time.perf_counter() - start)
        return refused

    def _tell(self, batch: dict[LiveRun, _Gathered], refused: frozenset[RunUid]) -> None:
        for run, gathered in batch.items():
            if run.uid in refused:
                self._gathering.pop(run, None)
                self._outcomes.refused(run)
            else:
                run.event_sequence += len(gathered.changes)
                self._outcomes.committed(run, gathered.effects)

    def _give_up(self, batch: dict[LiveRun, _Gathered], error: PenstockError) -> None:
        fault = isinstance(error, Internal)
        _log.log(
            logging.ERROR if fault else logging.WARNING,
            "commit failed, its runs are loaded again",
            extra={"runs": len(batch), "reason": error.reason, "error": error.message},
        )
        self._observer.commit_failed(len(batch), error.reason)
        for run in batch:
            self._gathering.pop(run, None)
            self._outcomes.unknown(run, fault=fault)
