"""The artifact store as the server's parts ask for it, in a folder and in S3: its errors, and its root."""

from pathlib import Path

import pytest

from penstock_agent.plan import StoreOptions
from penstock_server.model.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from penstock_server.store.objects import Artifacts
from tests.object_stores import BUCKET, S3Server


@pytest.fixture(params=["folder", "s3"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    if request.param == "folder":
        return Artifacts.in_folder(tmp_path / "store")
    s3: S3Server = request.getfixturevalue("s3")
    return Artifacts.at(s3.options())


async def test_content_is_published_read_and_deleted(artifacts: Artifacts, tmp_path: Path) -> None:
    uri = f"{artifacts.root_uri}/run/model"
    (tmp_path / "model").write_text("weights")
    stored = await artifacts.publish(tmp_path / "model", uri)
    assert stored.size_bytes == 7
    assert artifacts.has_content(uri)
    assert await artifacts.read(uri, 7) == b"weights"
    await artifacts.fetch(uri, tmp_path / "to" / "back")
    assert (tmp_path / "to" / "back").read_text() == "weights"
    await artifacts.delete(f"{artifacts.root_uri}/run")
    assert not artifacts.has_content(uri)


async def test_small_objects_are_found_or_not(artifacts: Artifacts) -> None:
    uri = f"{artifacts.root_uri}/run/.penstock/closed.json"
    assert await artifacts.find(uri, 10) is None
    await artifacts.write(uri, b"{}")
    assert await artifacts.find(uri, 10) == b"{}"


async def test_what_is_not_there_or_not_for_reading_is_told(artifacts: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner").touch()
    await artifacts.publish(tmp_path / "folder", f"{artifacts.root_uri}/folder")
    await artifacts.write(f"{artifacts.root_uri}/large", b"12345")
    for name in ("folder", "large"):
        with pytest.raises(FailedPrecondition) as refused:
            await artifacts.read(f"{artifacts.root_uri}/{name}", 4)
        assert refused.value.reason == "ARTIFACT_NOT_READABLE"
    for uri in (f"{artifacts.root_uri}/nothing", "ftp://elsewhere/x", f"{artifacts.root_uri}er/x"):
        with pytest.raises(NotFound):
            await artifacts.read(uri, 4)
        with pytest.raises(NotFound):
            await artifacts.fetch(uri, tmp_path / "x")
    with pytest.raises(NotFound):
        await artifacts.publish(tmp_path / "nothing", f"{artifacts.root_uri}/x")


@pytest.mark.parametrize("inner", ["", "/", "/../out", "/a/../../out", "//etc/passwd", "/a\0", "-beside/x"])
async def test_nothing_outside_of_the_root_is_touched(artifacts: Artifacts, tmp_path: Path, inner: str) -> None:
    uri = artifacts.root_uri + inner
    (tmp_path / "file").touch()
    assert not artifacts.contains(uri)
    assert artifacts.has_content(uri)
    assert artifacts.local_path(uri) is None
    for refused in (
        artifacts.publish(tmp_path / "file", uri),
        artifacts.write(uri, b""),
        artifacts.delete(uri),
        artifacts.find(uri, 1),
    ):
        with pytest.raises(InvalidArgument):
            await refused


async def test_what_lies_elsewhere_in_the_object_store_is_fetched_but_not_read(s3: S3Server, tmp_path: Path) -> None:
    ours, other = Artifacts.at(s3.options()), Artifacts.at(s3.options())
    await other.write(f"{other.root_uri}/data", b"1,2,3")
    await ours.fetch(f"{other.root_uri}/data", tmp_path / "data")
    assert (tmp_path / "data").read_bytes() == b"1,2,3"
    with pytest.raises(NotFound):
        await ours.read(f"{other.root_uri}/data", 10)


async def test_a_store_that_can_be_used_passes_the_check(artifacts: Artifacts) -> None:
    await artifacts.check()
    await artifacts.check()


async def test_a_store_that_does_not_let_us_is_unusable(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Artifacts.at(s3.options(f"s3://{BUCKET}-that-is-not/x"))
    with pytest.raises(FailedPrecondition, match="no such bucket"):
        await nowhere.check()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(FailedPrecondition, match="does not let us") as refused:
        await Artifacts.at(s3.options()).check()
    assert refused.value.reason == "ARTIFACT_STORE_UNUSABLE"


@pytest.mark.parametrize("root", ["ftp://x/y", "file:///dev/null/x"])
def test_a_root_that_cannot_be_is_refused(root: str) -> None:
    with pytest.raises(FailedPrecondition, match="cannot be used"):
        Artifacts.at(StoreOptions(root=root))


async def test_a_store_that_is_away_is_unavailable(s3: S3Server, tmp_path: Path) -> None:
    away = Artifacts.at(s3.options()._replace(endpoint="http://127.0.0.1:1"))
    uri = f"{away.root_uri}/x"
    with pytest.raises(Unavailable):
        away.has_content(uri)
    for refused in (away.check(), away.fetch(uri, tmp_path / "x"), away.write(uri, b""), away.read(uri, 1)):
        with pytest.raises(Unavailable):
            await refused
