"""The folder that the steps of a run share."""

from pathlib import Path

from penstock_server.launch.base import Phase, StepRequest
from penstock_server.launch.workspace import IN_WORKSPACE, place_of, rewritten
from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.model.states import FailureClass
from penstock_server.spec.graph import ArtifactOutput, Component, Constant, Importer
from tests.launch.world import FolderStore, attempt_id, component, running, shell, step


def importing(uri: str) -> StepRequest:
    """A request to bring what lies at `uri` to the workspace."""
    output = ArtifactOutput("system.Dataset", "0.0.1", is_list=False, metadata={}, description="")
    body = Importer(
        "exec-importer", Constant(uri), "system.Dataset", "0.0.1", {}, reimport=True, download_to_workspace=True
    )
    of = Component("comp-importer", {}, {}, {}, {"artifact": output}, body)
    given = TaskValues({}, {"artifact": (ArtifactValue("artifact", "system.Dataset", uri, {"rows": 3}),)})
    return step(of=of, inputs=given, has_workspace=True)


def sibling(request: StepRequest, task: str = "next") -> AttemptId:
    """An attempt at another task of the same run."""
    return attempt_id(task, run=request.attempt.run_uid)


async def test_steps_of_a_run_share_the_folder(tmp_path: Path) -> None:
    first = shell("echo from the first > /kfp-workspace/note", has_workspace=True)
    then = shell("cat /kfp-workspace/note $NOTE", has_workspace=True, attempt=sibling(first))
    async with running(tmp_path) as launched:
        assert (await launched.run(first)).phase is Phase.SUCCEEDED
        assert (await launched.run(then)).phase is Phase.SUCCEEDED
        assert await launched.log_of(then) == b"from the first\n"


async def test_runs_do_not_share_it(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        await launched.run(shell("touch /kfp-workspace/mine", has_workspace=True))
        other = shell("ls -A /kfp-workspace", has_workspace=True)
        assert (await launched.run(other)).phase is Phase.SUCCEEDED
        assert await launched.log_of(other) == b""


async def test_values_and_variables_name_it_by_the_path_it_has_here(tmp_path: Path) -> None:
    of = component(
        ["sh", "-c", 'touch "$0" && [ -e "$PLACE" ]', "{{$.workspace_path}}/a"], env=[("PLACE", "/kfp-workspace/a")]
    )
    async with running(tmp_path) as launched:
        assert (await launched.run(step(of=of, has_workspace=True))).phase is Phase.SUCCEEDED


async def test_it_goes_with_the_run(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = shell("touch /kfp-workspace/left", has_workspace=True)
        await launched.run(request)
        await launched.launcher.forget([request.attempt])
        await launched.launcher.discard(request.attempt.run_uid)
    assert [path for path in (tmp_path / "steps").rglob("*") if path.is_file()] == []


async def test_an_importer_brings_a_folder_there(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    (store.root / "data").mkdir(parents=True)
    (store.root / "data" / "rows.csv").write_text("1,2\n")
    request = importing(f"file://{store.root}/data")
    async with running(tmp_path, store=store) as launched:
        end = await launched.run(request)
        (brought,) = end.outputs.artifacts["artifact"]
        assert brought.metadata == {"rows": 3, IN_WORKSPACE: True}
        reader = component(["cat", "{{$.inputs.artifacts['in'].path}}/rows.csv"], input_artifacts=["in"])
        given = TaskValues({}, {"in": (brought,)})
        reading = step(of=reader, inputs=given, has_workspace=True, attempt=sibling(request))
        assert (await launched.run(reading)).phase is Phase.SUCCEEDED
        assert await launched.log_of(reading) == b"1,2\n"


async def test_what_cannot_be_brought_is_an_input_that_is_not_there(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        end = await launched.run(importing(f"file://{tmp_path}/store/nothing"))
    assert (end.reason, end.failure_class) == ("INPUT_UNAVAILABLE", FailureClass.INPUT)
    assert "nothing" in end.message


def test_only_the_whole_path_is_rewritten() -> None:
    text = "/kfp-workspace /kfp-workspace/a /kfp-workspaces /kfp-workspace-2 '/kfp-workspace'"
    assert rewritten(text, "/w") == "/w /w/a /kfp-workspaces /kfp-workspace-2 '/w'"


def test_imported_content_lies_where_the_sdk_looks_for_it() -> None:
    places = {
        uri: str(place_of(uri, "/w")) for uri in ("gs://b/k", "s3://b/k/d", "file:///x/y", "/x/y", "gs://b/../../k")
    }
    assert places == {
        "gs://b/k": "/w/.artifacts/gcs/b/k",
        "s3://b/k/d": "/w/.artifacts/s3/b/k/d",
        "file:///x/y": "/w/.artifacts/x/y",
        "/x/y": "/w/.artifacts/x/y",
        "gs://b/../../k": "/w/.artifacts/gcs/b/k",
    }
