"""What the tests of both stages share."""

from pathlib import Path

import pytest

from penstock_agent import exits
from penstock_agent.plan import StoreOptions
from penstock_agent.stores import open_store
from tests.agent.pod import Pod
from tests.object_stores import S3Server


@pytest.fixture(params=["folder", "s3"])
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Pod:
    options = StoreOptions(root=f"file://{tmp_path}/store")
    if request.param == "s3":
        s3: S3Server = request.getfixturevalue("s3")
        options = s3.options()
    (tmp_path / "penstock").mkdir()
    (tmp_path / "kfp-workspace").mkdir()
    return Pod(tmp_path, options, open_store(options))


@pytest.fixture
def made(pod: Pod) -> Path:
    """The shared folder of a pod in which *stage-in* has run."""
    pod.store.write(f"{pod.options.root}/data", b"1,2,3")
    assert pod.run("stage-in") == exits.DONE
    return pod.root / "penstock"
