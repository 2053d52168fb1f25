"""A warm Python: an interpreter of a step environment that has loaded the KFP executor and is forked for each step.

An interpreter that was started as `python3 -m kfp.dsl.executor_main` runs this file in the middle of its own start (see
`launch.warm_hook`) and never comes back from it, but its forks do: a step goes on to start as any fresh interpreter
does, only that the executor and what it imports are there already. Nothing of ours can be imported here.

    warm Python ──fork──► shim ──fork──► step

Both forks are made before there is a step to run: the spare shim tells the server of itself and waits. It keeps the
journal (see `launch.journal`) as the shell of `launch.shim` does. Shim and step outlive the warm Python and the server.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib.util
import logging
import os
import runpy
import signal
import socket
import sys
import time
import traceback
from typing import Any

NAME = "penstock_warm_python"
"""The `__name__` that this file is run under."""
MARKER = b"PENSTOCK_ATTEMPT="
"""The variable that tells whose process one is; the warm Python has it with blanks, to be written over by its forks."""
MARKER_BYTES_MAX = 2048
"""Of the whole variable."""
EXECUTOR = "kfp.dsl.executor_main"
COMPONENT_FILE = b"ephemeral_component.py"
REQUEST_FILES = 3
"""With a request come the descriptors of the journal, of the log and of a file that says what to run."""
_TAKEN = b"."
_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE of Linux 5.14 and newer."""
_HELD_BACK = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
"""What is sent to the group must not end the shim before it has written the status of the step."""


def serve(channel: socket.socket) -> None:
    """Load the executor, then fork until the server is gone. Returns in each step, and nowhere else."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    memory = Memory()
    started_with = dict(os.environb)
    keep_loaded()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for a shim: the system takes its status
    while True:
        hears, tells = os.pipe()
        if os.fork() == 0:
            os.close(hears)
            request, log = _shim(channel, tells, memory)
            _become_step(request, log, started_with, memory)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            return
        os.close(tells)
        if os.read(hears, 1) != _TAKEN:
            os._exit(0)  # the server is gone, or the spare was killed, and what it was asked is to be asked anew
        os.close(hears)


def keep_loaded() -> None:
    """Load what the executor needs, and see to it that no fork spends its time on taking that down again."""
    loaded_last: list[str] = []

    def forget() -> None:
        """Runs after all that steps have registered: their modules are taken down as ever, those from here are not."""
        for name in loaded_last:
            sys.modules.pop(name, None)

    atexit.register(forget)
    _load_executor()
    kept: list[Any] = [*sys.modules.values(), globals()]
    kept.append(kept)  # a circle that is not looked at any more is never undone
    loaded_last += sys.modules.keys() - {"builtins", "sys", "__main__"}
    gc.collect()
    gc.freeze()


def _load_executor() -> None:
    os.environ["_KFP_RUNTIME"] = "true"
    spec = importlib.util.find_spec(EXECUTOR)
    if spec is None or spec.origin is None:
        os._exit(1)
    # Under another name, for the step is going to run it as its main program.
    runpy.run_path(spec.origin, run_name=NAME)
    _use_parser()


def _use_parser() -> None:
    """The parser of the executor's arguments imports half of what it needs when it is first used."""
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--name", type=str, required=True, help="a name")
    parser.parse_known_args(["--name", "name"])


class Memory:
    """The memory of this process and, after a fork, of that one."""

    def __init__(self) -> None:
        self._advise = ctypes.CDLL(None).madvise
        self._advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        with open("/proc/self/environ", "rb") as environ:
            block = environ.read()
        with open("/proc/self/stat", "rb") as stat:
            start = int(stat.read().rpartition(b")")[2].split()[47])  # env_start, the 50th field of all
        self.given = {entry.partition(b"=")[0] for entry in block.split(b"\0")}
        """The names of the variables this process was started with."""
        offset = 0 if block.startswith(MARKER) else block.index(b"\0" + MARKER) + 1
        self._address = start + offset
        self._size = block.index(b"\0", offset) - offset
        self.mark(block[offset : offset + self._size])

    def mark(self, entry: bytes) -> None:
        """Have the system tell that this process and its forks were started with `entry` in place of the MARKER.

        As far as others can see, a fork keeps the variables that its parent was started with.
        """
        padded = entry.ljust(self._size, b"\0")
        memory = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)
        written = os.pwrite(memory, padded, self._address)
        os.close(memory)
        if written != len(padded):
            raise OSError("the variables of this process cannot be written over")

    def copy(self) -> None:
        """Copy what is shared with the parent now, at leisure, rather than page by page when the step runs."""
        with open("/proc/self/maps") as maps:
            fields = [line.split(maxsplit=2) for line in maps]
        for place, access, *_ in fields:
            if access == "rw-p":
                start, end = (int(address, 16) for address in place.split("-"))
                self._advise(start, end - start, _POPULATE_WRITE)  # an older system does not know how, and goes without


def _shim(channel: socket.socket, tells: int, memory: Memory) -> "tuple[bytes, int]":
    """Wait for a request and see its step through. Returns in the step: what it is to run, and its log."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        step = os.fork()
        if step == 0:
            for of_shim in (ours, channel):
                of_shim.close()
            os.close(tells)
            memory.copy()
            return _wait(its)
        its.close()
        journal = _take(channel, tells, memory, ours)
        status = os.waitstatus_to_exitcode(os.waitpid(step, 0)[1])
        os.write(journal, b"exit %d\n" % (status if status >= 0 else 128 - status))
    except BaseException:
        os._exit(1)
    os.kill(0, signal.SIGKILL)  # the group: whatever the step has left running, and this process
    os._exit(1)


def _take(channel: socket.socket, tells: int, memory: Memory, step: socket.socket) -> int:
    """Tell the server of this shim, and start its step when there is one. Returns the journal."""
    itself = os.pidfd_open(os.getpid())
    socket.send_fds(channel, [b"%d" % os.getpid()], [itself])
    os.close(itself)
    marker, files, _, _ = socket.recv_fds(channel, MARKER_BYTES_MAX, REQUEST_FILES, socket.MSG_CMSG_CLOEXEC)
    if len(files) != REQUEST_FILES:
        os._exit(0)  # the server is gone, or there is no room for files
    channel.close()
    journal, log, request = files
    memory.mark(marker)
    os.write(journal, b"pid %d\n" % os.getpid())
    socket.send_fds(step, [marker], [log, request])
    step.close()
    with contextlib.suppress(BrokenPipeError):  # the warm Python has ended
        os.write(tells, _TAKEN)
    for descriptor in (log, request, tells):
        os.close(descriptor)
    return journal


def _wait(shim: socket.socket) -> "tuple[bytes, int]":
    """Wait for the shim's word to begin: what is to be run, and the log."""
    _, files, _, _ = socket.recv_fds(shim, MARKER_BYTES_MAX, 2, socket.MSG_CMSG_CLOEXEC)
    shim.close()
    if len(files) != 2:
        os._exit(0)  # the shim is gone
    log, request = files
    with open(request, "rb") as content:
        return content.read(), log


def _become_step(request: bytes, log: int, started_with: "dict[bytes, bytes]", memory: Memory) -> None:
    """Be as an interpreter is that was started for this step and has come as far as this."""
    try:
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.close(log)
        marker, work, packages, folder, source, count, *texts = request.split(b"\0")
        memory.mark(marker)
        os.chdir(work)
        arguments, variables = texts[: int(count)], texts[int(count) :]
        _set_variables(dict(entry.split(b"=", 1) for entry in variables), started_with, memory.given)
        os.mkdir(folder, 0o700)
        path = os.path.join(folder, COMPONENT_FILE)
        with open(path, "wb") as component:
            component.write(source)
        sys.argv[1:] = sys.orig_argv[3:] = [*map(os.fsdecode, (b"--component_module_path", path, *arguments))]
        sys.path.insert(0, os.fsdecode(packages))
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _set_variables(environ: "dict[bytes, bytes]", started_with: "dict[bytes, bytes]", given: "set[bytes]") -> None:
    environ[b"PWD"] = os.getcwdb()  # as the shell does that the component is written for
    environ[b"_KFP_RUNTIME"] = b"true"
    for name in started_with.keys() - environ.keys():
        if name in given:  # the others Python adds as it starts
            del os.environb[name]
    for name, text in environ.items():
        if started_with.get(name) != text:
            os.environb[name] = text
    time.tzset()
    began: Any = logging._startTime  # type: ignore[attr-defined]  # what records tell their relative time from
    logging._startTime = time.time() if isinstance(began, float) else time.time_ns()  # type: ignore[attr-defined]


if __name__ == NAME:
    try:
        serve(socket.socket(fileno=int(sys.argv[-2])))
    except Exception:
        os._exit(1)  # it may not go on to run the executor; the server hears of its end
