"""The warm Pythons of one server: which there are, how they are asked for a step, when they go.

One serves one Python environment (see `launch.warm_python`, which it runs). It is loaded when a first step of the
environment comes, which starts without it, and ends when it is idle for long, when others need its place, when its
environment is built anew, and with its server. A step that waits for it then starts without it.
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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from penstock_server.launch import strays, warm_hook
from penstock_server.launch.environments import build_of
from penstock_server.launch.surroundings import python_environment
from penstock_server.launch.warm_python import MARKER_BYTES_MAX
from penstock_server.launch.warm_request import WarmRequest

_log = logging.getLogger(__name__)

SPARE_S = 5.0
"""A warm Python that lets a step wait for so many seconds is ended."""
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
class Spare:
    """A shim that a warm Python has forked and that waits for its step."""

    pid: int
    pidfd: int
    """Tells of its end; closed by whoever uses the spare."""
    _channel: socket.socket

    def start(self, request: WarmRequest, journal: int, log: str) -> bool:
        """Have it run a step, with the lock of the open `journal`; False when that cannot be asked of it."""
        files = [journal]
        try:
            files.append(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
            files.append(_in_memory(request.content))
            socket.send_fds(self._channel, [request.marker], files)
        except OSError:  # it has just ended, or there is no room for files
            os.close(self.pidfd)
            return False
        finally:
            for ours in files[1:]:
                os.close(ours)
        return True


UseSpare = Callable[[Spare | None], bool]
"""Is given a spare, or None when there will be none; true when it has used the spare."""


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
    """True from its first spare until its end."""
    has_failed: bool = False
    """True when it ended before it was ready."""
    _spare: Spare | None = None
    _waiting: "deque[UseSpare]" = field(default_factory=deque)
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

    def when_spare(self, use: UseSpare) -> None:
        """Call `use` with a spare: at once, or when there is the next one."""
        self._waiting.append(use)
        self._serve()

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
        if self._spare is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._spare.pidfd, signal.SIGKILL)
            os.close(self._spare.pidfd)
            self._spare = None
        while self._waiting:
            loop.call_soon(self._waiting.popleft(), None)
        self._limit_wait()

    def _hear(self) -> None:
        try:
            message, files, _, _ = socket.recv_fds(self.channel, _MESSAGE_BYTES_MAX, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            message, files = b"", []
        if not files:  # it has ended, or there is no room for files here
            self.end()
            return
        self.is_ready = True
        self._spare = Spare(int(message), files[0], self.channel)
        self._serve()

    def _serve(self) -> None:
        while self._spare is not None and self._waiting:
            if self._waiting.popleft()(self._spare):
                self._spare = None
        self._limit_wait()

    def _limit_wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(SPARE_S, self.end) if self._waiting else None


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
