"""Checks the schemas and the code made from them.

The generated code must be what `scripts/generate.py` makes of the present schemas; the schemas must pass
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

from generate import BIN, PARTS, PYTHON_CLIENT, Part, generate, generated_files
from protos import ROOT, THIRD_PARTY, gather

SCHEMA_FOLDER = "proto"
KFP_MODULE = "proto/kubeflow"


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
        differing = [path for part in PARTS for path in differences(Path(folder), part)]
    for path in differing:
        print(f"{PYTHON_CLIENT.relative_to(ROOT) / path}: not what `make generate` makes")
    return not differing


def differences(fresh_client: Path, part: Part) -> list[Path]:
    """The files of a part that are not as in `fresh_client`, below the distribution's folder."""
    fresh, committed = contents(fresh_client / part.path), contents(PYTHON_CLIENT / part.path)
    return [part.path / name for name in sorted(fresh | committed) if fresh.get(name) != committed.get(name)]


def contents(folder: Path) -> dict[str, bytes]:
    """The generated files of a folder, by name."""
    return {path.name: path.read_bytes() for path in generated_files(folder)}


def nothing_breaks() -> bool:
    """Compare the schemas with those of the last commit; true when there are none."""
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
    if not (folder / KFP_MODULE).exists():  # Buf compares module with module; one that is new breaks nothing
        shutil.copytree(ROOT / KFP_MODULE, folder / KFP_MODULE)


def buf(*arguments: str) -> bool:
    """Run Buf in the repository, its findings shown; true when it has none."""
    return subprocess.run([BIN / "buf", *arguments], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
