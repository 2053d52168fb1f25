"""Real KFP pipelines through the real client, a real server, Postgres and real processes, to their right ends.

What has to hold of each stands in `corpus.yaml`. The quick rows belong to `make test`, all to `make conformance`, which
has their runs go on beside each other.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock import Client
from penstock.errors import PenstockError
from penstock.v1.run_pb2 import Run
from tests.conformance.outcomes import Outcome
from tests.conformance.table import Row, read_table
from tests.servers import running

HERE = Path(__file__).parent
CORPUS = HERE.parent / "corpus"
ROWS = read_table(HERE / "corpus.yaml")
RUN_TIMEOUT_S = 840
STEPS_AT_ONCE = 6

pytestmark = pytest.mark.slow


class Laboratory:
    """A server on which the pipelines run."""

    def __init__(self, client: Client, together: list[Row]) -> None:
        self.client = client
        self._runs: dict[str, Run] = {row.file: self._start(row) for row in together}

    def outcome(self, row: Row) -> Outcome:
        """The ended run of a pipeline."""
        run = self._runs.get(row.file) or self._start(row)
        return Outcome(self.client, self.client.wait(run, RUN_TIMEOUT_S))

    def _start(self, row: Row) -> Run:
        return self.client.create_run(row.read(CORPUS), row.arguments, cache_policy="DISABLED")


@pytest.fixture(scope="module")
def laboratory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A server; where this process is the only one that tests, all pipelines are started at once."""
    folder = tmp_path_factory.mktemp("corpus")
    together: list[Row] = []
    if "PYTEST_XDIST_WORKER" not in os.environ:
        chosen = {item.callspec.id for item in request.session.items if hasattr(item, "callspec")}
        together = sorted(
            (row for row in ROWS if row.is_run and row.file in chosen), key=lambda row: row.file not in LONG
        )
    with (
        running(folder / "data", "--max-parallel-steps", str(STEPS_AT_ONCE), PATH=_path_with_bash(folder)) as server,
        Client(server.grpc) as client,
    ):
        yield Laboratory(client, together)


LONG = ("general/long-running", "general/log_streaming_compiled")
"""Started first: they sleep for minutes."""


def _path_with_bash(folder: Path) -> str:
    """A PATH whose `sh` is bash, as in the images that some of the pipelines name."""
    bash = shutil.which("bash")
    assert bash is not None, "bash is needed: install it"
    (folder / "bin").mkdir()
    (folder / "bin" / "sh").symlink_to(bash)
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


def cases(rows: list[Row]) -> list[object]:
    """One parameter a row; those that are not quick are left to `make conformance`."""
    return [pytest.param(row, id=row.file, marks=() if row.quick else pytest.mark.conformance) for row in rows]


@pytest.mark.parametrize("row", cases([row for row in ROWS if row.is_run]))
def test_a_pipeline_runs_to_its_end(laboratory: Laboratory, row: Row) -> None:
    laboratory.outcome(row).check(row.expected)


@pytest.mark.conformance
@pytest.mark.parametrize("row", [pytest.param(row, id=row.file) for row in ROWS if row.accepted_only])
def test_what_cannot_run_here_is_accepted(laboratory: Laboratory, row: Row) -> None:
    name = row.file.rpartition("/")[2].lower().replace("_", "-")
    version = laboratory.client.upload_pipeline(row.read(CORPUS), name)
    assert version.spec_digest.startswith("sha256:")
    if row.run_refused:
        with pytest.raises(PenstockError) as refused:
            laboratory.client.create_run(version, row.arguments)
        assert row.run_refused in (refused.value.reason, *(each.reason for each in refused.value.violations))


@pytest.mark.conformance
@pytest.mark.parametrize("row", [pytest.param(row, id=row.file) for row in ROWS if row.refused])
def test_what_is_no_pipeline_is_refused(laboratory: Laboratory, row: Row) -> None:
    with pytest.raises(PenstockError) as refused:
        laboratory.client.upload_pipeline(row.read(CORPUS), "refused")
    assert refused.value.reason == row.refused


def test_the_table_names_every_file_of_the_corpus() -> None:
    files = {path.relative_to(CORPUS) for path in CORPUS.rglob("*") if path.is_file() and path.name != "README.md"}
    named = {Path(row.file) if Path(row.file).suffix else Path(f"{row.file}.yaml") for row in ROWS}
    assert named == files
