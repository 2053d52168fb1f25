"""Stories of `kfp.Client`: pipelines and their versions."""

import tarfile
import zipfile
from pathlib import Path
from typing import Any

from tests.compat.clients.samples import NOBODY, ODD_NAMES, compiled, rest, talk, where
from tests.compat.clients.telling import Story, equal, refusal


def a_pipeline_lives(client: Any, folder: Path) -> None:
    package = compiled(talk, folder)
    made = client.upload_pipeline(package, pipeline_name="Small Talk", description="says something")
    equal((made.display_name, made.description), ("Small Talk", "says something"))
    equal(client.get_pipeline(made.pipeline_id), made)
    equal(client.get_pipeline_id("Small Talk"), made.pipeline_id)
    equal(client.get_pipeline_id("Nothing"), None)
    equal([each.pipeline_id for each in client.list_pipelines().pipelines], [made.pipeline_id])
    refusal(409, client.upload_pipeline, package, pipeline_name="Small Talk")
    assert "versions" in refusal(400, client.delete_pipeline, made.pipeline_id)
    (version,) = client.list_pipeline_versions(made.pipeline_id).pipeline_versions
    client.delete_pipeline_version(made.pipeline_id, version.pipeline_version_id)
    client.delete_pipeline(made.pipeline_id)
    refusal(404, client.get_pipeline, made.pipeline_id)
    equal(client.list_pipelines().pipelines, None)


def versions_are_uploaded_and_found(client: Any, folder: Path) -> None:
    made = client.upload_pipeline(compiled(talk, folder), pipeline_name="Small Talk")
    package = compiled(rest, folder)
    second = client.upload_pipeline_version(package, "v2", pipeline_id=made.pipeline_id, description="sleeps")
    third = client.upload_pipeline_version(package, "v 3", pipeline_name="Small Talk")
    equal((second.display_name, second.description, second.pipeline_id), ("v2", "sleeps", made.pipeline_id))
    equal(third.pipeline_id, made.pipeline_id)
    refusal(409, client.upload_pipeline_version, package, "v2", pipeline_id=made.pipeline_id)
    seen = client.get_pipeline_version(made.pipeline_id, second.pipeline_version_id)
    equal(seen.pipeline_spec["pipelineInfo"]["name"], "rest")
    page = client.list_pipeline_versions(made.pipeline_id, page_size=2, sort_by="created_at desc")
    last = client.list_pipeline_versions(made.pipeline_id, page_token=page.next_page_token, sort_by="created_at desc")
    names = [each.display_name for each in (*page.pipeline_versions, *last.pipeline_versions)]
    equal(names, ["v 3", "v2", "Small Talk"])
    found = client.list_pipeline_versions(made.pipeline_id, filter=where(display_name="v2"))
    equal([each.pipeline_version_id for each in found.pipeline_versions], [second.pipeline_version_id])
    remove(client, made.pipeline_id)


def packages_of_all_kinds_are_uploaded(client: Any, folder: Path) -> None:
    """Without a name the pipeline has that of its package."""
    package = compiled(talk, folder)
    zipped, tarred = str(folder / "talk.zip"), str(folder / "talk.tar.gz")
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(package, "pipeline.yaml")
    with tarfile.open(tarred, "w:gz") as archive:
        archive.add(package, "pipeline.yaml")
    for path in (package, zipped, tarred):
        made = client.upload_pipeline(path)
        equal(made.display_name, "talk")
        (version,) = client.list_pipeline_versions(made.pipeline_id).pipeline_versions
        equal(version.pipeline_spec["pipelineInfo"]["name"], "talk")
        remove(client, made.pipeline_id)


def functions_are_uploaded(client: Any, _folder: Path) -> None:
    made = client.upload_pipeline_from_pipeline_func(talk, pipeline_name="Function", description="of Python")
    equal((made.display_name, made.description), ("Function", "of Python"))
    second = client.upload_pipeline_version_from_pipeline_func(rest, "v2", pipeline_id=made.pipeline_id)
    equal((second.display_name, second.pipeline_spec["pipelineInfo"]["name"]), ("v2", "rest"))
    remove(client, made.pipeline_id)


def pipelines_are_found(client: Any, folder: Path) -> None:
    package = compiled(talk, folder)
    made = [client.upload_pipeline(package, pipeline_name=name) for name in ("p b", "p a", "p c")]
    first = client.list_pipelines(page_size=2, sort_by="display_name")
    last = client.list_pipelines(page_token=first.next_page_token, page_size=2, sort_by="display_name")
    equal([each.display_name for each in (*first.pipelines, *last.pipelines)], ["p a", "p b", "p c"])
    equal((first.total_size, last.next_page_token), (3, None))
    found = client.list_pipelines(filter=where(display_name="p c"))
    equal([each.pipeline_id for each in found.pipelines], [made[2].pipeline_id])
    for each in made:
        remove(client, each.pipeline_id)


def pipelines_may_have_odd_names(client: Any, folder: Path) -> None:
    package = compiled(talk, folder)
    for name in ODD_NAMES:
        made = client.upload_pipeline(package, pipeline_name=name, description=name)
        equal((made.display_name, made.description), (name, name))
        equal(client.get_pipeline_id(name), made.pipeline_id)
        version = client.upload_pipeline_version(package, f"{name} 2", pipeline_name=name, description=name)
        equal((version.display_name, version.description), (f"{name} 2", name))
        remove(client, made.pipeline_id)


def pipelines_that_cannot_be_are_refused(client: Any, folder: Path) -> None:
    wrong = folder / "wrong.yaml"
    wrong.write_text("pipelineInfo: {name: UPPER}\nroot: {}\nschemaVersion: 2.1.0\n")
    assert "Failed to upload pipeline" in refusal(400, client.upload_pipeline, str(wrong), pipeline_name="wrong")
    for call in (client.get_pipeline, client.delete_pipeline, client.list_pipeline_versions):
        assert NOBODY in refusal(404, call, NOBODY)
    for call in (client.get_pipeline_version, client.delete_pipeline_version):
        assert NOBODY in refusal(404, call, NOBODY, NOBODY)
    package = compiled(talk, folder)
    refusal(404, client.upload_pipeline_version, package, "v2", pipeline_id=NOBODY)


def remove(client: Any, pipeline_id: str) -> None:
    """The pipeline and its versions, one after the other as the SDK wants it."""
    for each in client.list_pipeline_versions(pipeline_id).pipeline_versions:
        client.delete_pipeline_version(pipeline_id, each.pipeline_version_id)
    client.delete_pipeline(pipeline_id)


STORIES: tuple[Story, ...] = (
    a_pipeline_lives,
    versions_are_uploaded_and_found,
    packages_of_all_kinds_are_uploaded,
    functions_are_uploaded,
    pipelines_are_found,
    pipelines_may_have_odd_names,
    pipelines_that_cannot_be_are_refused,
)
