"""Finding and ending processes that outlive their step.

The shim ends its whole process group by itself. What has left the group carries the attempt's name in its
environment, and is found by it among the processes of the host.
"""

import os
import signal
import time
from collections.abc import Collection, Iterator

MARKER = "PENSTOCK_ATTEMPT"
"""The environment variable that every process of a step inherits; its value is the attempt's id."""
_ROUNDS = 20
_ROUND_PAUSE_S = 0.01


def find(attempts: Collection[str]) -> list[int]:
    """Process ids of what belongs to one of `attempts`. Reads the environment of every process of this
    user."""
    wanted = {f"{MARKER}={attempt}".encode() for attempt in attempts}
    return [pid for pid in _process_ids() if wanted.intersection(_environment(pid))]


def end(attempts: Collection[str]) -> int:
    """Kill whatever belongs to one of `attempts` until nothing does; returns how many processes that were.

    Takes milliseconds, more on a host with many processes: not for the event loop.
    """
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = find(attempts)
        if not found:
            break
        for pid in found:
            signal_process(pid, signal.SIGKILL)
        killed.update(found)
        time.sleep(_ROUND_PAUSE_S)
    return len(killed)


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal to one process; nothing happens when it is gone."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        # Gone, or somebody else's since: both mean that ours has ended.
        return


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group; nothing happens when it is gone."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # Gone, or somebody else's since: both mean that ours has ended.
        return


def _process_ids() -> Iterator[int]:
    try:
        names = os.listdir("/proc")
    except FileNotFoundError:
        # Without /proc there is nothing to search; the process group remains the limit of what is ended.
        return
    yield from (int(name) for name in names if name.isdigit())


def _environment(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as environment:
            return environment.read().split(b"\0")
    except OSError:
        # Gone meanwhile, or another user's.
        return []
