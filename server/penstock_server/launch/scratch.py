"""Where the files of attempts lie, and how they come and go.

    live/<name>/   everything of an attempt that is not yet forgotten: journal, work, outputs, parameters,
    tmp, packages logs/<run uid>/<task id>.<number>.log   stays when the attempt is forgotten, and tells that
    there was one
    workspaces/<run uid>/   what the steps of a run share, until the run is deleted
    trash/         what is forgotten, until it is removed

`<name>` is short on purpose: temporary files of steps lie below it, and the path of a Unix socket has only
107 bytes. Forgetting is one rename, so that it is whole or not at all and costs nothing while others wait.
"""

import hashlib
import os
import re
import subprocess
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from penstock_server.model.ids import AttemptId, RunUid

NAME_BYTES_MAX = 120
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_PATHS_AT_ONCE = 500
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def file_name(text: str) -> str:
    """A name for a file or folder that tells `text` from every other; `text` itself where that is safe."""
    if len(text) <= NAME_BYTES_MAX and _PLAIN.match(text):
        return text
    return f"{_UNSAFE.sub('_', text[:60])}~{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """The places of one attempt. As text: a dozen of them are needed for each step."""

    live: str
    log: str
    """Standard output and standard error of the step, and what the launcher had to say of it."""
    workspace: str
    """The folder that the steps of its run share; made when a step needs it."""

    @property
    def journal(self) -> str:
        """What happened to it; see `launch.journal`."""
        return f"{self.live}/journal"

    @property
    def work(self) -> str:
        """The step's working directory."""
        return f"{self.live}/work"

    @property
    def outputs(self) -> str:
        """The step's task directory: output artifacts, and the executor's output file beside them; made when any
        outputs are declared."""
        return f"{self.live}/outputs"

    @property
    def parameters(self) -> str:
        """One file for each output parameter; made when there are any."""
        return f"{self.live}/parameters"

    @property
    def tmp(self) -> str:
        """The step's TMPDIR."""
        return os.path.join(self.live, "tmp")

    @property
    def packages(self) -> str:
        """Where packages go that the step installs by itself."""
        return f"{self.live}/packages"

    @property
    def inputs(self) -> str:
        """Input artifacts that had to be fetched; made when there are any."""
        return f"{self.live}/inputs"

    def make(self) -> None:
        """Make the folders the journal and the log need; repeating it is safe."""
        make_folder(os.path.dirname(self.log))
        make_folder(self.live)

    def make_parts(self, *, with_outputs: bool, with_parameters: bool, with_workspace: bool) -> None:
        """Make the folders the step needs, and no others, since each costs time; repeating it is safe."""
        parts = [self.work, self.tmp, self.packages]
        parts += [self.outputs] if with_outputs else []
        parts += [self.parameters] if with_parameters else []
        parts += [self.workspace] if with_workspace else []
        for part in parts:
            make_folder(part)

    def has_log(self) -> bool:
        """True once the attempt has come far enough to have a log, and from then on for good."""
        return os.path.exists(self.log)

    def append_log(self, text: str) -> None:
        """Tell the user something in the log, on a line of its own."""
        with open(self.log, "a", encoding="utf-8", errors="replace") as log:
            log.write(f"{text}\n" if text else "")


def make_folder(path: str) -> None:
    """Make a folder unless it is there."""
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)


class Folders:
    """The folder that the launchers of one host share."""

    def __init__(self, root: Path) -> None:
        root = root.absolute()
        self.live = root / "live"
        self.logs = root / "logs"
        self.workspaces = root / "workspaces"
        self.trash = root / "trash"

    def prepare(self) -> None:
        """Make what is missing."""
        for folder in (self.live, self.logs, self.workspaces, self.trash):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def of(self, attempt: AttemptId) -> AttemptFolder:
        """The places of `attempt`."""
        name = hashlib.sha256(str(attempt).encode()).hexdigest()[:20]
        log = f"{file_name(attempt.task_id)}.{attempt.number}.log"
        return AttemptFolder(
            f"{self.live}/{name}", f"{self.logs}/{attempt.run_uid}/{log}", f"{self.workspaces}/{attempt.run_uid}"
        )

    def discard(self, folder: AttemptFolder) -> None:
        """Let go of all but the log, made where there is none: it tells that the attempt was here."""
        if not folder.has_log():
            if not os.path.exists(folder.live):
                return
            folder.make()
            folder.append_log("")
        try:
            os.rename(folder.live, f"{self.trash}/{os.path.basename(folder.live)}-{uuid.uuid4().hex[:8]}")
        except FileNotFoundError:
            # It has been discarded before, or another server was faster.
            return

    def discard_run(self, run_uid: RunUid) -> None:
        """Let go of the logs and the workspace of a run."""
        for kept in (self.logs / str(run_uid), self.workspaces / str(run_uid)):
            with suppress(FileNotFoundError):  # discarded before, or there never was one
                kept.rename(self.trash / f"{kept.name}-{uuid.uuid4().hex[:8]}")

    def empty_trash(self) -> None:
        """Remove what was discarded, by this server or by one that was killed meanwhile. Takes its time.

        `rm` does it in a process of its own, so that the event loop does not share the interpreter with it.
        """
        paths = [entry.path for entry in os.scandir(self.trash)]
        for start in range(0, len(paths), _PATHS_AT_ONCE):
            # What another server removes at the same moment, or a step has made unremovable, is no concern of ours.
            subprocess.run(
                ["rm", "-rf", "--", *paths[start : start + _PATHS_AT_ONCE]], check=False, stderr=subprocess.DEVNULL
            )
