"""`penstock import-kfp` from one real server, asked as KFP is, into another: all of it, once, whatever is cut."""

import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from penstock import Client
from tests import pipelines
from tests.e2e.cutting_proxy import cutting
from tests.e2e.kfp_rest import Record, ask, holdings, listed
from tests.servers import BIN, Server, running

TIMEOUT_S = 180
HISTORY = 60
"""Runs of long ago, beside the ones that ran on the source itself: more than a page of them."""
SPACE = uuid.UUID(int=0xFEED)
QUICK = pipelines.chain(2, "true")

pytestmark = pytest.mark.slow


def command(server: Server | str, *arguments: str) -> list[str]:
    target = server if isinstance(server, str) else server.grpc
    return [str(BIN / "penstock"), "--target", target, *arguments]


def import_kfp(target: Server | str, host: Server | str, *options: str) -> tuple[int, Any]:
    """The exit status, and the summary."""
    address = host if isinstance(host, str) else host.http
    arguments = command(target, "import-kfp", f"http://{address}", "-o", "json", *options)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def counted(summary: Any, outcome: str) -> dict[str, int]:
    """How many of each kind came to that; kinds without any are left out."""
    counts = {kind: found[outcome] for kind, found in summary["counts"].items()}
    return {kind: count for kind, count in counts.items() if count}


def upload(server: Server, name: str, spec: pipelines.Ir) -> Record:
    answer = urllib3.request(
        "POST",
        f"http://{server.http}/apis/v2beta1/pipelines/upload?name={name.replace(' ', '%20')}",
        fields={"uploadfile": ("pipeline.json", json.dumps(spec).encode())},
    )
    assert answer.status == 200, answer.data
    told: Record = answer.json()
    return told


def past_run(number: int) -> Record:
    """A run of long ago, as KFP tells it."""
    minute = f"2025-02-03T{number // 60:02}:{number % 60:02}"
    return {
        "run_id": str(uuid.uuid5(SPACE, str(number))),
        "display_name": f"old {number}",
        "pipeline_spec": QUICK,
        "created_at": f"{minute}:00Z",
        "finished_at": f"{minute}:30Z",
        "state": "FAILED" if number % 7 == 0 else "SUCCEEDED",
        "error": {"code": 2, "message": "it rained"} if number % 7 == 0 else None,
        "run_details": {"task_details": [{"task_id": "t", "display_name": "fit", "state": "SUCCEEDED"}]},
    }


def populate(server: Server, client: Client, gate: Path) -> str:
    """Some of everything, also what is archived, disabled, cancelled or under way. The id of the run under way."""
    vision = ask(server, "POST", "experiments", {"display_name": "Vision Lab", "description": "eyes"})
    old = ask(server, "POST", "experiments", {"display_name": "old"})
    plain = upload(server, "line-fit", QUICK)
    upload(server, "Named as people do", pipelines.chain(1, "false"))
    client.pipelines.create_version("line-fit", pipelines.loop_of_loops(2, "true"), alias="v2")
    version = listed(server, f"pipelines/{plain['pipeline_id']}/versions", "pipeline_versions")[0]
    by_version = {
        "pipeline_version_reference": {name: version[name] for name in ("pipeline_id", "pipeline_version_id")}
    }

    def run(name: str, source: Record, experiment: Record) -> str:
        body = {"display_name": name, "experiment_id": experiment["experiment_id"], **source}
        return str(ask(server, "POST", "runs", body)["run_id"])

    def recur(name: str, trigger: Record, **more: Any) -> None:
        body = {
            "display_name": name,
            "experiment_id": vision["experiment_id"],
            "max_concurrency": "2",
            "mode": "ENABLE",
        }
        ask(server, "POST", "recurringruns", body | {"trigger": trigger} | by_version | more)

    waiting = pipelines.chain(1, "sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done")
    # The oldest, so that it is not the last run of its experiment, which is compared.
    under_way = run("waits", {"pipeline_spec": waiting}, vision)
    run("by version", by_version, vision)
    run("of its own", {"pipeline_spec": pipelines.loop_of_loops(2, "true")}, vision)
    run("fails", {"pipeline_spec": pipelines.chain(3, "false")}, vision)
    run("archived", by_version, old)
    cancelled = run("cancelled", {"pipeline_spec": waiting}, vision)
    ask(server, "POST", f"runs/{cancelled}:terminate", {})
    recur("nightly", {"cron_schedule": {"cron": "TZ=Europe/Berlin 0 30 2 * * *", "start_time": "2099-01-01T00:00:00Z"}})
    recur("hourly", {"periodic_schedule": {"interval_second": "3600"}}, no_catchup=True)
    recur("off", {"cron_schedule": {"cron": "0 0 4 * * 1"}}, mode="DISABLE")
    for found in list(client.runs.list(filter='display_name != "waits"')):
        client.wait(found, timeout=TIMEOUT_S)
    ask(server, "POST", f"experiments/{old['experiment_id']}:archive", {})
    for number in range(HISTORY):
        client.kfp_imports.run({k: v for k, v in past_run(number).items() if v is not None}, "long ago")
    return under_way


class Source:
    """A server that is asked as KFP is, with a run that goes on until it is let go."""

    def __init__(self, server: Server, client: Client, gate: Path) -> None:
        self.server = server
        self.client = client
        self._gate = gate
        self.under_way = populate(server, client, gate)

    def let_go(self) -> None:
        """The run under way ends."""
        self._gate.touch()
        (run,) = self.client.runs.list(filter='display_name = "waits"')
        self.client.wait(run, timeout=TIMEOUT_S)

    def ended(self) -> dict[str, dict[str, Record]]:
        """All that is to be found in another server after an import."""
        held = holdings(self.server)
        held["runs"] = {id: run for id, run in held["runs"].items() if run["state"] not in ("PENDING", "RUNNING")}
        return held


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, new_dsn: Callable[[], str]) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("source")
    with running(folder / "data", "--database-url", new_dsn()) as server, Client(server.grpc) as client:
        yield Source(server, client, folder / "gate")


@pytest.fixture
def target(tmp_path: Path, database_dsn: str) -> Iterator[Server]:
    with running(tmp_path / "data", "--database-url", database_dsn) as server:
        yield server


@pytest.fixture(scope="module")
def settled(
    source: Source, tmp_path_factory: pytest.TempPathFactory, new_dsn: Callable[[], str]
) -> Iterator[tuple[Server, str]]:
    """A server that has taken over the source, and where from."""
    options = ("--database-url", new_dsn())
    with running(tmp_path_factory.mktemp("settled") / "data", *options) as server:
        import_kfp(server, source.server)
        with Client(server.grpc) as client:
            client.namespaces.create("vision")
        yield server, f"http://{source.server.http}"


def same(target: Server, source: Source) -> None:
    """What ended in the source is in the target, and nothing else."""
    there, here = source.ended(), holdings(target)
    assert {kind: records.keys() for kind, records in here.items()} == {kind: r.keys() for kind, r in there.items()}
    assert [
        (kind, id, name, here[kind][id].get(name), value)
        for kind, records in there.items()
        for id, record in records.items()
        for name, value in record.items()
        if here[kind][id].get(name) != value
    ] == [], "here, and there"


def test_all_of_an_installation_comes_over_once(source: Source, target: Server) -> None:
    status, tried = import_kfp(target, source.server, "--dry-run")
    assert (status, counted(tried, "there")) == (1, {"experiments": 1})
    assert holdings(target)["pipelines"] == {}
    status, made = import_kfp(target, source.server)
    assert counted(made, "made") == counted(tried, "made")
    assert [(item["reason"], item["id"]) for item in made["left_out"]] == [("IMPORT_NOT_ENDED", source.under_way)]
    assert counted(made, "made") == {
        "experiments": 2,
        "pipelines": 2,
        "versions": 3,
        "schedules": 3,
        "runs": HISTORY + 5,
    }
    same(target, source)
    # The only test that lets the run go that is under way: others must do with or without it.
    source.let_go()
    status, summary = import_kfp(target, source.server)
    assert (status, counted(summary, "made")) == (0, {"runs": 1})
    same(target, source)
    before = holdings(target)
    status, again = import_kfp(target, source.server)
    assert (status, counted(again, "made")) == (0, {})
    assert holdings(target) == before


def test_what_came_over_is_seen_as_what_is_made_here(settled: tuple[Server, str]) -> None:
    target, origin = settled
    with Client(target.grpc) as client:
        runs = {run.display_name: run for run in client.runs.list(page_size=1000)}
        assert {run.origin for run in runs.values()} == {origin}
        assert runs["archived"].HasField("archive_time")
        assert runs["by version"].pipeline_version.endswith("/line-fit/versions/1")
        states = {name: type(run).State.Name(run.state) for name, run in runs.items()}
        assert states["cancelled"] == "STATE_CANCELLED"
        watched = subprocess.run(
            command(target, "runs", "watch", runs["fails"].name), capture_output=True, text=True, check=False
        )
        assert (watched.returncode, "FAILED" in watched.stdout) == (1, True)
        again = client.wait(client.runs.rerun(runs["by version"]), timeout=TIMEOUT_S)
        assert (again.state, again.origin) == (again.STATE_SUCCEEDED, "")


def test_schedules_fire_once_somebody_says_so(settled: tuple[Server, str]) -> None:
    target, origin = settled

    def states(client: Client) -> dict[str, str]:
        return {job.display_name: type(job).State.Name(job.state) for job in client.jobs.list()}

    def enable(*options: str) -> str:
        arguments = command(target, "import-kfp", origin, "--enable-schedules", "--only", "schedules", *options)
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
        return re.sub(r" \(.*?\)", "", done.stdout).partition("\n")[2].partition("\n")[2]

    with Client(target.grpc) as client:
        assert set(states(client).values()) == {"STATE_DISABLED"}
        assert enable("--dry-run") == "would be enabled: schedule nightly\nwould be enabled: schedule hourly\n"
        assert set(states(client).values()) == {"STATE_DISABLED"}
        assert enable() == "enabled: schedule nightly\nenabled: schedule hourly\n"
        assert states(client) == {"nightly": "STATE_ENABLED", "hourly": "STATE_ENABLED", "off": "STATE_DISABLED"}
        assert enable().startswith("enabled: no schedule")


def test_another_namespace_takes_pipelines_and_no_more(settled: tuple[Server, str]) -> None:
    target, origin = settled

    def vision(*options: str) -> "subprocess.CompletedProcess[str]":
        arguments = [*command(target), "-n", "vision", "import-kfp", origin, "-o", "json", *options]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    refused = vision()
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "imported into namespace default before" in refused.stderr
    assert "penstock -n default import-kfp" in refused.stderr
    with Client(target.grpc, namespace="vision") as client:
        assert list(client.pipelines.list()) == []
    taken = vision("--only", "pipelines")
    assert taken.returncode == 0, taken.stderr
    assert counted(json.loads(taken.stdout), "made") == {"pipelines": 2, "versions": 3}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.nightly)])
def test_an_import_over_lines_that_are_cut_brings_all_over_once(source: Source, target: Server, seed: int) -> None:
    with cutting(source.server.http, seed, (0.05, 0.4)) as host, cutting(target.grpc, seed, (0.05, 0.4)) as way:
        import_kfp(way.address, host.address)
        assert host.cuts + way.cuts > 0
    same(target, source)


def interrupted(
    target: Server, source: Source, after: str, end: Callable[["subprocess.Popen[str]"], None]
) -> "subprocess.Popen[str]":
    """An import that is interfered with once it has told that it is through with a kind."""
    arguments = command(target, "import-kfp", f"http://{source.server.http}")
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any(line.startswith(after) for line in process.stderr)
    end(process)
    return process


def test_an_import_that_is_killed_goes_on_where_it_was(source: Source, target: Server) -> None:
    for after in ("experiments", "schedules"):
        process = interrupted(target, source, after, lambda each: each.kill())
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode < 0, "it was through before it could be killed"
    import_kfp(target, source.server)
    same(target, source)


def test_an_import_outlives_a_server_that_is_killed(source: Source, target: Server) -> None:
    def restart(_process: "subprocess.Popen[str]") -> None:
        target.kill()
        target.start()

    process = interrupted(target, source, "schedules", restart)
    told, complaints = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in (0, 1), complaints
    assert "runs" in told
    same(target, source)
