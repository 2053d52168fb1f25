"""What launcher tests share: a Python environment with kfp, made once."""

import asyncio
from pathlib import Path

import pytest

from tests.launch.components import make_environment


@pytest.fixture(scope="session")
def kfp_environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of environments, one with kfp among them; not to be changed."""
    return asyncio.run(make_environment(tmp_path_factory.mktemp("kfp")))


@pytest.fixture
def kfp_root(kfp_environments: Path, tmp_path: Path) -> Path:
    """A folder for launchers that has that environment."""
    (tmp_path / "environments").symlink_to(kfp_environments)
    return tmp_path
