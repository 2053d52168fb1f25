"""The same small plays on each kind of launcher: what a step does, told once for real processes and once for
the fake."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from penstock_server.launch.base import Launcher, StepRequest
from penstock_server.launch.fake import Act, FakeHost, FakeLauncher, failure
from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import TaskValues
from tests.launch.world import STRING, Watched, attempt_id, component, make_launcher, step


class Scene(Protocol):
    """A machine with launchers on it."""

    def launcher(self) -> Launcher:
        """Another launcher on the same machine, as after a restart or of a second server."""

    def succeeding(self, *, log: str = "", output: str | None = None) -> StepRequest:
        """A step that ends well, with the output parameter `result` when that is given."""

    def failing(self, exit_code: int, *, log: str = "") -> StepRequest:
        """A step that fails."""

    def waiting(self, *, log: str = "") -> tuple[StepRequest, Callable[[], None]]:
        """A step that ends well once the function is called."""

    def runs(self, attempt: AttemptId) -> int:
        """How often its program has been started."""


class ProcessScene:
    """Real processes in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ran = root / "ran"
        self._gates = 0

    def launcher(self) -> Launcher:
        return make_launcher(self._root, grace_s=2)

    def succeeding(self, *, log: str = "", output: str | None = None) -> StepRequest:
        if output is None:
            return self._step(f"printf %s {shlex.quote(log)}")
        return self._step('printf %s "$2" > "$1"', writes=output)

    def failing(self, exit_code: int, *, log: str = "") -> StepRequest:
        return self._step(f"printf %s {shlex.quote(log)}; exit {exit_code}")

    def waiting(self, *, log: str = "") -> tuple[StepRequest, Callable[[], None]]:
        self._gates += 1
        gate = self._root / f"gate-{self._gates}"
        wait = f"until [ -e {shlex.quote(str(gate))} ]; do sleep 0.01; done"
        return self._step(f"printf %s {shlex.quote(log)}; {wait}"), gate.touch

    def runs(self, attempt: AttemptId) -> int:
        return self._ran.read_text().split().count(str(attempt)) if self._ran.exists() else 0

    def _step(self, script: str, writes: str | None = None) -> StepRequest:
        attempt = attempt_id()
        journal = f"echo {attempt} >> {shlex.quote(str(self._ran))}; "
        place = ["{{$.outputs.parameters['result'].output_file}}", writes] if writes is not None else []
        outputs = {"result": STRING} if writes is not None else None
        of = component(["sh", "-c", journal + script, "step", *place], outputs=outputs)
        return step(of=of, attempt=attempt)


class FakeScene:
    """A fake host."""

    def __init__(self) -> None:
        self._acts: dict[AttemptId, Act] = {}
        self._host = FakeHost(lambda request: self._acts[request.attempt])

    def launcher(self) -> Launcher:
        return FakeLauncher(self._host)

    def succeeding(self, *, log: str = "", output: str | None = None) -> StepRequest:
        outputs = TaskValues({"result": output}) if output is not None else TaskValues()
        return self._step(Act(log=log.encode(), outputs=outputs))

    def failing(self, exit_code: int, *, log: str = "") -> StepRequest:
        return self._step(failure(exit_code, log=log.encode()))

    def waiting(self, *, log: str = "") -> tuple[StepRequest, Callable[[], None]]:
        gate = asyncio.Event()
        return self._step(Act(log=log.encode(), gate=gate)), gate.set

    def runs(self, attempt: AttemptId) -> int:
        return [request.attempt for request in self._host.launches].count(attempt)

    def _step(self, act: Act) -> StepRequest:
        request = step("true")
        self._acts[request.attempt] = act
        return request


@asynccontextmanager
async def on(launcher: Launcher) -> AsyncIterator[Watched]:
    """The launcher started, watched, and closed at the end."""
    await launcher.start()
    watched = Watched(launcher)
    try:
        yield watched
    finally:
        await watched.close()
