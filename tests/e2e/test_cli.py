"""The command line as a process against a real server: what it prints where, and how it exits."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import pipelines
from tests.servers import BIN, Server

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "line_fit" / "pipeline.yaml"
TIMEOUT_S = 120

pytestmark = pytest.mark.slow


def penstock(server: Server | str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """`penstock` with these arguments, to its end."""
    target = server if isinstance(server, str) else server.grpc
    command = [str(BIN / "penstock"), "--target", target, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def run_json(server: Server, *arguments: object) -> Any:
    """The resource that a command prints as JSON."""
    done = penstock(server, *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def write(folder: Path, spec: dict[str, Any]) -> Path:
    file = folder / "pipeline.json"
    file.write_text(json.dumps(spec))
    return file


def test_a_watched_run_ends_well_with_its_output(server: Server) -> None:
    done = penstock(server, "run", EXAMPLE, "-p", "count=50", "-p", "epochs=10", "--watch")
    assert done.returncode == 0, done.stderr
    assert "fit wins" in done.stdout + done.stderr


def test_a_failing_run_exits_1_and_shows_why(server: Server, tmp_path: Path) -> None:
    file = write(tmp_path, pipelines.chain(2, "sh", "-c", "echo the last line; exit 3"))
    done = penstock(server, "run", file, "--watch")
    assert done.returncode == 1
    assert "exit code 3" in done.stdout + done.stderr
    assert "the last line" in done.stdout + done.stderr


WRONG = {
    "no such file": (["run", "nothing.yaml"], "nothing.yaml"),
    "no pipeline": (["run", CORPUS / "README.md"], "spec"),
    "missing parameter": (["run", CORPUS / "essential" / "concat_message.yaml", "-p", "message1=x"], "message2"),
    "unknown parameter": (["run", EXAMPLE, "-p", "zz=1"], "zz"),
    "value of the wrong type": (["run", EXAMPLE, "-p", "count=many"], "count"),
    "not run here": (["run", CORPUS / "general" / "pipeline_with_volume.yaml"], "container.image"),
    "no such run": (["runs", "get", "nothing"], "nothing"),
    "wrong filter": (["runs", "list", "--filter", "state ="], "filter"),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_wrong_input_exits_2_and_names_what_is_wrong(server: Server, arguments: list[object], told: str) -> None:
    done = penstock(server, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_exits_3() -> None:
    done = penstock("127.0.0.1:1", "runs", "list")
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr


def test_values_are_read_by_their_declared_types(server: Server, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("12")
    made = run_json(
        server, "run", CORPUS / "essential" / "concat_message.yaml", "-p", "message1=5", "-p", f"message2=@{text}"
    )
    assert made["parameters"] == {"message1": "5", "message2": "12"}
    made = run_json(server, "run", CORPUS / "essential" / "dict_input.yaml", "-p", 'struct={"a": 1}')
    assert json.dumps(made["parameters"]) == '{"struct": {"a": 1}}'


def test_a_stored_pipeline_runs_by_its_name_and_number(server: Server) -> None:
    created = penstock(server, "pipelines", "create", "line-fit", EXAMPLE)
    assert created.returncode == 0, created.stderr
    first = run_json(server, "run", "line-fit@1", "-p", "epochs=1")
    latest = run_json(server, "run", "line-fit", "-p", "epochs=1")
    assert first["pipelineVersion"] == latest["pipelineVersion"] == "namespaces/default/pipelines/line-fit/versions/1"
    listed = penstock(server, "pipelines", "parameters", "line-fit")
    assert "slope" in listed.stdout


def test_a_run_is_listed_read_and_deleted(server: Server, tmp_path: Path) -> None:
    file = write(tmp_path, pipelines.chain(1, "sh", "-c", "echo hello"))
    run = run_json(server, "run", file)["name"].rpartition("/")[2]
    assert penstock(server, "runs", "watch", run).returncode == 0
    assert penstock(server, "logs", run, "s0").stdout == "hello\n"
    assert run in penstock(server, "runs", "list", "--filter", "state = SUCCEEDED").stdout
    assert run_json(server, "runs", "get", run)["state"] == "STATE_SUCCEEDED"
    assert penstock(server, "runs", "delete", run).returncode == 0
    assert penstock(server, "runs", "get", run).returncode == 2


def test_a_cancelled_run_is_retried_to_its_end(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = f"test -e {gate} || sleep 600"
    run = run_json(server, "run", write(tmp_path, pipelines.chain(2, "sh", "-c", script)))["name"].rpartition("/")[2]
    assert penstock(server, "runs", "cancel", run).returncode == 0
    assert penstock(server, "runs", "watch", run).returncode == 1
    gate.touch()
    assert penstock(server, "runs", "retry", run).returncode == 0
    assert penstock(server, "runs", "watch", run).returncode == 0
