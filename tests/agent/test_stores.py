"""Object stores: the same behaviour in a folder and in S3, whole or absent."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock_agent import buckets
from penstock_agent.content import ContentError, ContentMissingError, Source
from penstock_agent.object_files import PART_BYTES
from penstock_agent.plan import StoreOptions
from penstock_agent.stores import Store, StoreDeniedError, StoreError, StoreRefusedError, open_store
from tests.object_stores import BUCKET, CREDENTIALS, S3Server

NAMES = [
    "a.txt",
    "deep/er/b",
    "deep-er/c",
    "x#1",
    "sp ace",
    "new\nline",
    "%2e%2e",
    "back\\slash",
    "ü",
    ".hidden",
    "a?b&c=d+e",
]
TIMEOUT_S = 60


@pytest.fixture(params=["folder", "s3"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> StoreOptions:
    if request.param == "folder":
        return StoreOptions(root=f"file://{tmp_path}/store %41 ü")
    s3: S3Server = request.getfixturevalue("s3")
    return s3.options()


@pytest.fixture
def store(options: StoreOptions) -> Store:
    return open_store(options)


@pytest.fixture
def uri(options: StoreOptions) -> str:
    return f"{options.root}/ns/run/train/1/model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return folder


def file(tmp_path: Path, content: bytes) -> Source:
    path = tmp_path / "file"
    path.write_bytes(content)
    return Source(str(path))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 2 * PART_BYTES + 1])
def test_a_file_comes_back_as_it_was_stored(store: Store, uri: str, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    stored = store.publish(file(tmp_path, content), uri)
    assert (stored.digest, stored.size_bytes) == (f"sha256:{hashlib.sha256(content).hexdigest()}", size)
    assert store.fetch(uri, f"{tmp_path}/back", stored.digest)
    assert (tmp_path / "back").read_bytes() == content


def test_a_folder_comes_back_with_any_names_its_files_have(
    store: Store, uri: str, folder: Path, tmp_path: Path
) -> None:
    stored = store.publish(Source(str(folder)), uri)
    assert stored.size_bytes == sum(map(len, files_in(folder).values()))
    assert store.fetch(uri, f"{tmp_path}/back", stored.digest)
    assert files_in(tmp_path / "back") == files_in(folder)


def test_a_folder_has_one_digest_in_all_stores(s3: S3Server, folder: Path, tmp_path: Path) -> None:
    in_s3, in_folder = s3.options(), StoreOptions(root=f"file://{tmp_path}/store")
    stored = [open_store(of).publish(Source(str(folder)), f"{of.root}/x") for of in (in_s3, in_folder)]
    assert stored[0] == stored[1]


def test_an_empty_folder_is_content(store: Store, uri: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    store.publish(Source(f"{tmp_path}/empty"), uri)
    assert store.exists(uri)
    assert store.fetch(uri, f"{tmp_path}/back")
    assert (tmp_path / "back").is_dir()


def test_a_file_of_a_folder_can_be_fetched_alone(store: Store, uri: str, folder: Path, tmp_path: Path) -> None:
    store.publish(Source(str(folder)), uri)
    assert store.fetch(f"{uri}/deep/er/b", f"{tmp_path}/back")
    assert (tmp_path / "back").read_text() == "content of deep/er/b"


def test_what_is_published_again_takes_the_place_of_what_was_there(store: Store, uri: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for path in (old, new):
        path.mkdir()
        (path / path.name).write_text(path.name)
    for index, source in enumerate((file(tmp_path, b"f"), Source(str(old)), Source(str(new)), file(tmp_path, b"g"))):
        stored = store.publish(source, uri)
        back = f"{tmp_path}/back{index}"
        assert store.fetch(uri, back, stored.digest)
        assert os.path.isdir(back) == os.path.isdir(source.path)
    assert store.read(uri, 10) == b"g"


def test_what_is_not_there_is_absent(store: Store, uri: str, tmp_path: Path) -> None:
    assert not store.exists(uri)
    assert not store.is_file(uri)
    assert store.read(uri, 10) is None
    assert not store.fetch(uri, f"{tmp_path}/back")
    with pytest.raises(ContentMissingError):
        store.publish(Source(f"{tmp_path}/nothing"), uri)
    store.delete(uri)


def test_small_objects_are_written_and_read(store: Store, uri: str) -> None:
    store.write(uri, b"1")
    store.write(uri, b"22")
    assert store.is_file(uri)
    assert store.read(uri, 2) == b"22"
    with pytest.raises(ContentError, match="larger than 1 byte"):
        store.read(uri, 1)


def test_what_is_deleted_is_gone_with_all_below_it(
    store: Store, options: StoreOptions, folder: Path, tmp_path: Path
) -> None:
    store.publish(Source(str(folder)), f"{options.root}/run/train/1/model")
    store.publish(file(tmp_path, b"x"), f"{options.root}/run/other")
    store.publish(file(tmp_path, b"x"), f"{options.root}/runner")
    store.delete(f"{options.root}/run")
    assert not store.exists(f"{options.root}/run")
    assert not store.exists(f"{options.root}/run/train/1/model")
    assert not store.exists(f"{options.root}/run/other")
    assert store.exists(f"{options.root}/runner")


def test_other_content_than_was_stored_is_refused(store: Store, uri: str, folder: Path, tmp_path: Path) -> None:
    store.publish(Source(str(folder)), uri)
    with pytest.raises(ContentError, match="was stored with sha256:00"):
        store.fetch(uri, f"{tmp_path}/back", "sha256:00")


def test_uris_that_differ_are_different_places(store: Store, options: StoreOptions) -> None:
    names = ("a#1", "a#2", "a?1", "a%201", "a 1")
    for name in names:
        store.write(f"{options.root}/{name}", name.encode())
    assert [store.read(f"{options.root}/{name}", 10) for name in names] == [name.encode() for name in names]


@pytest.mark.parametrize("kind", ["pipe", "link to a folder", "link to nothing", "link out"])
def test_what_will_not_do_is_refused_and_leaves_nothing(store: Store, uri: str, tmp_path: Path, kind: str) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "file").write_text("f")
    (tmp_path / "secret").write_text("s")
    links = {"link to a folder": ".", "link to nothing": "nothing", "link out": "../secret"}
    if kind == "pipe":
        os.mkfifo(made / "odd")
    else:
        (made / "odd").symlink_to(links[kind])
    with pytest.raises(ContentError, match="odd"):
        store.publish(Source(str(made), (str(made),)), uri)
    assert not store.exists(uri)


def test_a_link_to_a_file_inside_counts_as_the_file(store: Store, uri: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "file").write_text("f")
    (made / "link").symlink_to("file")
    store.publish(Source(str(made), (str(made),)), uri)
    assert store.read(f"{uri}/link", 10) == b"f"


def test_a_prefix_of_somebody_elses_making_is_read_as_it_is(s3: S3Server, tmp_path: Path) -> None:
    options = s3.options()
    store = open_store(options)
    store.write(f"{options.root}/data/a", b"1")
    store.write(f"{options.root}/data/b/c", b"2")
    assert store.exists(f"{options.root}/data")
    assert store.fetch(f"{options.root}/data/", f"{tmp_path}/back")
    assert files_in(tmp_path / "back") == {"a": b"1", "b/c": b"2"}


KILLED = """
import os, sys
from penstock_agent import object_folders
from penstock_agent.content import Source
from penstock_agent.plan import StoreOptions
from penstock_agent.stores import open_store
put, left = object_folders.put_file, [int(sys.argv[4])]
def put_until(source, name, at):
    if not left[0]:
        os.kill(os.getpid(), 9)
    left[0] -= 1
    return put(source, name, at)
object_folders.put_file, object_folders.FILES_AT_ONCE = put_until, 1
open_store(StoreOptions.from_text(sys.argv[1])).publish(Source(sys.argv[2]), sys.argv[3])
"""


@pytest.mark.parametrize("files", [0, 1, len(NAMES) - 1])
def test_a_folder_whose_publication_was_killed_is_absent_until_it_is_published_again(
    s3: S3Server, folder: Path, tmp_path: Path, files: int
) -> None:
    options = s3.options()
    uri = f"{options.root}/model"
    command = [sys.executable, "-c", KILLED, options.to_text(), str(folder), uri, str(files)]
    assert subprocess.run(command, check=False, timeout=TIMEOUT_S).returncode == -9
    store = open_store(options)
    assert store.is_file(f"{uri}/%2e%2e") == (files > 0)
    assert not store.exists(uri)
    assert not store.fetch(uri, f"{tmp_path}/back")
    stored = store.publish(Source(str(folder)), uri)
    assert store.fetch(uri, f"{tmp_path}/back", stored.digest)
    assert files_in(tmp_path / "back") == files_in(folder)


def test_a_folder_that_has_lost_a_file_is_not_fetched(s3: S3Server, folder: Path, tmp_path: Path) -> None:
    options = s3.options()
    store = open_store(options)
    store.publish(Source(str(folder)), f"{options.root}/model")
    store.delete(f"{options.root}/model/ü")
    with pytest.raises(StoreError, match="lost"):
        store.fetch(f"{options.root}/model", f"{tmp_path}/back")


def test_a_signature_that_is_wrong_is_refused(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    options = s3.options()
    with pytest.raises(StoreDeniedError) as denied:
        open_store(options).write(f"{options.root}/x", b"")
    assert f"does not let us: PUT {s3.endpoint}: " in str(denied.value)
    assert str(denied.value).endswith("403 Forbidden: SignatureDoesNotMatch")


def test_a_bucket_that_is_not_there_takes_nothing(s3: S3Server, folder: Path, tmp_path: Path) -> None:
    store, uri = open_store(s3.options()), f"s3://{BUCKET}-that-is-not/x"
    for source in (file(tmp_path, b"1"), file(tmp_path, bytes(2 * PART_BYTES)), Source(str(folder))):
        with pytest.raises(StoreRefusedError):
            store.publish(source, uri)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_endpoint_that_is_given_goes_over_the_environment(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    options = s3.options()
    assert not open_store(options).exists(f"{options.root}/x")


@pytest.mark.parametrize("root", ["s3://bucket", "gs://bucket", "az://bucket"])
def test_an_endpoint_that_is_given_is_asked_in_every_kind_of_store(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    keys = {"GOOGLE_SKIP_SIGNATURE": "true", "AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_ACCOUNT_KEY": "a2V5"}
    for name, value in (CREDENTIALS | keys).items():
        monkeypatch.setenv(name, value)
    store = open_store(StoreOptions("http://127.0.0.1:1", allow_http=True, root=root))
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:1: Connection refused"):
        store.exists(f"{root}/x")


def test_an_endpoint_of_the_environment_will_do(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    options = s3.options()
    monkeypatch.setenv("AWS_ENDPOINT_URL", options.endpoint)
    store = open_store(StoreOptions(allow_http=True, root=options.root))
    store.write(f"{options.root}/x", b"1")
    assert open_store(options).read(f"{options.root}/x", 1) == b"1"


@pytest.fixture
def away(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that nobody serves."""
    monkeypatch.setattr(buckets, "RETRIES", 0)
    return open_store(s3.options()._replace(endpoint="http://127.0.0.1:1"))


def test_a_store_that_is_away_may_be_asked_again_and_is_told_with_its_endpoint(away: Store) -> None:
    with pytest.raises(StoreError) as failed:
        away.exists(f"s3://{BUCKET}/x")
    assert not failed.value.is_lasting
    assert str(failed.value).endswith("HEAD http://127.0.0.1:1: Connection refused")


def test_a_store_that_cannot_be_asked_for_want_of_a_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(StoreRefusedError, match=r"cannot be asked: .*Account must be specified"):
        open_store(StoreOptions(root="az://bucket/x")).exists("az://bucket/x/y")


@pytest.mark.parametrize(
    "uri", ["s3://", "s3://bucket", "s3://bucket/", "s3://b/a//b", "s3://b/a/../b", "ftp://b/x", "/x"]
)
def test_what_is_no_place_in_a_bucket_is_refused(s3: S3Server, uri: str) -> None:
    with pytest.raises(StoreRefusedError):
        open_store(s3.options()).write(uri, b"")


@pytest.mark.parametrize("root", ["", "ftp://x/y", "/x"])
def test_a_root_in_no_store_that_is_known_is_refused(root: str) -> None:
    with pytest.raises(StoreRefusedError, match="no store that is known"):
        open_store(StoreOptions(root=root))
