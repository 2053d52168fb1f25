"""The agent's two commands, run as a pod runs them, on a shared volume and on S3."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from penstock_agent import exits
from penstock_agent.content import ContentError, Source
from penstock_agent.leavings import collect
from penstock_agent.plan import Fetch, StoreOptions
from penstock_agent.report import ReportPlace, StepReport, read_message, sha256
from penstock_agent.stores import open_store
from penstock_agent.texts import TEXT_BYTES_MAX
from tests.agent.pod import AWAY, TIMEOUT_S, Pod, agent, until_signals_are_kept

NOBODY = 65534


def test_folders_are_made_for_whoever_runs_the_step_and_inputs_brought(made: Path) -> None:
    assert (made / "inputs/data.0").read_bytes() == b"1,2,3"
    assert {path.name: path.stat().st_mode & 0o777 for path in made.iterdir()} == dict.fromkeys(
        ["inputs", "outputs", "parameters"], 0o777
    )
    assert (made / "inputs/data.0").stat().st_mode & 0o777 == 0o666


def test_an_input_without_content_is_no_error(pod: Pod) -> None:
    assert pod.run("stage-in") == exits.DONE
    assert not (pod.root / "penstock/inputs/data.0").exists()


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [("report", exits.ALREADY_ENDED, "has run before"), ("closed", exits.CLOSED, "must not start any more")],
)
def test_an_attempt_that_is_over_does_not_start(pod: Pod, name: str, status: int, message: str) -> None:
    pod.store.write(f"{pod.plan.output_root}/.penstock/{name}.json", b"{}")
    assert pod.run("stage-in") == status
    assert message in pod.message
    assert not (pod.root / "penstock/inputs").exists()


def test_an_input_that_is_not_what_was_stored_is_refused(pod: Pod) -> None:
    pod.store.write(f"{pod.options.root}/data", b"1,2,3")
    (fetch,) = pod.plan.fetches
    plan = pod.plan._replace(fetches=(fetch._replace(digest=sha256(b"1,2")),))
    assert pod.run("stage-in", plan) == exits.INPUT_UNAVAILABLE
    assert "was stored with" in pod.message


def test_what_an_importer_asks_for_is_brought_to_the_workspace_once(pod: Pod) -> None:
    target = pod.root / "kfp-workspace/.artifacts/s3/b/data"
    plan = pod.plan._replace(fetches=(), downloads=(Fetch(f"{pod.options.root}/data", str(target)),))
    assert pod.run("stage-in", plan) == exits.INPUT_UNAVAILABLE
    assert "there is nothing at" in pod.message
    pod.store.write(f"{pod.options.root}/data", b"1")
    assert pod.run("stage-in", plan) == exits.DONE
    pod.store.write(f"{pod.options.root}/data", b"2")
    assert pod.run("stage-in", plan) == exits.DONE
    assert target.read_bytes() == b"1"


def test_a_plan_that_is_too_long_for_a_variable_is_read_from_the_store(pod: Pod) -> None:
    uri = f"{pod.plan.output_root}/.penstock/plan.json"
    assert pod.run("stage-in", PENSTOCK_PLAN="", PENSTOCK_PLAN_URI=uri) == exits.PLAN_INVALID
    assert pod.message == f"there is no plan at {uri}"
    pod.store.write(uri, pod.plan.to_json().encode())
    assert pod.run("stage-in", PENSTOCK_PLAN="", PENSTOCK_PLAN_URI=uri) == exits.DONE
    assert pod.end(PENSTOCK_PLAN="", PENSTOCK_PLAN_URI=uri) == exits.DONE


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"PENSTOCK_PLAN": ""}, "neither PENSTOCK_PLAN nor PENSTOCK_PLAN_URI is set"),
        ({"PENSTOCK_PLAN": "{"}, "the plan cannot be read"),
        ({"PENSTOCK_STORE": "{}"}, "PENSTOCK_STORE: '' lies in no store"),
        ({"PENSTOCK_STORE": "["}, "PENSTOCK_STORE cannot be read"),
    ],
)
def test_without_a_plan_or_a_store_nothing_is_done(pod: Pod, more: dict[str, str], message: str) -> None:
    assert pod.run("stage-in", None, **more) == exits.PLAN_INVALID
    assert message in pod.message
    assert pod.end(None, **more) == exits.PLAN_INVALID
    assert message in pod.message


def test_where_there_is_no_step_nothing_is_done(pod: Pod) -> None:
    assert pod.run("nothing") == exits.DONE


def test_a_command_of_no_agent_is_refused(pod: Pod) -> None:
    assert pod.run("stage") == exits.PLAN_INVALID
    assert "stage-in, stage-out or nothing" in pod.message


def test_what_the_step_has_left_is_stored_and_told_in_the_message(pod: Pod, made: Path) -> None:
    with pod.waiting() as process:
        (made / "parameters/accuracy").write_text("0.5\n")
        (made / "outputs/model").write_bytes(b"weights")
        process.terminate()
        assert process.wait(TIMEOUT_S) == exits.DONE
    report = read_message(pod.message)
    assert report == pod.report()
    assert isinstance(report, StepReport)
    assert (report.attempt, report.parameters, report.executor_output) == ("run/train/1", {"accuracy": "0.5\n"}, None)
    assert report.stored == {f"{pod.plan.output_root}/model": (sha256(b"weights"), 7)}
    assert pod.store.read(f"{pod.plan.output_root}/model", 10) == b"weights"
    assert pod.log == ""
    assert pod.run("stage-in") == exits.ALREADY_ENDED


def test_artifacts_are_placed_by_what_the_executor_says(pod: Pod, made: Path) -> None:
    (made / "outputs/other/deep").mkdir(parents=True)
    (made / "outputs/other/deep/file").write_text("x")
    (pod.root / "kfp-workspace/mine").write_text("yy")
    artifacts = [
        {"uri": f"{made}/outputs/other"},
        {"custom_path": f"{pod.root}/kfp-workspace/mine"},
        {"uri": "gs://b/x"},
    ]
    output = json.dumps({"artifacts": {"model": {"artifacts": artifacts}}})
    (made / "outputs/output_metadata.json").write_text(output)
    assert pod.end() == exits.DONE
    report = pod.report()
    root = pod.plan.output_root
    assert report.executor_output == output
    assert {uri: stored.size_bytes for uri, stored in report.stored.items()} == {f"{root}/other": 1, f"{root}/model": 2}
    assert pod.store.read(f"{root}/other/deep/file", 10) == b"x"


def test_a_report_that_is_too_long_for_the_message_is_named_there(pod: Pod, made: Path) -> None:
    (made / "parameters/accuracy").write_text(os.urandom(4096).hex())
    assert pod.end() == exits.DONE
    place = read_message(pod.message)
    content = pod.store.read(pod.plan.report_uri, 1024 * 1024)
    assert place == ReportPlace(pod.plan.report_uri, sha256(content or b""))


def test_an_executors_output_that_is_no_json_is_told_as_it_is(pod: Pod, made: Path) -> None:
    (made / "outputs/output_metadata.json").write_text("{")
    (made / "outputs/model").write_text("x")
    assert pod.end() == exits.DONE
    assert (pod.report().executor_output, pod.report().stored) == ("{", {})


LEFT = {
    "a pipe": ("parameters/accuracy", "accuracy is a device"),
    "a folder": ("parameters/accuracy", "accuracy is a device"),
    "a link out": ("parameters/accuracy", "accuracy is a link that leads out of"),
    "a large file": ("parameters/accuracy", "make it an artifact"),
    "no text": ("outputs/output_metadata.json", "output_metadata.json is not UTF-8"),
    "an artifact that is a link out": ("outputs/model", "which only the container of the step sees"),
    "an artifact with a link out": ("outputs/model", "secret is a link that leads out of"),
    "an artifact that is a pipe": ("outputs/model", "model is a device"),
    "a place out of sight": (
        "outputs/output_metadata.json",
        "lies at /tmp/model, which only the container of the step",
    ),
}


@pytest.mark.parametrize("kind", LEFT)
def test_what_will_not_do_is_a_fault_of_the_step(pod: Pod, made: Path, kind: str) -> None:
    place, fault = LEFT[kind]
    _leave(kind, made / place, pod.root)
    assert pod.end() == exits.DONE
    (told,) = pod.report().faults
    assert fault in told
    assert not pod.report().stored


def _leave(kind: str, path: Path, root: Path) -> None:
    (root / "secret").write_text("s")
    if "pipe" in kind:
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a large file":
        path.touch()
        os.truncate(path, TEXT_BYTES_MAX + 1)
    elif kind == "no text":
        path.write_bytes(b"\xff")
    elif kind == "an artifact with a link out":
        path.mkdir()
        (path / "secret").symlink_to(root / "secret")
    elif kind == "a place out of sight":
        artifact = {"custom_path": "/tmp/model"}
        path.write_text(json.dumps({"artifacts": {"model": {"artifacts": [artifact]}}}))
    else:
        path.symlink_to(root / "secret")


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read everything."""
    os.seteuid(NOBODY if os.geteuid() == 0 else os.geteuid())
    try:
        yield
    finally:
        os.seteuid(os.getuid())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody sees, unlike those that pytest makes."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("path", ["parameters/accuracy", "outputs/model", "outputs/model/inner"])
def test_what_only_its_owner_may_read_is_told_with_what_to_do(open_folder: Path, path: str) -> None:
    options = StoreOptions(root=f"file://{open_folder}/store")
    pod = Pod(open_folder, options, open_store(options))
    target = open_folder / "penstock" / path
    target.parent.mkdir(parents=True)
    target.write_text("x")
    target.chmod(0)
    with somebody_else():
        left = collect(pod.plan)
        faults = [*left.faults, *filter(None, map(_refusal, left.contents.values()))]
    (fault,) = faults
    assert fault == f"{target.name} may not be read by others than its owner: give it mode 0644, and its folders 0755"


def _refusal(source: Source) -> str | None:
    try:
        os.close(source.open(*(source.names() or [])))
    except ContentError as error:
        return str(error)
    return None


def test_before_the_step_the_agent_ends_at_once_when_its_pod_goes(pod: Pod) -> None:
    uri = f"{pod.plan.output_root}/.penstock/plan.json"
    environ = pod.environ(PENSTOCK_PLAN="", PENSTOCK_PLAN_URI=uri, PENSTOCK_STORE=AWAY.to_text())
    blocking = ["env", "--block-signal=TERM", *agent("stage-in")]
    with subprocess.Popen(blocking, env=environ) as process:
        until_signals_are_kept(process.pid)
        process.terminate()
        assert process.wait(TIMEOUT_S) == 128 + signal.SIGTERM


def test_before_the_step_the_agent_ends_at_once_though_the_store_does_not_answer(pod: Pod) -> None:
    """Whoever waits for the store hears of no signal: those are run by Python, which has the floor again afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(TIMEOUT_S)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = StoreOptions(endpoint, "us-east-1", allow_http=True, root="s3://nowhere/x")
        environ = replace(pod, options=options).environ()
        with subprocess.Popen(agent("stage-in"), env=environ) as process, silent.accept()[0]:
            process.terminate()
            assert process.wait(TIMEOUT_S) == 128 + signal.SIGTERM


def test_a_signal_that_comes_before_the_agent_is_ready_is_not_lost(pod: Pod, made: Path) -> None:
    with pod.waiting() as process:
        process.send_signal(signal.SIGSTOP)
        process.terminate()
        process.send_signal(signal.SIGCONT)
        assert process.wait(TIMEOUT_S) == exits.DONE
