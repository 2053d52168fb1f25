"""The warm Pythons of one server: which there are, how they are asked for a step, when they go.

One serves one Python environment (see `launch.warm_python`, which it runs). It is loaded when a first step of the
environment comes, which starts without it, and ends when it is idle for long, when others need its place, when its
environment is built anew, and with its server. What it was asked and has not answered by then is to be taken again from
the journal.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock_server.launch import strays, warm_hook
from penstock_server.launch.environments import build_of
from penstock_server.launch.surroundings import python_environment
from penstock_server.launch.warm_python import READY
from penstock_server.launch.warm_request import MARKER_BYTES_MAX

_log = logging.getLogger(__name__)

ANSWER_S = 10.0
"""A warm Python that has not answered within so many seconds is ended."""
_MESSAGE_BYTES_MAX = 32


@dataclass(frozen=True, slots=True)
class WarmSettings:
    """How many Pythons are kept loaded, and for how long."""

    pythons_max: int = 4
    """0: none."""
    idle_s: float = 600
    """One that has not been asked for so many seconds ends."""
    settled_s: float = 10
    """One that was asked within so many seconds does not make room for another: loading has to be worth it."""


@dataclass(frozen=True, slots=True)
class StartedShim:
    """The shim of a step that a warm Python has forked."""

    pid: int
    pidfd: int | None
    """Tells of its end; closed by whoever is given it. None: there was no room for it in the table of files."""


Answered = Callable[[StartedShim | None], None]
"""Is told what became of a request; None: nobody knows, its journal does."""


@dataclass(slots=True)
class WarmPython:
    """One interpreter, from its start on."""

    build: object
    """Tells the build of the environment it was started in from others."""
    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    used_s: float
    """When it was last asked for, in the event loop's time."""
    is_ready: bool = False
    """True from when it has loaded all it needs until its end."""
    has_failed: bool = False
    """True when it ended before it was ready."""
    _asked: "deque[Answered]" = field(default_factory=deque)
    _deadline: asyncio.TimerHandle | None = None

    @classmethod
    def start(cls, python_env: Path, environment: Mapping[str, str], now_s: float) -> "WarmPython":
        """Start one; it is ready later. Raises OSError."""
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            process = subprocess.Popen(
                warm_hook.command(its.fileno()),
                executable=python_env / "bin" / "python3",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={**environment, strays.MARKER: " " * MARKER_BYTES_MAX},
                pass_fds=(its.fileno(),),
                start_new_session=True,
            )
        ours.setblocking(False)
        warm = cls(build_of(python_env), process, ours, now_s)
        asyncio.get_running_loop().add_reader(ours, warm._hear)
        return warm

    @property
    def has_ended(self) -> bool:
        """True when this side has learnt of its end."""
        return self.process.returncode is not None

    def is_over(self, python_env: Path) -> bool:
        """True when another has to take its place. One that could not load does not: the next could not either."""
        return self.build != build_of(python_env) or (self.has_ended and not self.has_failed)

    def ask(self, request: bytes, journal: int, log: str, answered: Answered) -> bool:
        """Have it start a step; False when that cannot be asked of it now. `journal` stays the caller's to close."""
        files = [journal]
        try:
            files.append(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
            files.append(_in_memory(request))
            socket.send_fds(self.channel, [b"step"], files)
        except OSError:  # no room for files, a queue that is full, or it has just ended
            return False
        finally:
            for ours in files[1:]:
                os.close(ours)
        self._asked.append(answered)
        self._watch_time()
        return True

    def end(self) -> None:
        """End it, unless it has ended. The steps that it has started go on."""
        if self.has_ended:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.channel)
        self.channel.close()
        strays.signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.has_failed, self.is_ready = not self.is_ready, False
        while self._asked:
            loop.call_soon(self._asked.popleft(), None)
        self._watch_time()

    def _hear(self) -> None:
        try:
            message, files, _, _ = socket.recv_fds(self.channel, _MESSAGE_BYTES_MAX, 1)
        except OSError:
            message, files = b"", []
        if message == READY:
            self.is_ready = True
        elif message:
            self._asked.popleft()(StartedShim(int(message), files[0] if files else None))
            self._watch_time()
        else:
            self.end()

    def _watch_time(self) -> None:
        """Give it time for the answer that is due next."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(ANSWER_S, self.end) if self._asked else None


class WarmPythons:
    """Those of one server. All methods are for the event loop."""

    def __init__(self, base_environment: Mapping[str, str], settings: WarmSettings) -> None:
        self._base_environment = base_environment
        self._settings = settings
        self._known: dict[Path, WarmPython] = {}
        """By environment; the one that was asked last comes last. One that failed stays until it is idle for long."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pids(self) -> list[int]:
        """Their process ids, also of those that could not load."""
        return [warm.process.pid for warm in self._known.values()]

    def environment(self, python_env: Path) -> dict[str, str]:
        """The variables that a warm Python of this environment is started with, but for the marker."""
        env = python_environment(self._base_environment, python_env)
        env.pop("PYTHONPATH", None)
        return env

    def find(self, python_env: Path) -> WarmPython | None:
        """The one of this environment, if it is ready; if there is none, one is loaded from now on."""
        if not (self._settings.pythons_max and can_fork()):
            return None
        known = self._known.pop(python_env, None)
        if known is None or known.is_over(python_env):
            if known is not None:
                known.end()
            known = self._load(python_env)
        if known is None:
            return None
        self._known[python_env] = known
        if not known.has_failed:
            known.used_s = _now_s()
        return known if known.is_ready else None

    def close(self) -> None:
        """End them; may be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        for warm in self._known.values():
            warm.end()
        self._known.clear()

    def _load(self, python_env: Path) -> WarmPython | None:
        if not self._make_room():
            return None
        try:
            warm = WarmPython.start(python_env, self.environment(python_env), _now_s())
        except OSError as error:
            _log.warning("no warm Python", extra={"environment": str(python_env), "error": str(error)})
            return None
        if self._timer is None:
            self._end_idle()
        return warm

    def _make_room(self) -> bool:
        """See to it that there is room: the one asked least recently ends, unless that was a moment ago; False then."""
        if len(self._known) < self._settings.pythons_max:
            return True
        oldest = next(iter(self._known))
        if _now_s() - self._known[oldest].used_s < self._settings.settled_s:
            return False
        self._known.pop(oldest).end()
        return True

    def _end_idle(self) -> None:
        now_s = _now_s()
        for python_env, warm in list(self._known.items()):
            if now_s - warm.used_s >= self._settings.idle_s:
                self._known.pop(python_env).end()
        self._timer = asyncio.get_running_loop().call_later(self._settings.idle_s / 4, self._end_idle)


def can_fork() -> bool:
    """True where the system has all that this is made of."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and hasattr(os, "memfd_create")


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _in_memory(content: bytes) -> int:
    """A descriptor from which `content` is read, whatever its size."""
    descriptor = os.memfd_create("penstock-request")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
