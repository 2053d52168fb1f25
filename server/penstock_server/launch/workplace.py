"""What the attempts of one process launcher share."""

import errno
import os
import re
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock_server.launch.base import ArtifactTransfer, StepRequest
from penstock_server.launch.environments import StepEnvironments
from penstock_server.launch.janitor import Janitor
from penstock_server.launch.journal import uptime_s
from penstock_server.launch.warm import WarmPythons
from penstock_server.model.errors import Unavailable
from penstock_server.model.json import JsonObject

RETRY_S = 1.0
"""Seconds after which what the machine had no room for is tried again."""
NO_ROOM = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})
"""Error numbers that say nothing against the command that was to be started."""
_OOM_KILLS = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Workplace:
    """A host, and how steps run on it."""

    host: str
    boot_id: str
    """Tells this start of the host from others."""
    grace_s: float
    """Seconds between asking a step to end and ending it."""
    base_environment: Mapping[str, str]
    """Variables that every step gets."""
    artifacts: ArtifactTransfer
    environments: StepEnvironments
    warm: WarmPythons
    janitor: Janitor
    vmstat: Path
    """The kernel's counters, among them how often it has killed a process for want of memory."""

    def launch_facts(self, request: StepRequest) -> JsonObject:
        """What the journal notes of a launch: who, under which lease, when."""
        return {
            "attempt": str(request.attempt),
            "fence": request.fence,
            "host": self.host,
            "boot_id": self.boot_id,
            "server_pid": os.getpid(),
            "uptime_s": uptime_s(),
            "oom_kills": self.oom_kills(),
        }

    def oom_kills(self) -> int | None:
        """How often the kernel has killed a process of this machine for want of memory; None where it does not
        tell."""
        try:
            counters = self.vmstat.read_bytes()
        except OSError:
            return None
        found = _OOM_KILLS.search(counters)
        return int(found.group(1)) if found else None


@contextmanager
def as_unavailable(codes: Container[int] | None = None) -> Iterator[None]:
    """Turns an error of the operating system into Unavailable: nothing has happened, repeating may help.

    `codes` are the error numbers it does so for; None: all.
    """
    try:
        yield
    except OSError as error:
        if codes is not None and error.errno not in codes:
            raise
        message = f"the machine cannot serve this step at the moment: {error}"
        raise Unavailable("LAUNCHER_UNAVAILABLE", message, retry_after_s=RETRY_S) from error
