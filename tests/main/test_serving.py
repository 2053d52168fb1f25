"""A server as a process: its start, its end, and what stands in its way."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests import pipelines
from tests.servers import BIN, Server, running

RUNS = "/v1/namespaces/default/runs"
PATIENCE_S = 30
SERVE: Sequence[str | Path] = (
    *(BIN / "penstock-server", "serve"),
    *("--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"),
)
READY = re.compile(r"penstock-server ready: grpc 127\.0\.0\.1:\d+ http 127\.0\.0\.1:\d+\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has been used before, so that starts on it are quick."""
    data_dir = tmp_path_factory.mktemp("serving") / "data"
    with running(data_dir):
        return data_dir


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with running(folder) as server:
        yield server


def ask(server: Server, path: str, body: Any = None) -> Any:
    """GET, or POST with a body; the JSON answered."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{server.http}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        return json.load(response)


def status(server: Server, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{server.http}{path}", timeout=PATIENCE_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.02)


def run(server: Server, name: str, *command: str) -> None:
    """Make a run of one step that runs `command`."""
    spec = pipelines.wide(1, *command)
    ask(server, f"{RUNS}?run_id={name}", {"inlineSpec": {"struct": spec}})


def watch(server: Server, name: str) -> list[dict[str, Any]]:
    """The run's events, to its end."""
    with urllib.request.urlopen(f"http://{server.http}{RUNS}/{name}:watch", timeout=PATIENCE_S) as lines:
        return [json.loads(line)["result"]["event"] for line in lines]


def refused(*arguments: str | Path, seconds: float = PATIENCE_S) -> "subprocess.CompletedProcess[str]":
    """What a server says that does not start."""
    return subprocess.run([*SERVE, *arguments], capture_output=True, text=True, timeout=seconds, check=False)


def assert_told(ended: "subprocess.CompletedProcess[str]", *words: str, exit_status: int = 2) -> None:
    """One line on stderr that has the words, nothing on stdout."""
    assert (ended.returncode, ended.stdout) == (exit_status, ""), ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("penstock-server: ")
    for word in words:
        assert word in line


def test_a_server_tells_where_it_is_when_it_is_ready(folder: Path) -> None:
    with subprocess.Popen(
        [*SERVE, "--data-dir", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert READY.fullmatch(line)
    assert (rest, process.returncode) == ("", 0)


def test_a_ready_server_serves_on_both_addresses(server: Server) -> None:
    assert ask(server, "/readyz") == {"status": "ready"}
    assert ask(server, "/v1/namespaces/default")["namespace"]["name"] == "namespaces/default"
    with grpc.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_run_goes_from_rest_to_its_log(server: Server) -> None:
    run(server, "through-rest", "sh", "-c", "echo hello from a step")
    events = watch(server, "through-rest")
    assert [event["sequence"] for event in events] == [str(number + 1) for number in range(len(events))]
    assert ask(server, f"{RUNS}/through-rest")["run"]["state"] == "STATE_SUCCEEDED"
    log = ask(server, f"{RUNS}/through-rest/tasks/s0:readLogs")["result"]
    assert "hello from a step" in b64decode(log["content"]).decode()


def test_metrics_tell_of_runs_and_calls(server: Server) -> None:
    run(server, "measured", "true")
    watch(server, "measured")
    with urllib.request.urlopen(f"http://{server.http}/metrics", timeout=PATIENCE_S) as response:
        page = response.read().decode()
    assert 'penstock_run_ends_total{reason="COMPLETED",state="SUCCEEDED"} 1.0' in page
    assert 'penstock_rpc_duration_seconds_count{code="OK",method="penstock.v1.RunService/CreateRun"' in page
    assert "penstock_attempt_ends_total" in page


@pytest.mark.parametrize("option", ["--grpc-listen", "--http-listen"])
def test_an_address_in_use_is_told_before_anything_is_made(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = refused("--data-dir", tmp_path / "data", option, address)
    assert_told(ended, address, option)
    assert not (tmp_path / "data").exists()


def test_a_second_server_on_a_folder_is_refused_by_name(server: Server) -> None:
    assert_told(refused("--data-dir", server.data_dir), str(server.data_dir), "--data-dir")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_told(refused("--data-dir", tmp_path / "file" / "data"), str(tmp_path / "file" / "data"))


def test_a_database_that_was_not_migrated_is_told_with_what_to_do(empty_dsn: str, tmp_path: Path) -> None:
    options = ("--database-url", empty_dsn, "--data-dir", str(tmp_path))
    assert_told(refused(*options), "penstock-server migrate")
    subprocess.run([BIN / "penstock-server", "migrate", "--database-url", empty_dsn], check=True, capture_output=True)
    with running(tmp_path, "--database-url", empty_dsn) as server:
        assert ask(server, "/readyz") == {"status": "ready"}


def test_a_database_that_does_not_answer_is_told_with_why(tmp_path: Path) -> None:
    url = f"postgresql://me@/penstock?host={tmp_path}"
    ended = refused("--database-url", url, "--database-wait-s", "0", "--data-dir", tmp_path)
    assert_told(ended, "the database does not answer", "No such file", exit_status=1)


def test_running_steps_are_left_running_and_found_again(folder: Path, tmp_path: Path) -> None:
    started, go_on = tmp_path / "started", tmp_path / "go-on"
    script = f"touch {started}; while ! [ -e {go_on} ]; do sleep 0.05; done"
    with running(folder) as server:
        run(server, "left-running", "sh", "-c", script)
        eventually(started.exists)
        assert server.stop() == 0
        server.start()
        go_on.touch()
        events = watch(server, "left-running")
    launches = [event for event in events if event.get("attemptTransition", {}).get("toState") == "STATE_LAUNCHING"]
    assert len(launches) == 1
    assert events[-1]["runTransition"]["toState"] == "STATE_SUCCEEDED"


def test_watches_end_with_the_server_and_say_so(folder: Path, tmp_path: Path) -> None:
    with running(folder) as server:
        run(server, f"watched-{tmp_path.name.replace('_', '-')}"[:60].rstrip("-"), "sleep", "60")
        url = f"http://{server.http}{RUNS}:watch"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as lines:
            assert server.stop() == 0
            last = json.loads(lines.read().splitlines()[-1])
    assert last["error"]["details"][0]["reason"] == "SERVER_DRAINING"


def test_a_killed_server_s_folder_serves_again(folder: Path) -> None:
    with running(folder) as server:
        server.kill()
        server.start()
        assert ask(server, "/readyz") == {"status": "ready"}


def test_a_database_that_dies_is_started_again_and_the_server_stays(server: Server) -> None:
    pid = int((server.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: status(server, "/readyz") == 503)
    eventually(lambda: status(server, "/readyz") == 200)
    run(server, "afterwards", "true")
    assert watch(server, "afterwards")[-1]["runTransition"]["toState"] == "STATE_SUCCEEDED"


def test_a_second_signal_ends_the_server_at_once(folder: Path) -> None:
    with running(folder, "--drain-s", "600") as server, hanging_call(server):
        process = server.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        eventually(lambda: status(server, "/healthz") == 200 and status(server, RUNS) == 503)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGINT


def hanging_call(server: Server) -> socket.socket:
    """A call whose body never comes."""
    host, port = server.http.split(":")
    connection = socket.create_connection((host, int(port)))
    head = f"POST {RUNS} HTTP/1.1\r\nHost: {server.http}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_starting_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    command = [*SERVE, "--data-dir", tmp_path / "data"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually((tmp_path / "data").exists)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout) == (0, ""), stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


def test_the_module_can_be_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "penstock_server", "version"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.startswith("penstock-server ")
