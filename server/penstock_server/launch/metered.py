"""A launcher wrapper that counts and times attempts."""

import time
from collections.abc import AsyncIterator

from opentelemetry.metrics import Meter

from penstock_server.launch.base import EarlierStep, Launcher, LogChunk, Observation, StepRequest
from penstock_server.model.ids import AttemptId, RunUid


class MeteredLauncher:
    """Implements `launch.base.Launcher` around another one.

    Metrics: `penstock.attempt.launches`, `penstock.attempt.live`, `penstock.attempt.ends` (by phase and
    reason), `penstock.attempt.duration` (from launch or adoption to the end) and `penstock.launch.duration`
    (of the call).
    """

    def __init__(self, launcher: Launcher, meter: Meter) -> None:
        self.name = launcher.name
        self.capabilities = launcher.capabilities
        self._launcher = launcher
        self._labels = {"launcher": launcher.name}
        self._since: dict[AttemptId, float] = {}
        self._launches = meter.create_counter("penstock.attempt.launches", description="attempts launched")
        self._ends = meter.create_counter("penstock.attempt.ends", description="attempts that have ended")
        self._live = meter.create_up_down_counter(
            "penstock.attempt.live", description="attempts launched or adopted here that have not ended"
        )
        self._duration = meter.create_histogram(
            "penstock.attempt.duration", unit="s", description="from launch or adoption to the end"
        )
        self._call = meter.create_histogram("penstock.launch.duration", unit="s", description="of one call to launch")

    async def start(self) -> None:
        """Start the launcher."""
        await self._launcher.start()

    async def close(self) -> None:
        """Close the launcher; what goes on is not live here any more."""
        await self._launcher.close()
        self._live.add(-len(self._since), self._labels)
        self._since.clear()

    async def launch(self, request: StepRequest) -> None:
        """Launch, counted and timed."""
        began = time.perf_counter()
        is_new = request.attempt not in self._since
        self._begin(request.attempt)
        try:
            await self._launcher.launch(request)
        except BaseException:
            if is_new:
                self._drop(request.attempt)
            raise
        self._call.record(time.perf_counter() - began, self._labels)
        self._launches.add(1, self._labels)

    async def adopt(self, requests: list[StepRequest]) -> None:
        """Adopt; the attempts are live here from now on."""
        for request in requests:
            self._begin(request.attempt)
        await self._launcher.adopt(requests)

    async def stop(self, attempt: AttemptId) -> None:
        """Stop."""
        await self._launcher.stop(attempt)

    async def observe(self) -> AsyncIterator[Observation]:
        """What the launcher observes, with the ends counted."""
        async for observation in self._launcher.observe():
            if observation.phase.is_final:
                self._note_end(observation)
            yield observation

    async def forget(self, attempts: list[AttemptId]) -> None:
        """Forget."""
        for attempt in attempts:
            self._drop(attempt)
        await self._launcher.forget(attempts)

    async def still_so(self, earlier: EarlierStep) -> bool:
        """As the launcher sees it."""
        return await self._launcher.still_so(earlier)

    async def discard(self, run_uid: RunUid) -> None:
        """Discard."""
        await self._launcher.discard(run_uid)

    def logs(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The launcher's logs."""
        return self._launcher.logs(attempt, offset, follow=follow)

    def _begin(self, attempt: AttemptId) -> None:
        if attempt not in self._since:
            self._since[attempt] = time.perf_counter()
            self._live.add(1, self._labels)

    def _drop(self, attempt: AttemptId) -> float | None:
        began = self._since.pop(attempt, None)
        if began is not None:
            self._live.add(-1, self._labels)
        return began

    def _note_end(self, observation: Observation) -> None:
        began = self._drop(observation.attempt)
        if began is not None:
            labels = {**self._labels, "phase": observation.phase.value}
            self._duration.record(time.perf_counter() - began, labels)
            self._ends.add(1, {**labels, "reason": observation.reason})
