"""A launcher without processes, for tests of whatever uses launchers: it does what a script says, at once by
default.

A `FakeHost` stands for the machine: it keeps the attempts while launchers on it come and go as servers do.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from penstock_server.launch.base import (
    NO_CAPABILITIES,
    Capability,
    EarlierStep,
    LogChunk,
    Observation,
    Phase,
    StepRequest,
)
from penstock_server.model.errors import NotFound, Unavailable
from penstock_server.model.ids import AttemptId, RunUid
from penstock_server.model.resources import TaskValues


@dataclass(frozen=True, slots=True)
class Act:
    """What an attempt does."""

    phase: Phase = Phase.SUCCEEDED
    """How it ends."""
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    outputs: TaskValues = field(default_factory=TaskValues)
    log: bytes = b""
    """Written before it ends, and before it waits for the gate."""
    waits: tuple[tuple[str, str], ...] = ()
    """Reasons and messages of what it waits for before it starts, told as PENDING one after the other."""
    entry: asyncio.Event | None = None
    """It starts when this is set; None: at once."""
    gate: asyncio.Event | None = None
    """It runs until this is set; None: it ends at once."""
    tells_start: bool = True
    """False: only its end is told, as of an attempt that ended unobserved."""
    tells_twice: bool = False
    """Every observation comes twice."""
    ignores_stop: bool = False
    """Ends as it likes whatever is asked of it."""
    refusals: int = 0
    """So many calls of `launch` raise Unavailable before one succeeds."""


def failure(exit_code: int = 1, *, log: bytes = b"") -> Act:
    """An attempt that fails with this exit code."""
    message = f"exit code {exit_code}"
    return Act(Phase.FAILED, "EXIT_CODE", message, exit_code=exit_code, log=log)


def loss() -> Act:
    """An attempt that nobody can tell the end of."""
    return Act(Phase.LOST, "PROCESS_GONE", "the process is gone")


Script = Callable[[StepRequest], Act]
"""Says what an attempt does; asked once for each, when it starts."""


@dataclass(slots=True)
class FakeAttempt:
    """An attempt on a fake host."""

    request: StepRequest
    act: Act
    log: bytearray = field(default_factory=bytearray)
    present: Observation | None = None
    """The last that was told of it before its end."""
    end: Observation | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    running: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class FakeHost:
    """The machine that attempts run on."""

    script: Script = lambda request: Act()
    attempts: dict[AttemptId, FakeAttempt] = field(default_factory=dict)
    launches: list[StepRequest] = field(default_factory=list)
    """Every attempt that has started, in order; never one twice."""
    stops: list[AttemptId] = field(default_factory=list)
    """Every call of `stop`, in order."""
    forgotten: dict[AttemptId, bytes] = field(default_factory=dict)
    """Logs of forgotten attempts."""
    unwanted: set[AttemptId] = field(default_factory=set)
    """Stopped before they started."""
    is_still_so: bool = True
    """What earlier steps have brought about."""
    refused: dict[AttemptId, int] = field(default_factory=dict)
    listeners: list[Callable[[Observation], None]] = field(default_factory=list)

    def start(self, request: StepRequest) -> FakeAttempt:
        """Start the attempt unless it was started before."""
        known = self.attempts.get(request.attempt)
        if known is not None:
            return known
        act = self.script(request)
        refused = self.refused.get(request.attempt, 0)
        if refused < act.refusals:
            self.refused[request.attempt] = refused + 1
            raise Unavailable("LAUNCHER_UNAVAILABLE", "the fake host has no room", retry_after_s=0.01)
        attempt = self.attempts[request.attempt] = FakeAttempt(request, act)
        self.launches.append(request)
        self._begin(attempt)
        return attempt

    def stop(self, attempt_id: AttemptId) -> None:
        """End the attempt if it runs."""
        self.stops.append(attempt_id)
        attempt = self.attempts.get(attempt_id)
        if attempt is None:
            self.unwanted.add(attempt_id)
        elif attempt.end is None and not attempt.act.ignores_stop:
            if attempt.running is not None:
                attempt.running.cancel()
            self._end(attempt, Observation(attempt_id, Phase.STOPPED, "STOPPED", "stopped on request"))

    def forget(self, attempt_id: AttemptId) -> None:
        """Keep nothing of it but the log."""
        attempt = self.attempts.pop(attempt_id, None)
        if attempt is not None:
            if attempt.running is not None:
                attempt.running.cancel()
            self.forgotten[attempt_id] = bytes(attempt.log)

    def discard(self, run_uid: RunUid) -> None:
        """Keep nothing of the run."""
        for attempt_id in [known for known in self.attempts if known.run_uid == run_uid]:
            self.forget(attempt_id)
        self.forgotten = {known: log for known, log in self.forgotten.items() if known.run_uid != run_uid}

    def _begin(self, attempt: FakeAttempt) -> None:
        act = attempt.act
        for reason, message in act.waits:
            waits = Observation(attempt.request.attempt, Phase.PENDING, reason, message, host="node-1", handle="fake/a")
            self._tell(attempt, waits)
        if act.entry is None or act.entry.is_set():
            self._enter(attempt)
        else:
            attempt.running = asyncio.create_task(self._wait(attempt, act.entry, self._enter))

    def _enter(self, attempt: FakeAttempt) -> None:
        act = attempt.act
        attempt.log += act.log
        if act.tells_start:
            self._tell(attempt, Observation(attempt.request.attempt, Phase.STARTED))
        if act.gate is None or act.gate.is_set():
            self._finish(attempt)
        else:
            attempt.running = asyncio.create_task(self._wait(attempt, act.gate, self._finish))

    async def _wait(self, attempt: FakeAttempt, gate: asyncio.Event, then: Callable[[FakeAttempt], None]) -> None:
        await gate.wait()
        then(attempt)

    def _finish(self, attempt: FakeAttempt) -> None:
        act = attempt.act
        tail = attempt.log.decode(errors="replace") if act.phase is Phase.FAILED else ""
        exit_code = 0 if act.phase is Phase.SUCCEEDED else act.exit_code
        outputs = act.outputs if act.phase is Phase.SUCCEEDED else TaskValues()
        end = Observation(attempt.request.attempt, act.phase, act.reason, act.message, exit_code, tail, outputs)
        self._end(attempt, end)

    def _end(self, attempt: FakeAttempt, end: Observation) -> None:
        attempt.end = end
        self._tell(attempt, end)
        attempt.ended.set()

    def _tell(self, attempt: FakeAttempt, observation: Observation) -> None:
        if not observation.phase.is_final:
            attempt.present = observation
        for listener in self.listeners:
            for _ in range(2 if attempt.act.tells_twice else 1):
                listener(observation)


class FakeLauncher:
    """Implements `launch.base.Launcher` on a fake host."""

    name = "fake"

    def __init__(self, host: FakeHost | None = None, *, capabilities: frozenset[Capability] = NO_CAPABILITIES) -> None:
        self.host = host or FakeHost()
        self.capabilities = capabilities
        self._told: asyncio.Queue[Observation | None] = asyncio.Queue()
        self._mine: set[AttemptId] = set()
        self._observed = False
        self._closed = False

    async def start(self) -> None:
        """Begin to listen to the host."""
        self.host.listeners.append(self._hear)

    async def close(self) -> None:
        """Stop listening; the attempts go on."""
        if not self._closed:
            self._closed = True
            self.host.listeners.remove(self._hear)
            self._told.put_nowait(None)

    async def launch(self, request: StepRequest) -> None:
        """Start the attempt unless it was started before."""
        if request.attempt not in self._mine:
            self._take(request)

    async def adopt(self, requests: list[StepRequest]) -> None:
        """Tell of attempts that are there, start the others."""
        for request in requests:
            self._take(request)

    async def stop(self, attempt: AttemptId) -> None:
        """End the attempt."""
        self.host.stop(attempt)

    async def observe(self) -> AsyncIterator[Observation]:
        """What happens to the attempts of this launcher."""
        if self._observed:
            for attempt in self._mine:
                self._retell(attempt)
        self._observed = True
        while (observation := await self._told.get()) is not None:
            yield observation
        self._told.put_nowait(None)

    async def forget(self, attempts: list[AttemptId]) -> None:
        """Keep nothing but the logs."""
        for attempt in attempts:
            self._mine.discard(attempt)
            self.host.forget(attempt)

    async def still_so(self, earlier: EarlierStep) -> bool:
        """As the host says."""
        return self.host.is_still_so

    async def discard(self, run_uid: RunUid) -> None:
        """Keep nothing of the run."""
        self.host.discard(run_uid)

    async def logs(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on."""
        known = self.host.attempts.get(attempt)
        if known is None and attempt not in self.host.forgotten:
            raise NotFound("LOG_NOT_FOUND", "there is no log of this attempt: it has not started")
        while True:
            ended = known is None or known.ended.is_set() or not follow
            content = bytes(known.log if known is not None else self.host.forgotten[attempt])[offset:]
            if content:
                yield LogChunk(offset, content)
                offset += len(content)
            if ended or known is None:
                return
            await known.ended.wait()

    def _take(self, request: StepRequest) -> None:
        attempt = request.attempt
        self._mine.add(attempt)
        if attempt in self.host.unwanted:
            self._hear(Observation(attempt, Phase.STOPPED, "STOPPED", "stopped on request"))
        elif attempt in self.host.forgotten:
            self._hear(Observation(attempt, Phase.LOST, "PROCESS_GONE", "the attempt has been forgotten"))
        elif attempt in self.host.attempts:
            self._retell(attempt)
        elif request.has_started:
            self._hear(Observation(attempt, Phase.LOST, "PROCESS_GONE", "the fake host knows nothing of it"))
        else:
            self._launch(request)

    def _launch(self, request: StepRequest) -> None:
        try:
            self.host.start(request)
        except Unavailable:
            self._mine.discard(request.attempt)
            raise

    def _retell(self, attempt_id: AttemptId) -> None:
        attempt = self.host.attempts.get(attempt_id)
        if attempt is not None:
            self._hear(attempt.end or attempt.present or Observation(attempt_id, Phase.STARTED))

    def _hear(self, observation: Observation) -> None:
        if observation.attempt in self._mine:
            self._told.put_nowait(observation)
