"""Servers outside of the cluster whose steps are pods: what is promised of runs holds whatever is killed or cut."""

import os
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from penstock import Client
from penstock.v1.run_pb2 import Run
from penstock_server.engine.history import check
from tests.e2e.cutting_proxy import cutting
from tests.e2e.histories import events_of, tasks_of
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.kubectl import evict, kubectl, namespaces
from tests.kubernetes.pods import pods_of, until
from tests.kubernetes.servers import journal, journalling, kubeconfig_to, serving

pytestmark = pytest.mark.kubernetes
RUN_TIMEOUT_S = 240
STEPS = 10
MANY = 200
MADE_GOOD_S = 60
"""A step that hears no signal, and whose pod somebody deletes, is begun anew sooner."""


@pytest.fixture
def folder(cluster: Cluster, request: pytest.FixtureRequest) -> Path:
    made: Path = cluster.folder / request.node.name
    made.mkdir()
    return made


def check_ended_well(client: Client, cluster: Cluster, run: Run) -> None:
    """The run has succeeded, its history is legal, and nothing of it is left in the cluster."""
    assert Run.State.Name(run.state) == "STATE_SUCCEEDED", run
    assert check(events_of(client, run)) == []
    until(lambda: pods_of(cluster, run) == [])


def test_a_pipeline_runs_as_pods(cluster: Cluster, folder: Path, database_dsn: str) -> None:
    with serving(cluster, folder, database_dsn) as (server,), Client(server.grpc) as client:
        run = client.wait(client.create_run(journalling(folder / "shared", 2)), timeout=RUN_TIMEOUT_S)
        check_ended_well(client, cluster, run)
        first = next(task for task in tasks_of(client, run) if task.display_name == "s0" or task.name.endswith("/s0"))
        assert first.pod.node
        assert first.pod.name.startswith(run.name.rpartition("/")[2][:20].rstrip("-"))
        assert b"".join(chunk.content for chunk in client.logs(run, "s0")) == b"said by s0\n"


def test_servers_that_are_killed_lose_no_run_and_no_step_runs_twice(
    cluster: Cluster, folder: Path, database_dsn: str
) -> None:
    shared = folder / "shared"
    with serving(cluster, folder, database_dsn, 2) as (first, second):
        with Client(first.grpc) as owner:
            run = owner.create_run(journalling(shared, STEPS, waits=True))
        until(lambda: len(journal(shared)) >= STEPS // 2)
        first.kill()
        until(lambda: len(journal(shared)) == STEPS)
        first.start()
        second.kill()
        second.start()
        (shared / "gate").touch()
        with Client(second.grpc) as again:
            check_ended_well(again, cluster, again.wait(run, timeout=RUN_TIMEOUT_S))
    assert max(Counter(journal(shared)).values()) == 1
    assert len(journal(shared)) == STEPS


def test_pods_that_are_deleted_are_made_good_without_the_retries_of_the_pipeline(
    cluster: Cluster, folder: Path, database_dsn: str
) -> None:
    shared = folder / "shared"
    with serving(cluster, folder, database_dsn) as (server,), Client(server.grpc) as client:
        run = client.create_run(journalling(shared, 3, waits=True))
        until(lambda: len(journal(shared)) == 3)
        kubectl("delete", "pods", "--all", "--namespace", cluster.namespace, "--grace-period=1", "--wait=false")
        until(lambda: len(journal(shared)) == 6)
        (shared / "gate").touch()
        check_ended_well(client, cluster, client.wait(run, timeout=RUN_TIMEOUT_S))


def test_a_run_whose_namespace_is_deleted_fails_and_says_so(cluster: Cluster, folder: Path, database_dsn: str) -> None:
    shared = folder / "shared"
    doomed = f"{cluster.namespace}-doomed"
    with namespaces(doomed):
        moved = ("--kubernetes-namespaces", f"default={doomed}", "--kubernetes-pod-grace-s", "5")
        with serving(cluster, folder, database_dsn, 1, *moved) as (server,), Client(server.grpc) as client:
            run = client.create_run(journalling(shared, 2, waits=True))
            until(lambda: len(journal(shared)) == 2)
            kubectl("delete", "namespace", doomed, "--wait=false")
            ended = client.wait(run, timeout=RUN_TIMEOUT_S)
            assert Run.State.Name(ended.state) == "STATE_FAILED"
            assert check(events_of(client, run)) == []
            refused = [task for task in tasks_of(client, run) if task.reason == "POD_REFUSED"]
            assert len(refused) == 2
            assert all(doomed in task.message for task in refused)


@pytest.mark.parametrize("how", ["deleted", "drained"])
def test_a_step_that_hears_no_signal_is_begun_anew_soon_after_its_pod_was_deleted(
    cluster: Cluster, folder: Path, database_dsn: str, how: str
) -> None:
    """A shell that is the first process of its container is deaf to signals; nobody asks for a short grace here."""
    shared = folder / "shared"
    with serving(cluster, folder, database_dsn) as (server,), Client(server.grpc) as client:
        run = client.create_run(journalling(shared, 1, waits=True))
        until(lambda: journal(shared) == ["s0 0"])
        (pod,) = pods_of(cluster, run)
        if how == "deleted":
            kubectl("delete", "pod", pod["metadata"]["name"], "--namespace", cluster.namespace, "--wait=false")
        else:
            evict(cluster.namespace, pod["metadata"]["name"])
        until(lambda: client.runs.task(run, "s0").reason == "POD_TERMINATING")
        until(lambda: journal(shared) == ["s0 0", "s0 1"], MADE_GOOD_S)
        (shared / "gate").touch()
        check_ended_well(client, cluster, client.wait(run, timeout=RUN_TIMEOUT_S))
        lost, _ = client.runs.task(run, "s0").attempts
        assert lost.reason == {"deleted": "POD_DELETED", "drained": "POD_EVICTED"}[how]


def test_an_api_server_that_is_cut_off_again_and_again_delays_only(
    cluster: Cluster, folder: Path, database_dsn: str
) -> None:
    shared = folder / "shared"
    api = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]["server"]
    with cutting(urlsplit(api).netloc, seed=1, life_s=(0.2, 2.0)) as proxy:
        kubeconfig = kubeconfig_to(int(proxy.address.rpartition(":")[2]), folder / "kubeconfig")
        serve = serving(cluster, folder, database_dsn, 1, "--kubeconfig", str(kubeconfig))
        with serve as (server,), Client(server.grpc) as client:
            run = client.wait(client.create_run(journalling(shared, STEPS)), timeout=RUN_TIMEOUT_S)
            check_ended_well(client, cluster, run)
        assert proxy.cuts > 1
    assert sorted(Counter(journal(shared)).values()) == [1] * STEPS


def test_a_cancelled_run_leaves_no_pod(cluster: Cluster, folder: Path, database_dsn: str) -> None:
    shared = folder / "shared"
    with serving(cluster, folder, database_dsn) as (server,), Client(server.grpc) as client:
        run = client.create_run(journalling(shared, 4, waits=True))
        until(lambda: len(journal(shared)) == 4)
        assert len(pods_of(cluster, run)) == 4
        client.runs.cancel(run)
        ended = client.wait(run, timeout=RUN_TIMEOUT_S)
        assert Run.State.Name(ended.state) == "STATE_CANCELLED"
        until(lambda: pods_of(cluster, run) == [])


@pytest.mark.slow
def test_many_steps_at_once_end_right(cluster: Cluster, folder: Path, database_dsn: str) -> None:
    """More than a node takes at a time: the rest waits, and nothing is given up for that."""
    shared = folder / "shared"
    with serving(cluster, folder, database_dsn) as (server,), Client(server.grpc) as client:
        run = client.wait(client.create_run(journalling(shared, MANY)), timeout=4 * RUN_TIMEOUT_S)
        check_ended_well(client, cluster, run)
    assert len(set(journal(shared))) == len(journal(shared)) == MANY
