"""Real KFP pipelines through the real client, a real server, Postgres and real processes, to their right ends.

What has to hold of each stands in `corpus.yaml`. The quick rows belong to `make test`, all to `make conformance`, which
has their runs go on beside each other.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.errors import PenstockError
from tests.conformance.laboratory import Laboratory, cases, opened
from tests.conformance.table import Row, read_table

HERE = Path(__file__).parent
CORPUS = HERE.parent / "corpus"
ROWS = read_table(HERE / "corpus.yaml")
LONG = ("general/long-running", "general/log_streaming_compiled")
"""Started first: they sleep for minutes."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def laboratory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with opened(request, tmp_path_factory.mktemp("corpus"), CORPUS, ROWS, first=LONG) as laboratory:
        yield laboratory


@pytest.mark.parametrize("row", cases(ROWS))
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
