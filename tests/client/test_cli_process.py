"""The command line as a process of its own: exit statuses, streams, and the tree on a real terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import grpc
import pytest

from penstock.v1.run_pb2 import Run
from penstock.v1.run_service_pb2 import ListRunsResponse, WatchRunRequest, WatchRunResponse
from tests.client.scripted import ScriptedServer
from tests.client.stories import RUN, Story

PENSTOCK = str(Path(sys.executable).parent / "penstock")
NOBODY = "127.0.0.1:1"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def penstock(*arguments: str, target: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PENSTOCK_TARGET": target}
    return subprocess.run(
        [PENSTOCK, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


class Terminal:
    """A command on a terminal of 80 columns."""

    def __init__(self, *arguments: str, target: str) -> None:
        self.reader, writer = pty.openpty()
        environment = {
            **os.environ,
            "PENSTOCK_TARGET": target,
            "TERM": "xterm-256color",
            "COLUMNS": "80",
            "LINES": "24",
            "PYTHONUTF8": "1",
        }
        self.process = subprocess.Popen(
            [PENSTOCK, *arguments], env=environment, stdin=writer, stdout=writer, stderr=writer
        )
        os.close(writer)
        self.shown = ""

    def read_until(self, text: str, timeout_s: float = 60) -> None:
        """Read what is drawn until `text` has been."""
        deadline = time.monotonic() + timeout_s
        while text not in self.shown and time.monotonic() < deadline and self._read():
            pass
        assert text in self.shown

    def end(self) -> int:
        """Read to the end; the exit status."""
        while self._read():
            pass
        return self.process.wait(60)

    def _read(self) -> bool:
        try:
            piece = os.read(self.reader, 65536)
        except OSError:
            # Linux's way of telling that the other side of a terminal is closed.
            return False
        self.shown += ESCAPES.sub("", piece.decode(errors="replace"))
        return bool(piece)


@pytest.fixture
def held(server: ScriptedServer) -> Iterator[tuple[Story, Event]]:
    """A story whose watch stops before its end until the event is set."""
    story, go_on = Story(), server.cancellation()
    story.script(server)

    def watch(request: WatchRunRequest, context: grpc.ServicerContext) -> Iterator[WatchRunResponse]:
        for response in story.responses[int(request.after_sequence) :]:
            if response.event.sequence == 9:
                go_on.wait(60)
            story.seen = response.event.sequence
            yield response

    server.on("WatchRun", watch)
    yield story, go_on
    go_on.set()


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("--version",), 0),
        (("--help",), 0),
        (("runs", "lsit"), 2),
        (("run", "nowhere.yaml"), 2),
        (("--target", "nonsense", "runs", "list"), 2),
        (("runs", "list"), 3),
        (("run", "line-fit"), 3),
        (("runs", "watch", "my-run"), 3),
        (("server", "status"), 3),
    ],
)
def test_exit_statuses(arguments: tuple[str, ...], exit_code: int) -> None:
    ended = penstock(*arguments, target=NOBODY)
    assert ended.returncode == exit_code
    assert "Traceback" not in ended.stderr
    assert (ended.stdout == "") is (exit_code != 0)


def test_a_run_that_fails_exits_with_1(server: ScriptedServer) -> None:
    Story(fails=True).script(server)
    assert penstock("runs", "watch", "line-fit-1", target=server.address).returncode == 1


def test_a_reader_that_leaves_early_is_no_error(server: ScriptedServer) -> None:
    runs = [Run(name=f"namespaces/default/runs/run-{number}-{'x' * 40}") for number in range(5000)]
    server.on("ListRuns", ListRunsResponse(runs=runs))
    command = f"{PENSTOCK} --target {server.address} runs list --limit 5000 | head -n 1"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.startswith("RUN")
    assert ended.stderr == ""


def test_the_tree_lives_on_a_terminal(server: ScriptedServer, held: tuple[Story, Event]) -> None:
    terminal = Terminal("runs", "watch", "line-fit-1", target=server.address)
    terminal.read_until("└─ ● fit")
    assert "├─ ✔ make" in terminal.shown
    assert "● line-fit-1  RUNNING" in terminal.shown
    held[1].set()
    assert terminal.end() == 0
    assert "└─ ✔ fit" in terminal.shown
    assert "epochs: 5" in terminal.shown


def test_ctrl_c_on_a_terminal_leaves_the_run_alone(server: ScriptedServer, held: tuple[Story, Event]) -> None:
    terminal = Terminal("runs", "watch", RUN, target=server.address)
    terminal.read_until("└─ ● fit")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "left run line-fit-1 alone: it goes on" in terminal.shown
    assert "Traceback" not in terminal.shown
