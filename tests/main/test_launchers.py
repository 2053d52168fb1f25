"""The launcher that the settings name."""

from pathlib import Path

import pytest

from penstock_server.main.launchers import make_launcher, parallel_steps_max
from penstock_server.main.settings import Settings
from penstock_server.model.errors import FailedPrecondition
from penstock_server.store.database import Database
from penstock_server.store.objects import Artifacts

IMAGE = "penstock:dev"


async def test_the_process_launcher_is_the_default(tmp_path: Path, database: Database) -> None:
    launcher = await make_launcher(Settings(), tmp_path, database, Artifacts.in_folder(tmp_path))
    assert launcher.name == "process"
    await launcher.close()


async def test_a_launcher_of_pods_is_made_without_asking_the_cluster(tmp_path: Path, database: Database) -> None:
    settings = Settings(launcher="kubernetes", kubernetes_stage_image=IMAGE)
    launcher = await make_launcher(settings, tmp_path, database, Artifacts.in_folder(tmp_path))
    assert launcher.name == "kubernetes"
    await launcher.close()


async def test_a_store_that_pods_may_not_reach_is_a_warning(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(launcher="kubernetes", kubernetes_stage_image=IMAGE)
    launcher = await make_launcher(settings, tmp_path, database, Artifacts.in_folder(tmp_path))
    await launcher.close()
    [record] = [each for each in caplog.records if each.message == "pods may not reach the artifacts"]
    assert str(tmp_path) in record.__dict__["why"]


@pytest.mark.parametrize(
    ("settings", "reason", "told"),
    [
        ({}, "SETTING_MISSING", "--kubernetes-stage-image"),
        (
            {"kubernetes_stage_image": IMAGE, "kubernetes_policies": "/nowhere/policies.toml"},
            "POLICIES_INVALID",
            "/nowhere/policies.toml",
        ),
        (
            {"kubernetes_stage_image": IMAGE, "kubeconfig": "/nowhere/kubeconfig"},
            "KUBERNETES_ACCESS",
            "no kubeconfig at /nowhere/kubeconfig",
        ),
    ],
)
async def test_what_a_launcher_of_pods_lacks_is_named(
    tmp_path: Path, database: Database, settings: dict[str, str], reason: str, told: str
) -> None:
    given = Settings(launcher="kubernetes", **settings)  # type: ignore[arg-type]  # the table has texts only
    with pytest.raises(FailedPrecondition, match=told) as raised:
        launcher = await make_launcher(given, tmp_path, database, Artifacts.in_folder(tmp_path))
        await launcher.start()
    assert raised.value.reason == reason


def test_how_many_steps_run_at_a_time_depends_on_what_they_are() -> None:
    settings = Settings(max_parallel_steps=3, kubernetes_pods_max=300)
    assert parallel_steps_max(settings) == 3
    assert parallel_steps_max(Settings(launcher="kubernetes", max_parallel_steps=3, kubernetes_pods_max=300)) == 300
