"""KFP's pipelines through KFP's own SDK on a real server: uploaded, run, waited for, and read back.

What has to hold of each stands in `conformance/corpus.yaml`, and is looked at twice: as a client of KFP sees the run,
and as ours does. One process of the SDK has many run beside each other. The quick rows belong to `make test`, the rest
to `make conformance`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock import Client
from tests.compat.conftest import run_program
from tests.conformance.laboratory import STEPS_AT_ONCE, path_with_bash
from tests.conformance.outcomes import Expected, Outcome
from tests.conformance.table import Row, read_table
from tests.servers import running

HERE = Path(__file__).parent
CORPUS = HERE.parent / "corpus"
PROGRAM = HERE / "sdk_corpus.py"
FOLDERS = ("essential", "failing", "parallel_and_nested")
ROWS = [row for row in read_table(HERE.parent / "conformance" / "corpus.yaml") if row.file.split("/")[0] in FOLDERS]
QUICK = [row for row in ROWS if row.quick]
REST = [row for row in ROWS if not row.quick]
TIMEOUT_S = 900

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Session:
    """What the SDK has seen of some rows, and our own client of the same server."""

    seen: Mapping[str, Any]
    """By the files of the rows."""
    client: Client


@contextmanager
def acted_out(rows: Sequence[Row], kfp_python: Path, folder: Path) -> Iterator[Session]:
    """The SDK has run the rows to their ends, and its server is still there."""
    options = ("--max-parallel-steps", str(STEPS_AT_ONCE), "--cache-policy", "disabled")
    with (
        running(folder / "data", *options, PATH=path_with_bash(folder)) as server,
        Client(server.grpc) as client,
    ):
        asked = {"host": f"http://{server.http}", "packages": packages(rows, folder)}
        seen = run_program([kfp_python, PROGRAM], TIMEOUT_S, json.dumps(asked), {"HOME": str(folder)})
        yield Session(json.loads(seen), client)


def packages(rows: Sequence[Row], folder: Path) -> list[dict[str, Any]]:
    """The rows as files to be uploaded."""
    made = []
    for number, row in enumerate(rows):
        path = folder / f"{number}.yaml"
        path.write_text(row.read(CORPUS))
        made.append({"name": row.file, "file": str(path), "arguments": dict(row.arguments)})
    return made


@pytest.mark.parametrize(
    "rows", [pytest.param(QUICK, id="quick"), pytest.param(REST, id="rest", marks=pytest.mark.conformance)]
)
def test_packages_are_uploaded_run_and_read_back(
    rows: Sequence[Row], kfp_python: Path, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    with acted_out(rows, kfp_python, tmp_path) as session:
        for row in rows:
            with subtests.test(row.file):
                check(session, row)


def check(session: Session, row: Row) -> None:
    """Fail where a client of KFP, or our own, sees something else than the row says."""
    seen = session.seen[row.file]
    if row.run_refused:
        assert seen == {"refused": 501}
        return
    check_run(seen, row)
    check_tasks(seen["tasks"], row.expected)
    (run,) = session.client.runs.list(filter=f'display_name = "{row.file}"')
    assert run.uid == seen["run_id"]
    assert set(seen["tasks"]) == {task.name.rpartition("/")[2] for task in session.client.runs.tasks(run)}
    Outcome(session.client, run).check(row.expected)


def check_run(seen: Mapping[str, Any], row: Row) -> None:
    """The run as a client of KFP sees it."""
    expected = row.expected
    assert (seen["state"], seen["history"][-1]) == (expected.end, expected.end), seen["error"]
    assert (seen["parameters"], seen["by_version"]) == (row.arguments, True)
    assert bool(seen["error"]) == (expected.end != "SUCCEEDED")
    if expected.failed:
        assert seen["tasks"][expected.failed]["state"] == "FAILED"
        assert expected.failed.rpartition(".")[2] in seen["error"]


def check_tasks(tasks: Mapping[str, Any], expected: Expected) -> None:
    """The tasks as a client of KFP sees them, with their logs and artifacts."""
    assert {task["parent"] for task in tasks.values()} <= {"", *tasks}
    for name, task in tasks.items():
        assert (task["history"][0], task["history"][-1]) == ("PENDING", task["state"]), name
    assert {name: tasks[name]["state"] for name in expected.tasks} == expected.tasks
    for name, text in expected.logs.items():
        assert text in tasks[name]["log"], name
    for name, texts in expected.contents.items():
        for output, text in texts.items():
            wanted = text if isinstance(text, list) else [text]
            for content, part in zip(tasks[name]["artifacts"][output], wanted, strict=True):
                assert content is not None, f"{name}.{output}"
                assert part in content, f"{name}.{output}"
