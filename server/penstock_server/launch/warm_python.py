"""A warm Python: an interpreter of a step environment that has loaded the KFP executor and is forked for each step.

An interpreter that was started as `python3 -m kfp.dsl.executor_main` runs this file in the middle of its own start (see
`launch.warm_hook`) and never comes back from it, but its forks do: a step goes on to start as any fresh interpreter
does, only that the executor and what it imports are there already. Nothing of ours can be imported here.

    warm Python ──fork──► spare ──request──► shim ──fork──► step

A spare is a shim that waits for its step, so that one fork of the two is made before it is needed. The shim keeps the
journal (see `launch.journal`) as the shell of `launch.shim` does. Step and shim outlive the warm Python and the server.
"""

import atexit
import gc
import importlib.util
import json
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
EXECUTOR = "kfp.dsl.executor_main"
COMPONENT_FILE = "ephemeral_component.py"
READY = b"ready"
REQUEST_BYTES_MAX = 16
REQUEST_FILES = 3
"""With a request come the descriptors of the journal, of the log and of a file with the rest as JSON."""
_TAKEN = b"."
_CAUGHT = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
"""What is sent to the group must not end the shim before it has written the status of the step."""


def serve(channel: socket.socket) -> None:
    """Load the executor, then fork until the server is gone. Returns in each step, and nowhere else."""
    marker = Marker()
    added = {name: text for name, text in os.environb.items() if name not in marker.given}
    keep_loaded()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for a shim: the system takes their status
    channel.send(READY)
    while True:
        hears, tells = os.pipe()
        if os.fork() == 0:
            os.close(hears)
            _become_step(*_shim(channel, tells, marker), added)
            return
        os.close(tells)
        if os.read(hears, 1) != _TAKEN:
            os._exit(0)  # the server is gone, or the spare was killed: what was asked of it is to be asked of another
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
    kept: list[Any] = [*sys.modules.values()]
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


class Marker:
    """The place in this process's memory where the system reads the variable MARKER from.

    A fork keeps the variables that its parent was started with, as far as others can see: unless they are written over.
    """

    def __init__(self) -> None:
        with open("/proc/self/environ", "rb") as environ:
            block = environ.read()
        with open("/proc/self/stat", "rb") as stat:
            start = int(stat.read().rpartition(b")")[2].split()[47])  # env_start, the 50th field of all
        self.given = {entry.partition(b"=")[0] for entry in block.split(b"\0")}
        """The names of the variables this process was started with."""
        offset = 0 if block.startswith(MARKER) else block.index(b"\0" + MARKER) + 1
        self._address = start + offset
        self._size = block.index(b"\0", offset) - offset
        self.write(block[offset : offset + self._size])

    def write(self, entry: bytes) -> None:
        """Name the variable's value, for this process and its forks."""
        padded = entry.ljust(self._size, b"\0")
        memory = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)
        written = os.pwrite(memory, padded, self._address)
        os.close(memory)
        if written != len(padded):
            raise OSError("the variables of this process cannot be written over")


def _shim(channel: socket.socket, tells: int, marker: Marker) -> "tuple[dict[str, Any], int]":
    """Wait for a request and see its step through. Returns in the step: what it is asked to be, and its log."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in _CAUGHT:
        signal.signal(number, lambda *_: None)
    try:
        _, files, _, _ = socket.recv_fds(channel, REQUEST_BYTES_MAX, REQUEST_FILES)
        if len(files) != REQUEST_FILES:
            os._exit(0)  # the server is gone, or there is no room for files
        os.setsid()
        journal, log, asked = files
        with open(asked, encoding="utf-8") as content:
            request = json.load(content)
        marker.write(request["marker"].encode())
        os.write(journal, b"pid %d\n" % os.getpid())
        _answer(channel, tells)
        signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
        step = os.fork()
    except BaseException:
        os._exit(1)
    if step == 0:
        os.close(journal)
        return request, log
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
    status = os.waitstatus_to_exitcode(os.waitpid(step, 0)[1])
    os.write(journal, b"exit %d\n" % (status if status >= 0 else 128 - status))
    os.kill(0, signal.SIGKILL)  # the group: whatever the step has left running, and this process
    os._exit(1)


def _answer(channel: socket.socket, tells: int) -> None:
    """Tell the server of this shim, and the warm Python that there is need for another spare."""
    itself = os.pidfd_open(os.getpid())
    try:
        socket.send_fds(channel, [b"%d" % os.getpid()], [itself])
        os.write(tells, _TAKEN)
    except OSError:
        pass  # they are gone; the step runs all the same, and its journal tells of it
    for descriptor in (itself, tells):
        os.close(descriptor)
    channel.close()


def _become_step(request: "dict[str, Any]", log: int, added: "dict[bytes, bytes]") -> None:
    """Be as an interpreter is that was started for this step and has come as far as this."""
    try:
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.close(log)
        os.chdir(request["work"])
        _set_environment(request["environ"], added)
        _set_signals()
        folder = os.path.join(request["tmp"], f"tmp.{os.urandom(5).hex()}")
        os.mkdir(folder, 0o700)
        path = os.path.join(folder, COMPONENT_FILE)
        with open(path, "wb") as component:
            component.write(request["source"].encode())
        arguments = [os.fsdecode(text.encode()) for text in ["--component_module_path", path, *request["arguments"]]]
        sys.argv[1:] = sys.orig_argv[3:] = arguments
        sys.path.insert(0, request["packages"])
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _set_environment(environ: "dict[str, str]", added: "dict[bytes, bytes]") -> None:
    os.environb.clear()
    os.environb.update({name.encode(): text.encode() for name, text in environ.items()})
    os.environb[b"PWD"] = os.getcwdb()  # as the shell does that the component is written for
    os.environb[b"_KFP_RUNTIME"] = b"true"
    for name, text in added.items():
        os.environb.setdefault(name, text)
    time.tzset()
    began: Any = logging._startTime  # type: ignore[attr-defined]  # what records tell their relative time from
    logging._startTime = time.time() if isinstance(began, float) else time.time_ns()  # type: ignore[attr-defined]


def _set_signals() -> None:
    for number in _CAUGHT:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)


if __name__ == NAME:
    try:
        serve(socket.socket(fileno=int(sys.argv[-2])))
    except Exception:
        os._exit(1)  # it may not go on to run the executor; the server hears of its end
