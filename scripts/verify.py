"""Checks the schema and the code made from it.

The generated code must be what `scripts/generate.py` makes of the present schema; the schema must pass
`buf lint` and `buf format`, and must not break what the last commit promised.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from generate import BIN, PACKAGE, PYTHON_CLIENT, generate, generated_files
from protos import ROOT, THIRD_PARTY, gather

SCHEMA_FOLDER = "proto"


def main() -> int:
    """Run all checks, also after one has failed; 1 when any has."""
    gather()
    checks: dict[str, Callable[[], bool]] = {
        "generated code": generated_code_is_current,
        "buf lint": lambda: buf("lint", SCHEMA_FOLDER),
        "buf format": lambda: buf("format", SCHEMA_FOLDER, "--diff", "--exit-code"),
        "buf breaking": nothing_breaks,
    }
    failed = [name for name, check in checks.items() if not check()]
    print(f"failed: {', '.join(failed)}" if failed else f"passed: {', '.join(checks)}")
    return 1 if failed else 0


def generated_code_is_current() -> bool:
    """Generate anew beside the committed code; names the files that differ."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = contents(Path(folder) / PACKAGE), contents(PYTHON_CLIENT / PACKAGE)
    differing = sorted(name for name in fresh | committed if fresh.get(name) != committed.get(name))
    for name in differing:
        print(f"{PYTHON_CLIENT.relative_to(ROOT) / PACKAGE / name}: not what `make generate` makes")
    return not differing


def contents(folder: Path) -> dict[str, bytes]:
    """The generated files of a folder, by name."""
    return {path.name: path.read_bytes() for path in generated_files(folder)}


def nothing_breaks() -> bool:
    """Compare the schema with that of the last commit; true when there is none."""
    archive = last_schema()
    if archive is None:
        print("buf breaking: no earlier schema to compare with")
        return True
    with tempfile.TemporaryDirectory() as folder:
        lay_out(archive, Path(folder))
        return buf("breaking", SCHEMA_FOLDER, "--against", str(Path(folder) / SCHEMA_FOLDER))


def last_schema() -> bytes | None:
    """A tar archive of `proto/` in the last commit; None when there is no commit or it has no schema."""
    command = ["git", "archive", "HEAD", SCHEMA_FOLDER]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return result.stdout if result.returncode == 0 else None


def lay_out(archive: bytes, folder: Path) -> None:
    """Make `folder` a Buf workspace like ours, with the archived schema in it."""
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    shutil.copy(ROOT / "buf.yaml", folder)
    shutil.copytree(THIRD_PARTY, folder / THIRD_PARTY.relative_to(ROOT))


def buf(*arguments: str) -> bool:
    """Run Buf in the repository, its findings shown; true when it has none."""
    return subprocess.run([BIN / "buf", *arguments], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
