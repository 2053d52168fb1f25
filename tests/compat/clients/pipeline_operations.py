"""Stories of `kfp_server_api`: the server, experiments, pipelines."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml
from kfp_server_api import (
    InlineObject,
    InlineObject1,
    V2beta1CreatePipelineAndVersionRequest,
    V2beta1Experiment,
    V2beta1Pipeline,
    V2beta1PipelineVersion,
    V2beta1Url,
)

from tests.compat.clients.samples import compiled, rest, talk, where
from tests.compat.clients.telling import Story, equal, refusal


def the_server_tells_how_it_is_set_up(call: Any, _folder: Path) -> None:
    equal(call.healthz_service_get_healthz().to_dict(), {"multi_user": False, "pipeline_store": "database"})
    equal(call.auth_service_authorize(namespace="kubeflow", resources="VIEWERS", verb="GET"), {})
    assert "verb" in refusal(400, call.auth_service_authorize, resources="VIEWERS")


def experiments(call: Any, _folder: Path) -> None:
    given = V2beta1Experiment(display_name="by hand", description="of the generated client")
    made = call.experiment_service_create_experiment(given)
    equal((made.display_name, made.description, made.storage_state), ("by hand", given.description, "AVAILABLE"))
    refusal(409, call.experiment_service_create_experiment, given)
    equal(call.experiment_service_get_experiment(made.experiment_id), made)
    page = call.experiment_service_list_experiments(filter=where(display_name="by hand"), page_size=5, namespace="any")
    equal((page.experiments, page.total_size, page.next_page_token), ([made], 1, None))
    equal(call.experiment_service_archive_experiment(made.experiment_id), {})
    equal(call.experiment_service_get_experiment(made.experiment_id).storage_state, "ARCHIVED")
    equal(call.experiment_service_unarchive_experiment(made.experiment_id), {})
    equal(call.experiment_service_get_experiment(made.experiment_id).storage_state, "AVAILABLE")
    equal(call.experiment_service_delete_experiment(made.experiment_id), {})
    refusal(404, call.experiment_service_get_experiment, made.experiment_id)


def pipelines_without_versions(call: Any, _folder: Path) -> None:
    made = call.pipeline_service_create_pipeline(
        V2beta1Pipeline(display_name="By hand", name="by-hand", description="empty", tags={"team": "a"})
    )
    equal((made.name, made.display_name, made.description, made.tags), ("by-hand", "By hand", "empty", {"team": "a"}))
    equal(call.pipeline_service_get_pipeline(made.pipeline_id), made)
    equal(call.pipeline_service_get_pipeline_by_name("by-hand"), made)
    page = call.pipeline_service_list_pipelines(filter=where(**{"tags.team": "a"}), page_size=5)
    equal((page.pipelines, page.total_size), ([made], 1))
    changed = call.pipeline_service_update_pipeline(
        made.pipeline_id, InlineObject(display_name="Renamed", tags={"team": "b"})
    )
    equal((changed.display_name, changed.tags, changed.name), ("Renamed", {"team": "b"}, "by-hand"))
    equal(call.pipeline_service_get_pipeline(made.pipeline_id), changed)
    equal(call.pipeline_service_delete_pipeline(made.pipeline_id), {})
    refusal(404, call.pipeline_service_get_pipeline_by_name, "by-hand")


def versions(call: Any, folder: Path) -> None:
    """From a spec, and from an address."""
    spec = yaml.safe_load(Path(compiled(talk, folder)).read_text())
    compiled(rest, folder)
    made = call.pipeline_service_create_pipeline_and_version(
        V2beta1CreatePipelineAndVersionRequest(
            pipeline=V2beta1Pipeline(display_name="Both"),
            pipeline_version=V2beta1PipelineVersion(display_name="first", pipeline_spec=spec),
        )
    )
    with served(folder) as address:
        given = V2beta1PipelineVersion(
            pipeline_id=made.pipeline_id,
            display_name="second",
            description="downloaded",
            package_url=V2beta1Url(pipeline_url=f"{address}/rest.yaml"),
            code_source_url="https://example.com/rest.py",
        )
        second = call.pipeline_service_create_pipeline_version(made.pipeline_id, given)
    equal((second.display_name, second.description), ("second", "downloaded"))
    equal(second.code_source_url, "https://example.com/rest.py")
    equal(second.pipeline_spec["pipelineInfo"]["name"], "rest")
    equal(call.pipeline_service_get_pipeline_version(made.pipeline_id, second.pipeline_version_id), second)
    page = call.pipeline_service_list_pipeline_versions(made.pipeline_id, sort_by="created_at")
    first, last = page.pipeline_versions
    equal((first.display_name, first.pipeline_spec["root"]), ("first", spec["root"]))
    equal((last, page.total_size), (second, 2))
    changed = call.pipeline_service_update_pipeline_version(
        made.pipeline_id, second.pipeline_version_id, InlineObject1(display_name="renamed", tags={"good": "yes"})
    )
    equal((changed.display_name, changed.tags, changed.description), ("renamed", {"good": "yes"}, "downloaded"))
    equal(call.pipeline_service_delete_pipeline_version(made.pipeline_id, second.pipeline_version_id), {})
    refusal(404, call.pipeline_service_get_pipeline_version, made.pipeline_id, second.pipeline_version_id)
    refusal(400, call.pipeline_service_delete_pipeline, made.pipeline_id)
    equal(call.pipeline_service_delete_pipeline(made.pipeline_id, cascade=True), {})


def uploads(call: Any, folder: Path) -> None:
    package = compiled(talk, folder)
    made = call.upload_pipeline(
        package, name="up", display_name="Uploaded", description="a file", namespace="any", tags='{"team": "a"}'
    )
    equal((made.name, made.display_name, made.description, made.tags), ("up", "Uploaded", "a file", {"team": "a"}))
    refusal(409, call.upload_pipeline, package, name="up")
    version = call.upload_pipeline_version(
        compiled(rest, folder), name="v2", display_name="Second", description="other", pipelineid=made.pipeline_id
    )
    equal((version.name, version.display_name, version.description), ("v2", "Second", "other"))
    equal((version.pipeline_id, version.pipeline_spec["pipelineInfo"]["name"]), (made.pipeline_id, "rest"))
    refusal(400, call.upload_pipeline_version, package, name="v3")
    call.pipeline_service_delete_pipeline(made.pipeline_id, cascade=True)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of the folder can be downloaded."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


STORIES: tuple[Story, ...] = (
    the_server_tells_how_it_is_set_up,
    experiments,
    pipelines_without_versions,
    versions,
    uploads,
)
