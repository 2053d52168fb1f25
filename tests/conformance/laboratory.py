"""A server on which the pipelines of a table run, those that one process tests beside each other."""

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock import Client
from penstock.v1.run_pb2 import Run
from tests.conformance.outcomes import Outcome
from tests.conformance.table import Row
from tests.servers import running

RUN_TIMEOUT_S = 840
STEPS_AT_ONCE = 6


class Laboratory:
    """A server on which the pipelines of a folder run."""

    def __init__(self, client: Client, pipelines: Path, together: Iterable[Row]) -> None:
        self.client = client
        self._pipelines = pipelines
        self._runs: dict[str, Run] = {row.file: self._start(row) for row in together}

    def outcome(self, row: Row) -> Outcome:
        """The ended run of a pipeline."""
        run = self._runs.get(row.file) or self._start(row)
        return Outcome(self.client, self.client.wait(run, RUN_TIMEOUT_S))

    def _start(self, row: Row) -> Run:
        return self.client.create_run(row.read(self._pipelines), row.arguments, cache_policy=row.cache_policy)


@contextmanager
def opened(
    request: pytest.FixtureRequest, folder: Path, pipelines: Path, rows: Iterable[Row], first: Collection[str] = ()
) -> Iterator[Laboratory]:
    """A server on `folder`; where this process is the only one that tests, all pipelines that are tested start at once.

    Those named in `first` start before the others.
    """
    together: list[Row] = []
    if "PYTEST_XDIST_WORKER" not in os.environ:
        together = sorted(_chosen(request, rows), key=lambda row: row.file not in first)
    with (
        running(folder / "data", "--max-parallel-steps", str(STEPS_AT_ONCE), PATH=path_with_bash(folder)) as server,
        Client(server.grpc) as client,
    ):
        yield Laboratory(client, pipelines, together)


def cases(rows: Iterable[Row]) -> list[object]:
    """One parameter a row that is run; those that are not quick are left to `make conformance`."""
    return [
        pytest.param(row, id=row.file, marks=() if row.quick else pytest.mark.conformance) for row in rows if row.is_run
    ]


def _chosen(request: pytest.FixtureRequest, rows: Iterable[Row]) -> list[Row]:
    """The rows of which a test of the fixture's module was selected."""
    items = [item for item in request.session.items if item.path == request.path]
    chosen = {item.callspec.id for item in items if hasattr(item, "callspec")}
    return [row for row in rows if row.is_run and row.file in chosen]


def path_with_bash(folder: Path) -> str:
    """A PATH whose `sh` is bash, as in the images that some of the pipelines name."""
    bash = shutil.which("bash")
    assert bash is not None, "bash is needed: install it"
    (folder / "bin").mkdir()
    (folder / "bin" / "sh").symlink_to(bash)
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
