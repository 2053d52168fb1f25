"""A package index in a folder, and steps that ask for packages from it."""

import base64
import hashlib
import os
import shlex
import zipfile
from collections.abc import Sequence
from pathlib import Path

from uv import find_uv_bin

from penstock_server.launch.base import StepRequest
from tests.launch.world import component, step


def make_wheel(folder: Path, name: str = "tiny", value: int = 42) -> Path:
    """A wheel of a package that holds `VALUE`."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": f"VALUE = {value}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_digest(content)},{len(content)}\n" for path, content in files.items())
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, content)
    return wheel


def python_step(code: str, root: Path, *packages: str, arguments: Sequence[str] = ()) -> StepRequest:
    """A step that asks for packages as KFP's lightweight components do, from wheels in `root`, and runs
    `code` with the arguments."""
    make_wheel(root / "wheels")
    wanted = " ".join(shlex.quote(package) for package in packages or ("tiny==1.0",))
    return step(of=component(["sh", "-c", prologue(wanted), "sh", "-ec", 'python3 -c "$0" "$@"', code, *arguments]))


def prologue(wanted: str) -> str:
    """What the command of a lightweight component begins with."""
    return (
        '\nif ! [ -x "$(command -v pip)" ]; then\n'
        "    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip\n"
        "fi\n\nPIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --no-warn-script-location "
        f'{wanted} && "$0" "$@"\n'
    )


def counting_uv(root: Path) -> Path:
    """A `uv` that installs from `root/wheels` only and notes its calls in `root/uv-calls`."""
    return _script(root / "uv-counting", f'echo "$@" >> {root}/uv-calls\n', root)


def slow_uv(root: Path) -> Path:
    """A `uv` that waits for `root/uv-gate` before it does anything, and says in `root/uv-started` that it
    does."""
    wait = f"touch {root}/uv-started\nuntil [ -e {root}/uv-gate ]; do sleep 0.01; done\n"
    return _script(root / "uv-slow", wait, root)


def uv_calls(root: Path) -> list[str]:
    """The calls that `counting_uv` has noted."""
    calls = root / "uv-calls"
    return calls.read_text().splitlines() if calls.exists() else []


def _script(path: Path, body: str, root: Path) -> Path:
    # Written under another name first: a script that is being written cannot be executed by a process just
    # forked.
    new = path.with_suffix(".new")
    offline = f"export UV_OFFLINE=1 UV_FIND_LINKS={root}/wheels UV_NO_INDEX=1\n"
    new.write_text(f'#!/bin/sh\n{body}{offline}exec {find_uv_bin()} "$@"\n')
    new.chmod(0o755)
    os.replace(new, path)
    return path


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
