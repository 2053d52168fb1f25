"""Small files and logs by URI."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock_agent.plan import StoreOptions
from penstock_server.model.errors import InvalidArgument, NotFound, Unavailable
from penstock_server.store.records import CHUNK_BYTES, PART_BYTES, StoredRecords
from tests.object_stores import S3Server


async def pieces(*contents: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for content in contents:
        yield content
    if then is not None:
        raise then


async def streamed(records: StoredRecords, uri: str, offset: int) -> bytes:
    return b"".join([piece async for piece in records.stream(uri, offset)])


@pytest.fixture(params=["folder", "s3"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> StoreOptions:
    if request.param == "folder":
        return StoreOptions(root=f"file://{tmp_path}")
    server: S3Server = request.getfixturevalue("s3")
    return server.options()


@pytest.fixture
def records(options: StoreOptions) -> StoredRecords:
    return StoredRecords.at(options)


@pytest.fixture
def uri(options: StoreOptions) -> str:
    return f"{options.root}/.penstock/run/outer.train/1/log"


async def test_what_is_written_is_read(records: StoredRecords, uri: str) -> None:
    assert await records.read(uri) is None
    await records.write(uri, b"first")
    await records.write(uri, b"second")
    assert await records.read(uri) == b"second"


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, PART_BYTES + 1])
async def test_what_is_written_in_pieces_is_read_from_any_byte(records: StoredRecords, uri: str, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    await records.write(uri, pieces(content[: size // 2], content[size // 2 :]))
    assert await streamed(records, uri, 0) == content
    assert await streamed(records, uri, size // 3) == content[size // 3 :]
    assert await streamed(records, uri, size + 7) == b""


@pytest.mark.parametrize("size", [5, PART_BYTES + 1])
async def test_pieces_that_break_off_leave_nothing(records: StoredRecords, uri: str, size: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"):
        await records.write(uri, pieces(b"x" * size, then=ValueError("broken")))
    assert await records.read(uri) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_nothing_is_streamed_of_what_is_not_there(records: StoredRecords, uri: str) -> None:
    with pytest.raises(NotFound):
        await streamed(records, uri, 0)


async def test_two_servers_that_drop_the_same_leave_nothing(tmp_path: Path) -> None:
    """Each finds some of it gone."""
    root = f"file://{tmp_path}/.penstock/run"
    for _ in range(20):
        servers = [StoredRecords.in_folder(tmp_path) for _ in range(2)]
        for name in (f"{task}/1/{name}" for task in range(8) for name in ("closed.json", "log", "report.json")):
            await servers[0].write(f"{root}/{name}", b"x")
        await asyncio.gather(*(server.drop(root) for server in servers))
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_no_empty_folders_are_left_of_what_is_dropped(tmp_path: Path) -> None:
    records = StoredRecords.in_folder(tmp_path)
    for name in ("kept/1/log", "run/outer.train/1/log", "run/outer.train/2/closed.json"):
        await records.write(f"file://{tmp_path}/.penstock/{name}", b"x")
    await records.drop(f"file://{tmp_path}/.penstock/run")
    assert [path.name for path in (tmp_path / ".penstock").iterdir()] == ["kept"]


async def test_what_lies_directly_below_is_listed(records: StoredRecords, options: StoreOptions) -> None:
    root = f"{options.root}/.penstock/run"
    assert await records.list(root) == []
    for name in ("b", "a", "deeper/c", "running"):
        await records.write(f"{root}/{name}", b"x" * len(name))
    await records.write(f"{root}s/a", b"x")
    assert sorted(await records.list(root)) == [("a", 1), ("b", 1), ("running", 7)]


async def test_more_than_a_page_is_listed(records: StoredRecords, options: StoreOptions) -> None:
    root = f"{options.root}/log.parts"
    names = [f"{number:015d}-1-17641365521623{number:05d}-1-all" for number in range(1_010)]
    await asyncio.gather(*(records.write(f"{root}/{name}", b"x") for name in names))
    assert sorted(name for name, _ in await records.list(root)) == names


async def test_what_lies_below_is_dropped_and_nothing_else(records: StoredRecords, options: StoreOptions) -> None:
    root = f"{options.root}/.penstock"
    for name in ("run/a/1/log", "run/b/2/log", "running/a/1/log"):
        await records.write(f"{root}/{name}", b"x")
    await records.drop(f"{root}/run")
    await records.drop(f"{root}/run")
    assert [await records.read(f"{root}/{name}") for name in ("run/a/1/log", "running/a/1/log")] == [None, b"x"]


@pytest.mark.parametrize("path", ["/etc/passwd", "{root}/../x", "{root}"])
async def test_no_uri_leads_out_of_the_root(records: StoredRecords, tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidArgument):
        await records.read(f"file://{path.format(root=tmp_path)}")


async def test_a_store_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    records = StoredRecords.in_folder(tmp_path)
    (tmp_path / ".penstock").write_text("in the way")
    with pytest.raises(Unavailable):
        await records.write(f"file://{tmp_path}/.penstock/run/log", b"x")
