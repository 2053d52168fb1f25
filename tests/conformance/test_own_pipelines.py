"""Pipelines of our own, which combine what the corpus does not, to the ends that `own.yaml` states.

The quick rows belong to `make test`, all to `make conformance`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.laboratory import Laboratory, cases, opened
from tests.conformance.table import Row, read_table

HERE = Path(__file__).parent
PIPELINES = HERE / "own"
ROWS = read_table(HERE / "own.yaml")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def laboratory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with opened(request, tmp_path_factory.mktemp("own"), PIPELINES, ROWS) as laboratory:
        yield laboratory


@pytest.mark.parametrize("row", cases(ROWS))
def test_a_pipeline_runs_to_its_end(laboratory: Laboratory, row: Row) -> None:
    laboratory.outcome(row).check(row.expected)


def test_the_table_names_every_pipeline_compiled_or_not() -> None:
    named = {row.file for row in ROWS}
    assert {path.stem for path in PIPELINES.glob("*.yaml")} == named
    assert {path.stem for path in PIPELINES.glob("*.py")} == named | {"compile"}
