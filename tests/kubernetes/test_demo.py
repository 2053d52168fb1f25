"""The demo with steps as pods: its server outside of the cluster, and as `deploy/kubernetes` has it, in pods."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes import machine
from tests.kubernetes.images import step_images
from tests.kubernetes.installation import Installation, forwarded, installed
from tests.kubernetes.kubectl import kubectl, read
from tests.kubernetes.surroundings import Surroundings, namespace_for_steps
from tests.object_stores import CREDENTIALS

pytestmark = pytest.mark.kubernetes

DEMO = Path(__file__).resolve().parent.parent.parent / "scripts" / "demo.py"
TIMEOUT_S = 300


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    """The example asks for tags that stay as they are."""
    step_images({"alpine:3.22": "alpine:3"})


@pytest.fixture
def installation(around: Surroundings) -> Iterator[Installation]:
    """Two servers in the cluster, with a Postgres and a store on this machine."""
    name = f"penstock-{uuid.uuid4().hex[:8]}"
    with machine.postgres(around.host) as url:
        settings = around.settings(f"{name}-steps")
        made = Installation(name, around.image, url, settings, store=CREDENTIALS, replicas=2)
        with installed(made):
            yield made


def demo(*options: str, **environment: str) -> None:
    command = [sys.executable, str(DEMO), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCEEDED" in done.stdout
    assert "the fast fit wins" in done.stdout


def test_the_demo_runs_with_its_server_outside_of_the_cluster(
    around: Surroundings,
) -> None:
    namespace = f"penstock-demo-{uuid.uuid4().hex[:8]}"
    with namespace_for_steps(namespace):
        demo(*around.options(namespace, kubeconfig=os.environ["KUBECONFIG"]), PATH="/usr/bin:/bin", **CREDENTIALS)


def test_the_demo_runs_with_its_servers_in_the_cluster(installation: Installation) -> None:
    with forwarded(installation.name) as target:
        demo("--target", target, PATH="/usr/bin:/bin")
    servers = read("pods", "--namespace", installation.name)["items"]
    assert len(servers) == 2
    assert [status["restartCount"] for pod in servers for status in pod["status"]["containerStatuses"]] == [0, 0]
    log = kubectl("logs", "deployment/penstock-server", "--all-pods", "--namespace", installation.name)
    assert '"level": "error"' not in log
