"""The artifact store: whole or absent, any name, nothing outside of its folder."""

import hashlib
import os
import resource
import time
from pathlib import Path

import pytest

from penstock_agent.content import BLOCK_BYTES
from penstock_agent.folder_store import ABANDONED_AFTER_S, TEMPORARY
from penstock_server.model.errors import InvalidArgument, NotFound, Unavailable
from penstock_server.store.objects import Artifacts

SMALL_BYTES = 256 * 1024
"""Files that are larger do not fit, where a test says so."""


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts.in_folder(tmp_path / "artifact store %41 ü")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def files_in(folder: Path | None) -> dict[str, bytes]:
    assert folder is not None
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything_in(artifacts: Artifacts) -> list[str]:
    root = Path(artifacts.root_uri.removeprefix("file://"))
    return [str(path.relative_to(root)) for path in root.rglob("*")]


@pytest.mark.parametrize("size", [0, 1, 3 * BLOCK_BYTES + 1])
async def test_a_file_is_stored_with_its_digest(artifacts: Artifacts, source: Path, size: int) -> None:
    content = os.urandom(size)
    (source / "model").write_bytes(content)
    uri = f"{artifacts.root_uri}/ns/run/train/1/model"
    stored = await artifacts.publish(source / "model", uri)
    assert (stored.digest, stored.size_bytes) == (f"sha256:{hashlib.sha256(content).hexdigest()}", size)
    path = artifacts.local_path(uri)
    assert path is not None
    assert path.read_bytes() == content


@pytest.mark.parametrize("size", [SMALL_BYTES + 1, 3 * BLOCK_BYTES])
async def test_what_there_is_no_room_for_is_told_and_leaves_nothing(
    artifacts: Artifacts, source: Path, size: int
) -> None:
    (source / "model").write_bytes(bytes(size))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_BYTES, before[1]))
    try:
        with pytest.raises(Unavailable, match=r"cannot be written: [^\n]*$") as refused:
            await artifacts.publish(source / "model", f"{artifacts.root_uri}/ns/run/train/1/model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused.value.reason == "ARTIFACT_STORE_UNAVAILABLE"
    assert everything_in(artifacts) == [TEMPORARY]


async def test_a_folder_is_stored_with_any_names_its_files_have(artifacts: Artifacts, source: Path) -> None:
    names = ["a.txt", "deep/er/b", "x#1", "sp ace", "new\nline", "%2e%2e", "back\\slash", "ü", ".hidden"]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    stored = await artifacts.publish(source, f"{artifacts.root_uri}/folder")
    assert files_in(artifacts.local_path(f"{artifacts.root_uri}/folder")) == files_in(source)
    assert (await artifacts.publish(source, f"{artifacts.root_uri}/again")).digest == stored.digest
    (source / "a.txt").rename(source / "b.txt")
    assert (await artifacts.publish(source, f"{artifacts.root_uri}/again")).digest != stored.digest


async def test_what_is_published_again_takes_the_place_of_what_was_there(artifacts: Artifacts, source: Path) -> None:
    uri = f"{artifacts.root_uri}/out"
    (source / "folder").mkdir()
    (source / "folder" / "new").write_text("n")
    (source / "file").write_text("f")
    for name in ("file", "folder", "folder", "file"):
        await artifacts.publish(source / name, uri)
        path = artifacts.local_path(uri)
        assert path is not None
        assert path.is_dir() == (name == "folder")


async def test_uris_that_differ_are_different_places(artifacts: Artifacts, source: Path) -> None:
    for name in ("a#1", "a#2", "a?1", "a%201", "a 1"):
        (source / "file").write_text(name)
        await artifacts.publish(source / "file", f"{artifacts.root_uri}/{name}")
    for name in ("a#1", "a#2", "a?1", "a%201", "a 1"):
        path = artifacts.local_path(f"{artifacts.root_uri}/{name}")
        assert path is not None
        assert path.read_text() == name


@pytest.mark.parametrize(
    "inner", ["", "/", "/../out", "/a/../../out", "//etc/passwd", f"/{TEMPORARY}/x", "/a\0", "-beside/x"]
)
async def test_nothing_is_written_outside_of_the_folder(artifacts: Artifacts, source: Path, inner: str) -> None:
    (source / "file").touch()
    uri = artifacts.root_uri + inner
    with pytest.raises(InvalidArgument):
        await artifacts.publish(source / "file", uri)
    assert not artifacts.contains(uri)
    assert artifacts.local_path(uri) is None


async def test_other_stores_are_not_ours(artifacts: Artifacts, tmp_path: Path) -> None:
    assert not artifacts.contains("gs://bucket/x")
    with pytest.raises(NotFound):
        await artifacts.fetch("gs://bucket/x", tmp_path / "x")


async def test_a_link_to_a_file_is_stored_as_the_file(artifacts: Artifacts, source: Path) -> None:
    (source / "file").write_text("f")
    (source / "link").symlink_to("file")
    await artifacts.publish(source, f"{artifacts.root_uri}/out")
    path = artifacts.local_path(f"{artifacts.root_uri}/out/link")
    assert path is not None
    assert not path.is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "link to a folder", "link to nothing"])
async def test_what_is_no_file_is_refused_and_leaves_nothing(artifacts: Artifacts, source: Path, kind: str) -> None:
    (source / "file").write_text("f")
    if kind == "pipe":
        os.mkfifo(source / "odd")
    else:
        (source / "odd").symlink_to(".." if kind == "link to a folder" else "nothing")
    with pytest.raises(InvalidArgument, match="odd"):
        await artifacts.publish(source, f"{artifacts.root_uri}/out")
    assert artifacts.local_path(f"{artifacts.root_uri}/out") is None
    assert everything_in(artifacts) == [TEMPORARY]


async def test_what_is_not_there_is_not_found(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await artifacts.publish(tmp_path / "nothing", f"{artifacts.root_uri}/x")
    with pytest.raises(NotFound):
        await artifacts.fetch(f"{artifacts.root_uri}/x", tmp_path / "x")


async def test_content_is_fetched_as_it_was(artifacts: Artifacts, source: Path, tmp_path: Path) -> None:
    (source / "a").write_text("a")
    await artifacts.publish(source, f"{artifacts.root_uri}/folder")
    await artifacts.fetch(f"{artifacts.root_uri}/folder", tmp_path / "to" / "folder")
    await artifacts.fetch(f"{artifacts.root_uri}/folder/a", tmp_path / "to" / "a")
    assert files_in(tmp_path / "to") == {"folder/a": b"a", "a": b"a"}


def test_what_killed_servers_left_behind_is_removed_once_it_is_old(tmp_path: Path) -> None:
    for name in ("old", "new"):
        folder = tmp_path / TEMPORARY / name
        folder.mkdir(parents=True)
        (folder / "part").touch()
    (tmp_path / TEMPORARY / "old file").touch()
    before = time.time() - ABANDONED_AFTER_S - 60
    for name in ("old", "old file"):
        os.utime(tmp_path / TEMPORARY / name, (before, before))
    Artifacts.in_folder(tmp_path)
    assert [path.name for path in (tmp_path / TEMPORARY).iterdir()] == ["new"]
