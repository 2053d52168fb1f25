"""`python3 - VICTIM MARK SECONDS`: kill -9 of what the kubelet runs, from a pod that sees the processes of its node.

VICTIM is the name of a container, or `sandbox` (the process that holds the pod's namespaces) or `shim` (the process
that the container runtime keeps beside the pod). MARK stands in the mounts of a container of the pod: the pod's uid, or
a folder that is mounted there. It is waited for SECONDS. The uid of the pod is printed; status 3: nothing was found.

It knows nothing but /proc, and goes by mounts and parents, which are the same with each version of control groups: the
kubelet mounts `pods/UID/containers/NAME/...` in every container of a pod.
"""

import os
import re
import signal
import sys
import time
from typing import NamedTuple

NOTHING_FOUND = 3
LOOK_S = 0.02
_CONTAINER = re.compile(r"/pods/([^/]+)/containers/([^/]+)/")
"""In the mounts of a container, but not of a sandbox."""


class Found(NamedTuple):
    """The first process of a container."""

    pid: int
    parent: int
    pod: str
    container: str


def main() -> int:
    """The exit status."""
    name, mark, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    end = time.monotonic() + seconds
    while True:
        for found in containers(mark):
            if kill(found, name, mark):
                print(found.pod)
                return 0
        if time.monotonic() >= end:
            return NOTHING_FOUND
        time.sleep(LOOK_S)


def containers(mark: str) -> list[Found]:
    """The containers of pods with the mark."""
    found = (container(pid, mark) for pid in processes())
    return [each for each in found if each is not None]


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def container(pid: int, mark: str) -> Found | None:
    """The container that the process is the first one of; None where it is none, or has no such mark."""
    if not is_first(pid):
        return None
    mounts = read(pid, "mountinfo")
    names = _CONTAINER.search(mounts)
    if names is None or mark not in mounts:
        return None
    return Found(pid, parent_of(pid), *names.groups())


def target(found: Found, name: str) -> int | None:
    """The process that is asked for, where this container leads to it."""
    if name == "shim":
        return found.parent if "shim" in read(found.parent, "comm") else None
    if name == "sandbox":
        return sandbox_of(found)
    return found.pid if found.container == name else None


def sandbox_of(found: Found) -> int | None:
    """The other child of the same shim that is the first of its namespace, and no container."""
    for pid in processes():
        if parent_of(pid) == found.parent and is_first(pid) and not _CONTAINER.search(read(pid, "mountinfo")):
            return pid
    return None


def is_first(pid: int) -> bool:
    """Whether it is the first process of a namespace below ours."""
    numbers = re.search(r"^NSpid:\s+(.*)$", read(pid, "status"), re.MULTILINE)
    return numbers is not None and len(numbers[1].split()) > 1 and numbers[1].split()[-1] == "1"


def parent_of(pid: int) -> int:
    parent = re.search(r"^PPid:\s+(\d+)$", read(pid, "status"), re.MULTILINE)
    return int(parent[1]) if parent is not None else 0


def kill(found: Found, name: str, mark: str) -> bool:
    """Kill what is asked for, where this container leads to it; False where it does not, or all is gone."""
    pid = target(found, name)
    if pid is None:
        return False
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # The handle is of that process for good, but its number may have gone to another one before.
        if container(found.pid, mark) != found or target(found, name) != pid:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def read(pid: int, name: str) -> str:
    """Empty where the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}") as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
