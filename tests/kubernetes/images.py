"""The image of the server and of the stage containers, for the tests on a cluster.

PENSTOCK_TEST_IMAGE=NAME            an image that the cluster can pull, made of the sources that are tested
PENSTOCK_TEST_IMAGE_LOADER=COMMAND  without it: `COMMAND --user USER --cmd JSON NAME FOLDER` loads one
PENSTOCK_TEST_STATIC_IMAGE=NAME     an image with nothing in it but /rclone, its entrypoint; the loader makes one too
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.kubernetes.kubectl import kubectl
from tests.object_stores import RCLONE

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "image"
SOURCES = (
    "server/penstock_agent",
    "server/penstock_server",
    "server/pyproject.toml",
    "clients/python",
    "migrations",
    "requirements/image.txt",
    "deploy/docker/rootfs.py",
)
USER = "65532"
BUILD_TIMEOUT_S = 600


def penstock_image() -> str:
    """The image's name; it is made and loaded unless the cluster has that of the present sources already."""
    if given := os.environ.get("PENSTOCK_TEST_IMAGE"):
        return given
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _loaded(f"penstock.local/penstock-server:{_digest()[:12]}")


def _loaded(name: str) -> str:
    cluster = kubectl("get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}")
    loaded = BUILD / f"{name.rpartition(':')[2]}.{cluster}"
    if not loaded.exists():
        command = loader()
        run(sys.executable, str(ROOT / "deploy" / "docker" / "rootfs.py"), str(BUILD / "rootfs"))
        run(command, "--user", USER, "--cmd", '["penstock-server", "serve"]', name, str(BUILD / "rootfs"))
        loaded.touch()
    return name


def static_image() -> str:
    """An image made from nothing: one static binary, which is its entrypoint, and no shell, library or user."""
    if given := os.environ.get("PENSTOCK_TEST_STATIC_IMAGE"):
        return given
    name = "penstock.local/static:1"
    files = BUILD / "static"
    files.mkdir(parents=True, exist_ok=True)
    shutil.copy(RCLONE, files / "rclone")
    run(loader(), "--entrypoint", '["/rclone"]', name, str(files))
    return name


def step_images(names: Mapping[str, str]) -> None:
    """See to it that a cluster without a registry has images by those names: each is one that it has already."""
    if "PENSTOCK_TEST_IMAGE_LOADER" in os.environ:
        for name, there in names.items():
            run(loader(), "--base", there, name)


def loader() -> str:
    """The command that puts images into the cluster."""
    command = os.environ.get("PENSTOCK_TEST_IMAGE_LOADER")
    assert command, (
        "the cluster needs the image of this server: name one that it can pull with PENSTOCK_TEST_IMAGE, made by"
        " `docker build -f deploy/docker/Dockerfile .`, or a command that loads one with PENSTOCK_TEST_IMAGE_LOADER"
    )
    return command


def run(*command: str) -> None:
    """Run it; what it says is shown where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def _digest() -> str:
    """Of all that the image is made of, but for the interpreter."""
    digest = hashlib.sha256()
    for source in SOURCES:
        for path in _files(ROOT / source):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
