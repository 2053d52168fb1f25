"""The process launcher: every attempt is a process group of its own on this host.

It starts them, hears of their ends and can take over those of a server that was killed, or that runs beside
it on the same folder. What makes that safe is told in `launch.journal`; one attempt's way stands in
`launch.attempt`.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock_server.launch import strays, verdicts
from penstock_server.launch.attempt import ProcessAttempt
from penstock_server.launch.base import (
    NO_CAPABILITIES,
    ArtifactTransfer,
    EarlierStep,
    LogChunk,
    Observation,
    StepRequest,
)
from penstock_server.launch.environments import StepEnvironments
from penstock_server.launch.janitor import Janitor
from penstock_server.launch.journal import Journal, read_boot_id
from penstock_server.launch.logs import read_log
from penstock_server.launch.scratch import AttemptFolder, Folders
from penstock_server.launch.surroundings import PASSED_ON, base_environment
from penstock_server.launch.warm import WarmPythons, WarmSettings
from penstock_server.launch.workplace import Workplace, as_unavailable
from penstock_server.model.errors import PenstockError, Unavailable
from penstock_server.model.ids import AttemptId, RunUid


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How steps are run as processes."""

    environ: Mapping[str, str]
    """The server's own environment, of which steps get the variables named in `passed_on`, and the PATH."""
    passed_on: tuple[str, ...] = PASSED_ON
    grace_s: float = 10
    """Seconds between asking a step to end and ending it."""
    warm: WarmSettings = field(default_factory=WarmSettings)
    """How many Pythons are kept loaded for KFP components."""
    vmstat: Path = Path("/proc/vmstat")
    """Where the kernel counts the processes that it has killed for want of memory."""


class ProcessLauncher:
    """Executes attempts as processes. Implements `launch.base.Launcher`.

    `root` is shared by the servers of one host, and by no other host.
    """

    name = "process"
    capabilities = NO_CAPABILITIES

    def __init__(
        self,
        root: Path,
        artifacts: ArtifactTransfer,
        environments: StepEnvironments,
        settings: ProcessSettings,
    ) -> None:
        self._folders = Folders(root)
        self._environments = environments
        self._janitor = Janitor(self._folders)
        base = base_environment(settings.environ, settings.passed_on)
        self._warm = WarmPythons(base, settings.warm)
        self._place = Workplace(
            host=socket.gethostname(),
            boot_id=read_boot_id(),
            grace_s=settings.grace_s,
            base_environment=base,
            artifacts=artifacts,
            environments=environments,
            warm=self._warm,
            janitor=self._janitor,
            vmstat=settings.vmstat,
        )
        self._attempts: dict[AttemptId, ProcessAttempt] = {}
        self._told: asyncio.Queue[Observation | None] = asyncio.Queue()
        self._observed = False
        self._closed = False

    async def start(self) -> None:
        """Make the folders and tidy up what a killed server has left."""
        await asyncio.to_thread(self._folders.prepare)
        self._janitor.start()

    async def close(self) -> None:
        """Let go of the attempts, which go on; end the builds of environments, which are taken up by
        another."""
        if self._closed:
            return
        self._closed = True
        for attempt in self._attempts.values():
            await attempt.close()
        self._warm.close()
        await self._environments.close()
        await self._janitor.close()
        self._told.put_nowait(None)

    async def launch(self, request: StepRequest) -> None:
        """Start the attempt unless it was started before, by whichever server."""
        if request.attempt not in self._attempts:
            self._take(request)

    async def adopt(self, requests: list[StepRequest]) -> None:
        """Take attempts over; one that left no trace has never run and is launched."""
        for request in requests:
            known = self._attempts.get(request.attempt)
            if known is None:
                self._take(request)
            elif known.last is not None:
                self._told.put_nowait(known.last)
            await asyncio.sleep(0)

    async def stop(self, attempt: AttemptId) -> None:
        """End the attempt, or see to it that it never starts."""
        known = self._attempts.get(attempt)
        if known is not None:
            known.stop()
        else:
            self._note_stop(attempt)

    async def observe(self) -> AsyncIterator[Observation]:
        """What happens to the attempts. Begins with the present state of each when it is not the first
        time."""
        if self._observed:
            for attempt in self._attempts.values():
                if attempt.last is not None:
                    self._told.put_nowait(attempt.last)
        self._observed = True
        while (observation := await self._told.get()) is not None:
            yield observation
        self._told.put_nowait(None)  # for whoever asks again

    async def forget(self, attempts: list[AttemptId]) -> None:
        """Drop all but the log. What still runs is killed."""
        for attempt in attempts:
            known = self._attempts.pop(attempt, None)
            folder = self._folders.of(attempt)
            if known is not None:
                await known.close()
            with as_unavailable():
                if known is None or not known.has_ended:
                    _kill(folder)
                self._folders.discard(folder)
        self._janitor.note_discarded()

    async def still_so(self, earlier: EarlierStep) -> bool:
        """True: a process brings about nothing but artifacts that anybody knows of."""
        return True

    async def discard(self, run_uid: RunUid) -> None:
        """Drop the logs and the workspace of the run, and what is left of its attempts."""
        await self.forget([attempt for attempt in self._attempts if attempt.run_uid == run_uid])
        with as_unavailable():
            self._folders.discard_run(run_uid)
        self._janitor.note_discarded()

    def logs(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on, also of attempts of other servers on this host."""
        return read_log(self._folders.of(attempt), offset, follow=follow)

    def _take(self, request: StepRequest) -> None:
        if self._closed:
            raise Unavailable("LAUNCHER_CLOSED", "the server is stopping; repeat the call on another one")
        folder = self._folders.of(request.attempt)
        attempt = ProcessAttempt(request, folder, self._place, self._told.put_nowait)
        self._attempts[request.attempt] = attempt
        try:
            attempt.take()
        except PenstockError:
            del self._attempts[request.attempt]
            raise
        except Exception as error:
            attempt.recover(error)

    def _note_stop(self, attempt: AttemptId) -> None:
        """Stop one that nobody told us of: in its journal, where its launcher or its adopter finds it."""
        folder = self._folders.of(attempt)
        if folder.has_log() and not os.path.exists(folder.live):
            return
        with as_unavailable():
            folder.make()
            journal = Journal.open(folder.journal)
            journal.stop(verdicts.STOPPED)
        pid = _holder(journal)
        journal.close()
        if pid is not None:
            strays.signal_group(pid, signal.SIGTERM)
            asyncio.get_running_loop().call_later(self._place.grace_s, _kill, folder)


def _kill(folder: AttemptFolder) -> None:
    journal = Journal.open_existing(folder.journal)
    if journal is None:
        return
    pid = _holder(journal)
    journal.close()
    if pid is not None:
        strays.signal_group(pid, signal.SIGKILL)


def _holder(journal: Journal) -> int | None:
    """The process id of the attempt's shim, if that lives."""
    pid = journal.read().pid
    return pid if pid is not None and journal.is_held_by(pid) else None
