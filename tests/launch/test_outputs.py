"""What comes of a step's files: output parameters, artifacts and where they are stored."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from penstock_server.launch import attempt, publication
from penstock_server.launch.base import Observation, Phase, Published, StepRequest
from penstock_server.model.errors import Unavailable
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.graph import ParameterType
from tests.launch.world import STRING, FolderStore, component, running, step

PARAMETER = "{{$.outputs.parameters['result'].output_file}}"
ARTIFACT = "{{$.outputs.artifacts['model'].path}}"
OUTPUT_FILE = """import json, os, sys; given = json.loads(sys.argv[1]); outputs = given["outputs"]
path = outputs["artifacts"]["model"]["artifacts"][0]["uri"]; task_dir = os.path.dirname(outputs["outputFile"])
def tell(artifact):
    json.dump({"artifacts": {"model": {"artifacts": [artifact]}}}, open(outputs["outputFile"], "w"))
"""


def writing(script: str, type: ParameterType = STRING) -> StepRequest:
    """A step that writes its output parameter `result` to the file `$1`."""
    return step(of=component(["sh", "-c", script, "step", PARAMETER], outputs={"result": type}))


def making(script: str, store: Path, inputs: TaskValues | None = None) -> StepRequest:
    """A step that makes the artifact `model` at `$1`; its input `data` is at `$2`."""
    args = [ARTIFACT] + (["{{$.inputs.artifacts['data'].path}}"] if inputs else [])
    of = component(["sh", "-c", script, "step", *args], input_artifacts=["data"], output_artifacts=["model"])
    return step(of=of, store=store, inputs=inputs)


def telling(code: str, store: Path, inputs: TaskValues | None = None) -> StepRequest:
    """A step in Python that tells of its artifact `model` as the KFP executor does."""
    command = ["python3", "-c", OUTPUT_FILE + code, "{{$}}"]
    of = component(command, input_artifacts=["data"], output_artifacts=["model"])
    return step(of=of, store=store, inputs=inputs)


def given(uri: str, metadata: Mapping[str, str] | None = None) -> TaskValues:
    """An input artifact `data` at `uri`."""
    return TaskValues({}, {"data": (ArtifactValue("data", "system.Dataset", uri, dict(metadata or {})),)})


def model_of(end: Observation) -> ArtifactValue:
    assert end.phase is Phase.SUCCEEDED, end
    (artifact,) = end.outputs.artifacts["model"]
    return artifact


async def test_text_is_kept_to_the_letter(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        end = await launched.run(writing(r"""printf ' a\r\n"b"\n' > "$1" """))
        assert end.outputs.parameters == {"result": ' a\r\n"b"\n'}


@pytest.mark.parametrize(
    ("script", "type", "reason"),
    [
        ("true", STRING, "OUTPUT_MISSING"),
        ("printf seven > $1", ParameterType.NUMBER_INTEGER, "OUTPUT_INVALID"),
        (r"printf '\377' > $1", STRING, "OUTPUT_INVALID"),
        ("mkfifo $1", STRING, "OUTPUT_INVALID"),
        ("mkdir $1", STRING, "OUTPUT_INVALID"),
        ("truncate -s 1G $1", STRING, "OUTPUT_INVALID"),
    ],
)
async def test_a_parameter_that_is_not_as_declared_fails_the_attempt(
    tmp_path: Path, script: str, type: ParameterType, reason: str
) -> None:
    async with running(tmp_path) as launched:
        end = await launched.run(writing(script, type))
        assert (end.phase, end.reason) == (Phase.FAILED, reason)
        assert "result" in end.message


async def test_a_file_becomes_an_artifact_with_digest_and_size(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    async with running(tmp_path, store=store) as launched:
        request = making('printf weights > "$1"', store.root)
        artifact = model_of(await launched.run(request))
        assert artifact.uri == request.output_uris["model"]
        assert artifact.size_bytes == 7
        assert artifact.digest == f"sha256:{hashlib.sha256(b'weights').hexdigest()}"
        assert (store.root / str(request.attempt) / "model").read_text() == "weights"


async def test_a_folder_becomes_an_artifact(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    async with running(tmp_path, store=store) as launched:
        request = making('mkdir -p "$1/a/b"; printf x > "$1/a/b/c"', store.root)
        model_of(await launched.run(request))
        assert (store.root / str(request.attempt) / "model/a/b/c").read_text() == "x"


async def test_an_artifact_without_content_is_recorded(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    async with running(tmp_path, store=store) as launched:
        request = telling('tell({"uri": path, "metadata": {"accuracy": 0.5, "layers": [1, 2]}})', store.root)
        artifact = model_of(await launched.run(request))
        assert artifact.metadata == {"accuracy": 0.5, "layers": [1, 2]}
        assert (artifact.uri, artifact.digest) == (request.output_uris["model"], "")
        assert store.published == []


async def test_content_at_a_path_of_the_steps_own_is_stored_at_the_declared_uri(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    code = 'open("mine", "w").write("x"); tell({"uri": path, "custom_path": os.path.abspath("mine")})'
    async with running(tmp_path, store=store) as launched:
        request = telling(code, store.root)
        assert model_of(await launched.run(request)).uri == request.output_uris["model"]
        assert (store.root / str(request.attempt) / "model").read_text() == "x"


async def test_an_artifact_made_beside_the_declared_one_is_stored_too(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    code = 'uri = task_dir + "/Other"; open(uri, "w").write("x"); tell({"uri": uri})'
    async with running(tmp_path, store=store) as launched:
        request = telling(code, store.root)
        assert model_of(await launched.run(request)).uri == f"{request.output_root}/Other"
        assert (store.root / str(request.attempt) / "Other").read_text() == "x"


async def test_a_foreign_uri_is_recorded_as_it_is(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    async with running(tmp_path, store=store) as launched:
        artifact = model_of(await launched.run(telling('tell({"uri": "gs://bucket/model"})', store.root)))
        assert (artifact.uri, store.published) == ("gs://bucket/model", [])


async def test_an_input_is_read_in_place(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    (store.root / "data").mkdir(parents=True)
    (store.root / "data" / "rows").write_text("1,2,3")
    async with running(tmp_path, store=store) as launched:
        request = making('cat "$2/rows"; echo; echo "$2"', store.root, given(f"file://{store.root}/data"))
        await launched.run(request)
        assert (await launched.log_of(request)).decode().split() == ["1,2,3", f"{store.root}/data"]


async def test_an_input_that_is_elsewhere_is_fetched(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    store.root.mkdir()
    (store.root / "rows").write_text("1,2,3")
    store.is_remote = True
    async with running(tmp_path, store=store) as launched:
        request = making('cat "$2"', store.root, given(f"file://{store.root}/rows"))
        await launched.run(request)
        assert await launched.log_of(request) == b"1,2,3"


async def test_an_input_that_never_had_content_is_handed_on_all_the_same(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    store.is_remote = True
    async with running(tmp_path, store=store) as launched:
        request = making('test ! -e "$2"', store.root, given(f"file://{store.root}/metrics"))
        assert (await launched.run(request)).phase is Phase.SUCCEEDED


async def test_an_input_of_a_foreign_store_is_handed_on_as_it_is(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    code = 'print(given["inputs"]["artifacts"]["data"]["artifacts"][0]["uri"])'
    async with running(tmp_path, store=store) as launched:
        request = telling(code, store.root, given("gs://bucket/rows"))
        await launched.run(request)
        assert await launched.log_of(request) == b"gs://bucket/rows\n"


async def test_an_input_that_is_handed_on_keeps_its_uri(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    code = 'tell({"uri": given["inputs"]["artifacts"]["data"]["artifacts"][0]["uri"], "metadata": {"new": 1}})'
    async with running(tmp_path, store=store) as launched:
        request = telling(code, store.root, given(f"file://{store.root}/rows"))
        artifact = model_of(await launched.run(request))
        assert (artifact.uri, artifact.metadata) == (f"file://{store.root}/rows", {"new": 1})
        assert store.published == []


async def test_metadata_of_an_input_reaches_the_step(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    code = 'print(json.dumps(given["inputs"]["artifacts"]["data"]["artifacts"][0]["metadata"]))'
    async with running(tmp_path, store=store) as launched:
        request = telling(code, store.root, given("gs://bucket/rows", {"rows": "3"}))
        await launched.run(request)
        assert json.loads(await launched.log_of(request)) == {"rows": "3"}


async def test_a_store_that_refuses_fails_the_attempt(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    (tmp_path / "store").write_text("a file where the folder should be")
    async with running(tmp_path, store=store) as launched:
        end = await launched.run(making('printf weights > "$1"', store.root))
        assert (end.phase, end.reason) == (Phase.FAILED, "PUBLISH_FAILED")


class FullStore(FolderStore):
    """A store without room for the first outputs that it is given."""

    def __init__(self, root: Path, refusals: float) -> None:
        super().__init__(root)
        self.refusals = refusals

    async def publish(self, source: Path, uri: str) -> Published:
        """Store it, once there is room."""
        self.refusals -= 1
        if self.refusals >= 0:
            raise Unavailable("ARTIFACT_STORE_UNAVAILABLE", "no space left")
        return await super().publish(source, uri)


async def test_a_store_that_is_full_for_a_while_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "RETRY_S", 0.01)
    store = FullStore(tmp_path / "store", refusals=7)
    async with running(tmp_path, store=store) as launched:
        artifact = model_of(await launched.run(making('printf weights > "$1"', store.root)))
        assert Path(artifact.uri.removeprefix("file://")).read_text() == "weights"


async def test_a_store_that_stays_full_fails_the_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "RETRY_S", 0.01)
    monkeypatch.setattr(publication, "PATIENCE_S", 0.1)
    store = FullStore(tmp_path / "store", refusals=float("inf"))
    async with running(tmp_path, store=store) as launched:
        end = await launched.run(making('printf weights > "$1"', store.root))
        assert (end.phase, end.reason) == (Phase.FAILED, "PUBLISH_FAILED")
        assert "no space left" in end.message
