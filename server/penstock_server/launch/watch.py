"""Hearing of the end of a process that need not be a child of ours, and ending it."""

import asyncio
import os
import signal
from collections.abc import Callable

from penstock_server.launch import strays
from penstock_server.launch.journal import Journal, Record, process_exists, uptime_s

POLL_S = 0.05
YOUNG_S = 2.0
"""What has started less than so many seconds ago may still be starting."""
ASK_AGAIN_S = (0.2, 1.0)


class ProcessWatch:
    """Watches at most one shim at a time, and keeps the timers of its attempt."""

    def __init__(self, gone: Callable[[int], None], guard: Callable[[Callable[[], None]], None]) -> None:
        """`gone` is called with the shim's process id when it has ended; `guard` runs all callbacks."""
        self.pid: int | None = None
        """Of the shim that is being watched, which leads its process group."""
        self._gone = gone
        self._guard = guard
        self._pidfd: int | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def begin(self, pid: int, journal: Journal | None = None, pidfd: int | None = None) -> bool:
        """Watch the shim `pid`; False when there is none such.

        `journal` is given when the shim was found rather than started: it must be the one of this journal.
        `pidfd` is given when another process started it, which has opened it while it was sure to live.
        """
        if pidfd is None:
            pidfd = _open(pid)
        if journal is not None and not journal.is_held_by(pid):
            if pidfd is not None:
                os.close(pidfd)
            return False
        self.pid, self._pidfd = pid, pidfd
        if pidfd is not None:
            asyncio.get_running_loop().add_reader(pidfd, self._guard, self._ended)
        else:
            self._look()
        return True

    def end(self) -> None:
        """Watch no longer, and forget the timers. The process goes on."""
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
        self.pid = self._pidfd = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call `act` after so many seconds, unless `end` comes first."""
        loop = asyncio.get_running_loop()
        self._timers = [timer for timer in self._timers if timer.when() > loop.time()]
        self._timers.append(loop.call_later(max(0.0, delay_s), self._guard, act))

    def terminate(self, record: Record, grace_s: float) -> None:
        """Ask the process group to end; end it `grace_s` seconds after `record` says it was first asked."""
        assert record.stop is not None
        self._ask()
        if uptime_s() - record.started_s < YOUNG_S:
            # It may have reached the shim alone, before the program, and does not end the shim.
            for delay_s in ASK_AGAIN_S:
                self.later(delay_s, self._ask)
        self.later(grace_s - (uptime_s() - record.stop.uptime_s), self.kill)

    def _ask(self) -> None:
        if self.pid is not None:
            strays.signal_group(self.pid, signal.SIGTERM)
            strays.signal_group(self.pid, signal.SIGCONT)  # what is suspended could not obey

    def kill(self) -> None:
        """End the process group at once."""
        if self.pid is not None:
            strays.signal_group(self.pid, signal.SIGKILL)

    def _ended(self) -> None:
        assert self.pid is not None
        self._gone(self.pid)

    def _look(self) -> None:
        assert self.pid is not None
        if _has_ended(self.pid):
            self._ended()
        else:
            self.later(POLL_S, self._look)


def _open(pid: int) -> int | None:
    """What tells of the end of the process; None where the system has no such thing, or none to spare."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        # Looking again and again has to do.
        return None


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return not process_exists(pid)


def reap(pid: int) -> None:
    """Take the exit status of a child that has ended, so that it leaves the table of processes."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # Another server's child, or one whose server is gone: init takes it.
        return
