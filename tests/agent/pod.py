"""The stages of a pod, run as a pod runs them."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock_agent.plan import Fetch, OutputArtifact, StagePlan, StoreOptions
from penstock_agent.report import StepReport
from penstock_agent.stores import Store
from tests.object_stores import CREDENTIALS

SERVER = Path(__file__).resolve().parents[2] / "server"
TIMEOUT_S = 60
AWAY = StoreOptions("http://127.0.0.1:1", allow_http=True, root="s3://nowhere/x")
"""Of a store that nobody serves."""


@dataclass
class Pod:
    """The volumes of a pod, and its store."""

    root: Path
    options: StoreOptions
    store: Store

    @property
    def plan(self) -> StagePlan:
        """One output parameter, one output artifact, one input."""
        shared, root = self.root / "penstock", f"{self.options.root}/run/train/1"
        return StagePlan(
            attempt="run/train/1",
            report_uri=f"{root}/.penstock/report.json",
            closed_uri=f"{root}/.penstock/closed.json",
            output_root=root,
            shared=str(shared),
            outputs=f"{shared}/outputs",
            output_file=f"{shared}/outputs/output_metadata.json",
            grace_s=30,
            folders=tuple(f"{shared}/{name}" for name in ("inputs", "outputs", "parameters")),
            fetches=(Fetch(f"{self.options.root}/data", f"{shared}/inputs/data.0"),),
            inputs={"data": (f"{shared}/inputs/data.0",)},
            parameters={"accuracy": f"{shared}/parameters/accuracy"},
            artifacts={"model": OutputArtifact(f"{shared}/outputs/model", f"{root}/model")},
            workspace=str(self.root / "kfp-workspace"),
        )

    @property
    def message(self) -> str:
        """The termination message."""
        return (self.root / "message").read_text()

    def environ(self, plan: StagePlan | None = None, **more: str) -> dict[str, str]:
        plan = plan or self.plan
        return {
            **CREDENTIALS,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SERVER),
            "PENSTOCK_PLAN": plan.to_variable() or "",
            "PENSTOCK_STORE": self.options.to_text(),
            "PENSTOCK_MESSAGE_FILE": str(self.root / "message"),
            **more,
        }

    @property
    def log(self) -> str:
        """What the stages that were run have said."""
        return (self.root / "log").read_text()

    def run(self, command: str, plan: StagePlan | None = None, *, through: Sequence[str] = (), **more: str) -> int:
        """Run a command to its end; the exit status."""
        environ = self.environ(plan, **more)
        with (self.root / "log").open("a") as log:
            return subprocess.run(
                [*through, *agent(command)], env=environ, check=False, timeout=TIMEOUT_S, stderr=log
            ).returncode

    @contextmanager
    def waiting(
        self, plan: StagePlan | None = None, *, through: Sequence[str] = (), **more: str
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """*stage-out* on its way to wait for its end."""
        environ = self.environ(plan, **more)
        with (
            (self.root / "log").open("a") as log,
            subprocess.Popen([*through, *agent("stage-out")], env=environ, stderr=log) as process,
        ):
            until_signals_are_kept(process.pid)
            yield process

    def end(self, plan: StagePlan | None = None, *, through: Sequence[str] = (), **more: str) -> int:
        """Run *stage-out* and end it."""
        with self.waiting(plan, through=through, **more) as process:
            process.terminate()
            return process.wait(TIMEOUT_S)

    def report(self) -> StepReport:
        content = self.store.read(self.plan.report_uri, 1024 * 1024)
        assert content is not None
        return StepReport.from_json(content)


def agent(*command: str) -> list[str]:
    """The command line of the agent."""
    return [sys.executable, "-m", "penstock_agent", *command]


def until_signals_are_kept(pid: int) -> None:
    """Whoever ends a container before its first instruction ends it for good, here as in a pod."""
    kept = re.compile(rb"^Sig(Blk|Cgt):\s*[0-9a-f]*[4-7c-f][0-9a-f]{3}$", re.MULTILINE)
    process = Path(f"/proc/{pid}")
    deadline = time.monotonic() + TIMEOUT_S
    # One that waits for signals is not told to block those.
    while (
        not kept.search((process / "status").read_bytes()) and b"sigtimedwait" not in (process / "wchan").read_bytes()
    ):
        assert time.monotonic() < deadline, "the agent does not ask for its signals"
        os.sched_yield()
