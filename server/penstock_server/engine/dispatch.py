"""Asks the launcher for what was decided and committed, again and again if need be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from penstock_server.engine.effects import Adopt, Forget, Launch, Stop
from penstock_server.engine.inputs import LaunchRefused, PlanEvent
from penstock_server.engine.observer import EngineObserver
from penstock_server.engine.requested import RequestedSteps
from penstock_server.engine.state import LiveRun
from penstock_server.launch.base import Launcher, StepRequest
from penstock_server.model.ids import AttemptId, TaskId

_log = logging.getLogger(__name__)

LAUNCH_DELAYS_S = (0.2, 1.0, 3.0, 10.0)
"""Waits between tries to reach the launcher; after the last one the attempt counts as lost."""


class Ownership(Protocol):
    """What the dispatcher asks before it acts, and whom it tells."""

    def may_act(self, run: LiveRun) -> bool:
        """True while this server owns the run, as this object, under a lease that is surely valid."""

    def post(self, run: LiveRun, event: PlanEvent) -> None:
        """Something happened to the run."""

    def reload(self, run: LiveRun) -> None:
        """An effect could not happen: load the run again, so that it is derived anew."""


class Dispatcher:
    """Turns effects into calls of the launcher, each in a task of its own."""

    def __init__(
        self, launcher: Launcher, steps: RequestedSteps, ownership: Ownership, observer: EngineObserver
    ) -> None:
        self._launcher = launcher
        self._steps = steps
        self._ownership = ownership
        self._observer = observer
        self._tasks: set[asyncio.Task[None]] = set()
        self._launching: dict[AttemptId, asyncio.Task[None]] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._adopting: list[tuple[LiveRun, StepRequest]] = []
        self._forgetting: list[AttemptId] = []

    def launch(self, run: LiveRun, effect: Launch) -> None:
        """Ask for the attempt to be started."""
        attempt = AttemptId(run.uid, effect.task_id, effect.number)
        if attempt in self._launching:
            return
        self._observer.attempt_started(attempt, run.record)
        task = self._spawn(self._launch(run, attempt))
        self._launching[attempt] = task
        task.add_done_callback(lambda _: self._launching.pop(attempt, None))

    def adopt(self, run: LiveRun, effect: Adopt) -> None:
        """Ask what became of the attempt, together with all others asked about at about the same time."""
        attempt = AttemptId(run.uid, effect.task_id, effect.number)
        if not self._adopting:
            self._spawn(self._adopt())
        self._adopting.append((run, self._steps.request(run, attempt)))

    def stop(self, run: LiveRun, effect: Stop) -> None:
        """Ask for the attempt to be ended, after it was started if that is under way."""
        task = self._spawn(self._stop(AttemptId(run.uid, effect.task_id, effect.number)))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    def forget(self, run: LiveRun, effect: Forget) -> None:
        """Tell that the end is recorded, together with all others of the same turn of the loop."""
        if not self._forgetting:
            self._spawn(self._forget())
        self._forgetting.append(AttemptId(run.uid, effect.task_id, effect.number))

    async def settle(self, timeout_s: float) -> None:
        """Wait for all calls under way; those that take longer than `timeout_s` are ended."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        await self.close()

    async def close(self) -> None:
        """End all calls under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _launch(self, run: LiveRun, attempt: AttemptId) -> None:
        if not self._ownership.may_act(run):
            self._ownership.reload(run)
            return
        request = self._steps.request(run, attempt)
        error = await self._insist(lambda: self._launcher.launch(request), run, attempt)
        if error is not None:
            task = TaskId(attempt.task_id)
            self._ownership.post(run, LaunchRefused(task, attempt.number, f"the launcher cannot start it: {error}"))

    async def _insist(self, call: Callable[[], Awaitable[None]], run: LiveRun, attempt: AttemptId) -> Exception | None:
        """Repeat the call until it goes through; the last error when it never did."""
        for delay_s in (*LAUNCH_DELAYS_S, None):
            try:
                await call()
                return None
            except Exception as error:
                # The protocol lets a launcher raise anything; what matters is that nothing is known.
                _log.warning("launcher refused", extra={"attempt": str(attempt), "error": repr(error)})
                if delay_s is None:
                    return error
            await asyncio.sleep(delay_s)
            if not self._ownership.may_act(run):
                self._ownership.reload(run)
                return None
        raise AssertionError("the last try returns")

    async def _adopt(self) -> None:
        await asyncio.sleep(0)
        if self._stopping:
            # An attempt to be stopped that has never started must not be started by being asked about.
            await asyncio.wait(self._stopping)
        wanted, self._adopting = self._adopting, []
        for delay_s in (*LAUNCH_DELAYS_S, None):
            try:
                if not all(self._ownership.may_act(run) for run, _ in wanted):
                    break
                await self._launcher.adopt([request for _, request in wanted])
                runs = len({run.uid for run, _ in wanted})
                _log.info("attempts adopted", extra={"attempts": len(wanted), "runs": runs})
                return
            except Exception as error:
                # Repeated, since the launcher may be back in a moment.
                _log.warning("launcher cannot adopt", extra={"attempts": len(wanted), "error": repr(error)})
            if delay_s is not None:
                await asyncio.sleep(delay_s)
        # Nothing is known; the runs are loaded again, which asks again.
        for run in dict.fromkeys(run for run, _ in wanted):
            self._ownership.reload(run)

    async def _stop(self, attempt: AttemptId) -> None:
        if (launching := self._launching.get(attempt)) is not None:
            await asyncio.wait([launching])
        for delay_s in (*LAUNCH_DELAYS_S, None):
            try:
                await self._launcher.stop(attempt)
                return
            except Exception as error:
                # Repeated a few times; a run that hangs for it can be taken over by another server.
                _log.warning("launcher cannot stop", extra={"attempt": str(attempt), "error": repr(error)})
            if delay_s is not None:
                await asyncio.sleep(delay_s)

    async def _forget(self) -> None:
        await asyncio.sleep(0)
        attempts, self._forgetting = self._forgetting, []
        try:
            await self._launcher.forget(attempts)
        except Exception as error:
            # What a launcher keeps too long harms nothing.
            _log.warning("launcher cannot forget", extra={"attempts": len(attempts), "error": repr(error)})

    def _spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
