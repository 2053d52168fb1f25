"""A host whose attempts take virtual time, and launchers that tell of them late, twice, out of order, or wrongly."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from penstock_server.launch.base import Observation, Phase, StepRequest
from penstock_server.launch.fake import Act, FakeAttempt, FakeHost, FakeLauncher, failure, loss
from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import AttemptId, RunUid
from penstock_server.model.resources import TaskValues
from tests.engine.reference import Outcome, made_by
from tests.simulation.store import ModelStore, Wire

STEP_MAX_S = 3.0


@dataclass(slots=True)
class Lies:
    """How launchers tell of what happens, as chances of each single observation."""

    twice: float = 0.0
    lost: float = 0.0
    """An attempt that runs is told to be lost; later it is told of again."""
    refusals: float = 0.0
    """The launcher cannot be reached."""


class SimulatedHost(FakeHost):
    """Where attempts run. It sees what no attempt may ever do."""

    def __init__(self, store: ModelStore, outcomes: Callable[[RunUid], Outcome], random: Callable[[], float]) -> None:
        super().__init__(self._act)
        self._store = store
        self._outcomes = outcomes
        self._random = random
        self.problems: list[str] = []

    def start(self, request: StepRequest) -> FakeAttempt:
        """Start the attempt, which has to be known to the store by now."""
        attempt = request.attempt
        if (attempt.task_id, attempt.number) not in self._store.runs[attempt.run_uid].rows.attempts:
            self.problems.append(f"{attempt} starts, and the store does not know it")
        return super().start(request)

    def _act(self, request: StepRequest) -> Act:
        attempt = request.attempt
        outcome = self._outcomes(attempt.run_uid)(str(attempt.task_id), attempt.number)
        gate = asyncio.Event()
        asyncio.get_running_loop().call_later(self._random() * STEP_MAX_S, gate.set)
        outputs = TaskValues({"n": made_by(str(attempt.task_id))})
        act = {"ok": Act(outputs=outputs), "lost": loss()}.get(outcome) or failure()
        return replace(act, gate=gate)


class SimulatedLauncher(FakeLauncher):
    """One server's launcher."""

    def __init__(self, host: SimulatedHost, wire: Wire, lies: Lies) -> None:
        super().__init__(host)
        self._wire = wire
        self._lies = lies

    async def launch(self, request: StepRequest) -> None:
        await self._travel()
        await super().launch(request)

    async def adopt(self, requests: list[StepRequest]) -> None:
        await self._travel()
        await super().adopt(requests)

    async def stop(self, attempt: AttemptId) -> None:
        await self._travel()
        await super().stop(attempt)

    async def forget(self, attempts: list[AttemptId]) -> None:
        await self._travel()
        await super().forget(attempts)

    async def _travel(self) -> None:
        await self._wire.travel()
        if self._wire.faults.random.random() < self._lies.refusals:
            raise Unavailable("LAUNCHER_UNAVAILABLE", "the launcher does not answer")

    def _hear(self, observation: Observation) -> None:
        """Observations are under way for different times, so they come in any order."""
        random, lies = self._wire.faults.random, self._lies
        if observation.phase is Phase.STARTED and random.random() < lies.lost:
            self._later(Observation(observation.attempt, Phase.LOST, "PROCESS_GONE", "not seen for a while"))
        self._later(observation)
        if random.random() < lies.twice:
            self._later(observation)

    def _later(self, observation: Observation) -> None:
        delay_s = self._wire.faults.random.random() * self._wire.faults.latency_s
        asyncio.get_running_loop().call_later(delay_s, super()._hear, observation)
