"""What the guide from Kubeflow tells one to type is typed, word by word, at real servers, and prints what it says."""

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.servers import BIN, Server, running

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = ROOT / "docs" / "guides" / "from-kubeflow.md"
EXAMPLE = ROOT / "examples" / "line_fit" / "pipeline.yaml"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARK = "----- end of a block"
TIMEOUT_S = 180

pytestmark = pytest.mark.slow


def steps() -> list[tuple[str, str | None]]:
    """Each block of commands, and what is to be printed by it; None where the guide does not say."""
    found: list[tuple[str, str | None]] = []
    for kind, content in BLOCK.findall(GUIDE.read_text()):
        if kind == "sh":
            found.append((content, None))
        else:
            commands, told = found.pop()
            assert told is None, "two outputs of the same commands"
            found.append((commands, content))
    return found


def test_the_commands_of_the_guide_print_what_it_says(tmp_path: Path, new_dsn: Callable[[], str]) -> None:
    def server(name: str) -> AbstractContextManager[Server]:
        return running(tmp_path / name, "--database-url", new_dsn())

    with server("kfp") as kfp, server("penstock") as penstock:
        printed = typed(steps(), kfp, penstock, tmp_path)
    assert printed == [told for _commands, told in steps()]
    assert None not in printed
    assert len(printed) == 9


def typed(blocks: list[tuple[str, str | None]], kfp: Server, penstock: Server, folder: Path) -> list[str]:
    """What each block prints, typed into one shell. The guide's first server is KFP to its second."""
    hosts = {
        "http://127.0.0.1:8888": f"http://{kfp.http}",
        "https://kfp.example/pipeline": f"http://{kfp.http}",
        "http://penstock.example:8888": f"http://{penstock.http}",
        "penstock.example:8887": penstock.grpc,
    }
    script = f"echo '{MARK}'\n".join(["set -euo pipefail\n", *(commands for commands, _told in blocks)])
    for name, address in hosts.items():
        assert name in script
        script = script.replace(name, address)
    (folder / "pipeline.yaml").write_bytes(EXAMPLE.read_bytes())
    environ = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "PENSTOCK_TARGET": kfp.grpc}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    nothing, *printed = done.stdout.split(f"{MARK}\n")
    assert nothing == ""
    return printed
