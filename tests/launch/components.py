"""Steps that are KFP Python components, and the Python environment that they share."""

import asyncio
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock_server.launch.base import StepRequest
from penstock_server.launch.scratch import Folders
from penstock_server.model.resources import TaskValues
from penstock_server.spec.graph import ParameterType
from tests.launch.packages import prologue
from tests.launch.world import Watched, component, running, step

PACKAGES = "'kfp==2.14.3' '--no-deps'"
SCRIPT = """program_path=$(mktemp -d)

printf "%s" "$0" > "$program_path/ephemeral_component.py"
_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main --component_module_path "$program_path/ephemeral_component.py" "$@"
"""
NOTE_KIND = "open('kind', 'w').write('warm' if 'penstock-warm-python' in open('/proc/self/cmdline').read() else 'cold')"
"""A line of a component that notes in its working directory whether it was forked."""
NOTE_PYTHON = "open('python', 'w').write(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])"
"""A line that notes who has started its shim."""


def kfp_step(
    body: str,
    *,
    signature: str = "",
    returns: str = "None",
    inputs: Mapping[str, ParameterType] | None = None,
    outputs: Mapping[str, ParameterType] | None = None,
    env: Sequence[tuple[str, str]] = (),
    given: TaskValues | None = None,
    **options: object,
) -> StepRequest:
    """A step that runs the function with this body, compiled as the SDK does it. The body has `os` and `sys`."""
    source = "\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n"
    source += f"def run({signature}) -> {returns}:\n"
    source += textwrap.indent("import os, sys\n" + textwrap.dedent(body), "    ")
    command = ["sh", "-c", prologue(PACKAGES), "sh", "-ec", SCRIPT, source]
    arguments = ["--executor_input", "{{$}}", "--function_to_execute", "run"]
    of = component(command, arguments, env=env, inputs=inputs, outputs=outputs)
    return step(of=of, inputs=given, **options)  # type: ignore[arg-type]  # handed on as they are


async def make_environment(root: Path) -> Path:
    """The folder with the Python environments of a launcher on `root`, one with kfp among them."""
    async with running(root) as launched:
        end = await launched.run(kfp_step("pass"))
        assert end.exit_code == 0, end
    shutil.rmtree(root / "steps")
    return root / "environments"


def kind_of(root: Path, request: StepRequest) -> str:
    """What a component with NOTE_KIND has noted: `warm` when it was forked, else `cold`; empty before that."""
    noted = Path(Folders(root / "steps").of(request.attempt).work, "kind")
    return noted.read_text() if noted.exists() else ""


async def warm_up(root: Path, launched: Watched) -> int:
    """Run components until one is forked; returns the process id of the warm Python."""
    async with asyncio.timeout(20):
        while True:
            request = kfp_step(f"{NOTE_PYTHON}\n{NOTE_KIND}")
            await launched.run(request)
            if kind_of(root, request) == "warm":
                return python_of(root, request)


def python_of(root: Path, request: StepRequest) -> int:
    """The process id that a component with NOTE_PYTHON has noted."""
    return int(Path(Folders(root / "steps").of(request.attempt).work, "python").read_text())


def said(log: bytes) -> str:
    """What the component itself has printed: the log without the lines of the executor."""
    lines = log.decode().splitlines(keepends=True)
    begin = next((index + 1 for index, line in enumerate(lines) if line == "}\n"), 0)
    return "".join(line for line in lines[begin:] if not line.startswith("[KFP Executor "))
