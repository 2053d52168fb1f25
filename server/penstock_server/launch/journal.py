"""The journal of an attempt: a file of lines that tells, after any crash, what happened to it.

    launch {...}        a server is about to start it; once more when it is tried again before it ran
    pid 4711            written by the shim before the program runs: from here on it must not be started again
    stop REASON 12.5    a server wants it ended; the number is the host's uptime in seconds
    exit 0              written by the shim when the program has ended, with the shell's idea of its status
    end {...}           how it ended as told to the engine; nothing follows

A line counts only with its newline. Whoever holds the lock on the file has the attempt in hand: first a
server, which prepares and starts it, then the shim, which inherits the lock and so holds it for exactly as
long as it lives. Lock free and `pid` without `exit` means that nobody will ever tell how it ended.
"""

import fcntl
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from penstock_server.model.json import JsonObject

_UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_PROC = Path("/proc/self/fd")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def uptime_s() -> float:
    """Seconds since the host started: shared by all processes, and does not jump as wall time does."""
    return time.clock_gettime(_UPTIME)


def read_boot_id() -> str:
    """What tells this start of the host from all others; empty where the system does not say."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


@dataclass(frozen=True, slots=True)
class StopLine:
    """Somebody wanted the attempt ended."""

    reason: str
    uptime_s: float


@dataclass(slots=True)
class Record:
    """What a journal says."""

    launch: "JsonObject | None" = None
    """The newest, as given to `Journal.launch`."""
    pid: int | None = None
    """Of the shim, which is also its process group and session."""
    stop: StopLine | None = None
    """The first one before the program ended."""
    exit_code: int | None = None
    end: "JsonObject | None" = None

    @property
    def started_s(self) -> float:
        """The host's uptime at the newest launch; 0 where none is noted."""
        started = self.launch.get("uptime_s") if self.launch is not None else None
        return float(started) if isinstance(started, int | float) else 0.0


def parse(content: bytes) -> Record:
    """The record in `content`; what is torn or foreign is left out."""
    record = Record()
    for line in content.split(b"\n")[:-1]:
        word, _, rest = line.decode("utf-8", "replace").partition(" ")
        try:
            _note(record, word, rest)
        except ValueError:
            # A machine that lost power may leave such lines; the journal is worth what can be read of it.
            continue
    return record


def _note(record: Record, word: str, rest: str) -> None:
    if word == "launch":
        record.launch = json.loads(rest)
    elif word == "pid":
        record.pid = int(rest)
    elif word == "exit" and record.exit_code is None:
        record.exit_code = int(rest)
    elif word == "stop" and record.stop is None and record.exit_code is None:
        reason, uptime = rest.split(" ")
        record.stop = StopLine(reason, float(uptime))
    elif word == "end":
        record.end = json.loads(rest)


@dataclass(slots=True)
class Journal:
    """An open journal. Close it, or hand its descriptor to the shim and close it then."""

    fd: int
    locked: bool = field(default=False, init=False)

    @classmethod
    def open(cls, path: str) -> "Journal":
        """Open it, empty where there was none. Raises FileNotFoundError without the folder."""
        return cls(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))

    @classmethod
    def open_existing(cls, path: str) -> "Journal | None":
        """Open it; None where there is none."""
        try:
            return cls(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))
        except FileNotFoundError:
            return None

    def lock(self) -> bool:
        """Take the attempt in hand; False when somebody else has it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.locked = True
        return True

    def read(self) -> Record:
        """What it says at this moment."""
        return parse(os.pread(self.fd, os.fstat(self.fd).st_size, 0))

    def launch(self, facts: JsonObject) -> None:
        """Note that the attempt is about to start."""
        self._append(f"launch {json.dumps(facts)}")

    def stop(self, reason: str) -> None:
        """Note that the attempt is wanted ended."""
        self._append(f"stop {reason} {uptime_s():.3f}")

    def end(self, observation: JsonObject) -> None:
        """Note how the attempt ended."""
        self._append(f"end {json.dumps(observation)}")

    def is_held_by(self, pid: int) -> bool:
        """True when process `pid` is the shim of this journal: one of the few files it has open.

        Where the system does not show the files of processes, their ids have to do.
        """
        ours = os.fstat(self.fd)
        folder = f"/proc/{pid}/fd"
        try:
            return any(_is_same(f"{folder}/{name}", ours) for name in os.listdir(folder))
        except OSError:
            return not _PROC.exists() and process_exists(pid)

    def close(self) -> None:
        """Let go of the file; the lock goes unless the shim shares it."""
        os.close(self.fd)

    def _append(self, line: str) -> None:
        os.write(self.fd, line.encode() + b"\n")


def _is_same(path: str, ours: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), ours)
    except OSError:
        # It was closed between listing and looking.
        return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def process_exists(pid: int) -> bool:
    """True when there is such a process, whoever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It is another user's.
        return True
    return True
