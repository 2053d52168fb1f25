"""Real KFP pipelines as pods, to their right ends: those that need a cluster, and others as they end on processes.

What has to hold of the first stands in `corpus.yaml`, of the others in tests/conformance/corpus.yaml.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
import yaml
from obstore.store import ObjectStore

from penstock import Client
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Task
from tests.conformance.outcomes import Expected, Outcome
from tests.conformance.table import Row, read_table
from tests.kubernetes.kubectl import apply, kubectl
from tests.kubernetes.surroundings import Surroundings
from tests.object_stores import BUCKET

pytestmark = pytest.mark.kubernetes

HERE = Path(__file__).parent
CORPUS = HERE.parent / "corpus"
ON_CLUSTERS = read_table(HERE / "corpus.yaml")
ANYWHERE = (
    "essential/component_with_env_variable",
    "essential/concat_message",
    "essential/container_no_input",
    "essential/dict_input",
    "essential/lightweight_python_functions_with_outputs",
    "essential/pipeline_with_after",
    "essential/pipeline_with_condition",
    "essential/pipeline_with_outputs",
    "essential/pipeline_with_params_containing_format",
    "essential/pipeline_with_reused_component",
    "failing/fail_v2",
    "failing/pipeline_with_exit_handler",
    "general/arguments_parameters",
    "general/artifacts_simple",
    "general/conditional_producer_and_consumers",
    "general/hello_world",
    "general/identity",
    "general/pipeline_with_task_using_ignore_upstream_failure",
    "general/preprocess",
    "general/sequential_v1",
    "parallel_and_nested/loop_consume_upstream",
)
"""Files that run on processes as well."""
ON_PROCESSES = {row.file: row for row in read_table(HERE.parent / "conformance" / "corpus.yaml")}
ROWS = [*ON_CLUSTERS, *(ON_PROCESSES[file] for file in ANYWHERE)]
NOWHERE = Row("kubernetes/node_selector", Expected())
"""Asks for a node that there is not."""
AT_HAND = {"busybox:1.36": "busybox", "alpine:3.22": "alpine"}
"""Tags that a cluster without a registry does not have."""
RUN_TIMEOUT_S = 300
STEPS_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A server whose steps are pods, with all the runs, which go on beside each other."""

    client: Client
    namespace: str
    """Of the cluster."""
    store: ObjectStore
    runs: dict[str, Run]

    def outcome(self, file: str) -> Outcome:
        """The ended run of a pipeline."""
        return Outcome(self.client, self.client.wait(self.runs[file], RUN_TIMEOUT_S), self._text)

    def _text(self, uri: str) -> str:
        return bytes(obstore.get(self.store, uri.removeprefix(f"s3://{BUCKET}/")).bytes()).decode()


@pytest.fixture(scope="module")
def laboratory(
    request: pytest.FixtureRequest, around: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laboratory]:
    namespace = f"penstock-corpus-{uuid.uuid4().hex[:8]}"
    data_dir = tmp_path_factory.mktemp("corpus") / "data"
    with (
        around.outside(data_dir, namespace, kubernetes_pods_max=STEPS_AT_ONCE) as server,
        Client(server.grpc) as client,
    ):
        for document in yaml.safe_load_all((HERE / "cluster.yaml").read_text()):
            document["metadata"]["namespace"] = namespace
            apply(document)
        runs = {row.file: started(client, row) for row in chosen(request)}
        yield Laboratory(client, namespace, around.objects(), runs)


def chosen(request: pytest.FixtureRequest) -> list[Row]:
    """The rows of which a test was selected."""
    items = [item for item in request.session.items if item.path == request.path]
    ids = {item.callspec.id for item in items if hasattr(item, "callspec")}
    return [row for row in (NOWHERE, *ROWS) if row.file in ids]


def started(client: Client, row: Row) -> Run:
    text = row.read(CORPUS)
    for tag, there in AT_HAND.items():
        text = text.replace(f"image: {tag}", f"image: {there}")
    name = row.file.rpartition("/")[2].replace("_", "-").lower()
    return client.create_run(text, row.arguments, display_name=name, cache_policy="DISABLED")


def eventually(client: Client, run: Run, reason: str) -> Task:
    """The step of the run, once it waits for that reason."""
    give_up = time.monotonic() + RUN_TIMEOUT_S
    while (task := client.runs.task(run, "comp")).reason != reason:
        assert time.monotonic() < give_up, task
        time.sleep(0.5)
    return task


@pytest.mark.parametrize("row", [pytest.param(row, id=row.file) for row in ROWS])
def test_a_pipeline_runs_to_its_end_as_pods(laboratory: Laboratory, row: Row) -> None:
    laboratory.outcome(row.file).check(row.expected)


@pytest.mark.parametrize("row", [pytest.param(NOWHERE, id=NOWHERE.file)])
def test_a_step_that_no_node_takes_waits_with_the_words_of_the_scheduler(laboratory: Laboratory, row: Row) -> None:
    run = laboratory.runs[row.file]
    waiting = eventually(laboratory.client, run, "UNSCHEDULABLE")
    assert "node affinity/selector" in waiting.message
    ended = laboratory.client.wait(laboratory.client.runs.cancel(run), RUN_TIMEOUT_S)
    assert ended.state == Run.STATE_CANCELLED


@pytest.mark.parametrize("row", [pytest.param(row, id=row.file) for row in ON_CLUSTERS if "existing_pvc" in row.file])
def test_claims_that_pipelines_delete_are_gone(laboratory: Laboratory, row: Row) -> None:
    made = laboratory.outcome(row.file).task("createpvc").outputs.parameters["name"].string_value
    left = kubectl("get", "persistentvolumeclaim", made, "--ignore-not-found", "--namespace", laboratory.namespace)
    assert left == "" or "Terminating" in left


def test_every_file_of_the_corpus_that_asks_for_something_of_a_cluster_is_run() -> None:
    asking = {path for path in CORPUS.rglob("*.yaml") if "\nplatforms:\n" in path.read_text()}
    asking |= set((CORPUS / "kubernetes").glob("*.yaml"))
    run = {CORPUS / f"{row.file}.yaml" for row in (NOWHERE, *ROWS)}
    assert {str(path.relative_to(CORPUS)) for path in asking - run} == set()
