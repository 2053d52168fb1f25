"""Where the files of attempts lie, and how they come and go.

    live/<name>/   everything of an attempt that is not yet forgotten: journal, work, outputs, parameters,
    tmp, packages logs/<run uid>/<task id>.<number>.log   stays when the attempt is forgotten, and tells that
    there was one
    trash/         what is forgotten, until it is removed

`<name>` is short on purpose: temporary files of steps lie below it, and the path of a Unix socket has only
107 bytes. Forgetting is one rename, so that it is whole or not at all and costs nothing while others wait.
"""

import hashlib
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from penstock_server.model.ids import AttemptId

NAME_BYTES_MAX = 120
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LIVE_PARTS = ("work", "outputs", "parameters", "tmp", "packages")


def file_name(text: str) -> str:
    """A name for a file or folder that tells `text` from every other; `text` itself where that is safe."""
    if len(text) <= NAME_BYTES_MAX and _PLAIN.match(text):
        return text
    return f"{_UNSAFE.sub('_', text[:60])}~{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """The places of one attempt."""

    live: Path
    log: Path
    """Standard output and standard error of the step, and what the launcher had to say of it."""

    @property
    def journal(self) -> Path:
        """What happened to it; see `launch.journal`."""
        return self.live / "journal"

    @property
    def work(self) -> Path:
        """The step's working directory."""
        return self.live / "work"

    @property
    def outputs(self) -> Path:
        """The step's task directory: output artifacts, and the executor's output file beside them."""
        return self.live / "outputs"

    @property
    def parameters(self) -> Path:
        """One file for each output parameter."""
        return self.live / "parameters"

    @property
    def tmp(self) -> Path:
        """The step's TMPDIR."""
        return self.live / "tmp"

    @property
    def packages(self) -> Path:
        """Where packages go that the step installs by itself."""
        return self.live / "packages"

    @property
    def inputs(self) -> Path:
        """Input artifacts that had to be fetched; made when there are any."""
        return self.live / "inputs"

    def make(self) -> None:
        """Make the folders the journal and the log need; repeating it is safe."""
        self.log.parent.mkdir(exist_ok=True)
        self.live.mkdir(exist_ok=True)

    def make_parts(self) -> None:
        """Make the folders the step needs; repeating it is safe."""
        for part in _LIVE_PARTS:
            (self.live / part).mkdir(exist_ok=True)

    def append_log(self, text: str) -> None:
        """Tell the user something in the log."""
        with self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(text if text.endswith("\n") else f"{text}\n")


class Folders:
    """The folder that the launchers of one host share."""

    def __init__(self, root: Path) -> None:
        root = root.absolute()
        self.live = root / "live"
        self.logs = root / "logs"
        self.trash = root / "trash"

    def prepare(self) -> None:
        """Make what is missing."""
        for folder in (self.live, self.logs, self.trash):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def of(self, attempt: AttemptId) -> AttemptFolder:
        """The places of `attempt`."""
        name = hashlib.sha256(str(attempt).encode()).hexdigest()[:20]
        log = f"{file_name(attempt.task_id)}.{attempt.number}.log"
        return AttemptFolder(self.live / name, self.logs / str(attempt.run_uid) / log)

    def discard(self, folder: AttemptFolder) -> None:
        """Let go of all but the log, which is made where there is none: it tells that the attempt was
        here."""
        if not folder.live.exists():
            return
        folder.make()
        folder.log.touch()
        try:
            folder.live.rename(self.trash / f"{folder.live.name}-{uuid.uuid4().hex[:8]}")
        except FileNotFoundError:
            # Another server was faster.
            return

    def empty_trash(self) -> None:
        """Remove what was discarded, by this server or by one that was killed meanwhile. Takes its time."""
        for entry in os.scandir(self.trash):
            # What another server removes at the same moment, or a step has made unremovable, is no concern of
            # ours.
            shutil.rmtree(entry.path, ignore_errors=True)
