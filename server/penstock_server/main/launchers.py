"""Makes the launcher that the settings name, not started."""

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_agent.plan import STORE_VARIABLE
from penstock_server.launch.base import Launcher
from penstock_server.launch.environments import EnvironmentSettings, StepEnvironments, uv_environment
from penstock_server.launch.process import ProcessLauncher, ProcessSettings
from penstock_server.launch.surroundings import PASSED_ON
from penstock_server.launch.warm import WarmSettings
from penstock_server.main.claimed import KnownAttempts
from penstock_server.main.pod_store import store_doubts
from penstock_server.main.settings import Settings
from penstock_server.main.transfer import StoredArtifacts
from penstock_server.model.errors import FailedPrecondition
from penstock_server.store import secrets
from penstock_server.store.database import Database
from penstock_server.store.objects import Artifacts
from penstock_server.store.records import StoredRecords

if TYPE_CHECKING:
    from penstock_server.launch.kubernetes.frame import Stage
    from penstock_server.launch.kubernetes.policy import Policies
    from penstock_server.launch.kubernetes.workplace import KubernetesSettings

_log = logging.getLogger(__name__)


async def make_launcher(settings: Settings, data_dir: Path, database: Database, artifacts: Artifacts) -> Launcher:
    """The launcher. Raises FailedPrecondition where it cannot be as the settings want it."""
    if settings.launcher == "kubernetes":
        return await _kubernetes(settings, database, artifacts)
    return _process(settings, data_dir, artifacts)


def parallel_steps_max(settings: Settings) -> int:
    """How many steps this server lets run at a time."""
    return settings.kubernetes_pods_max if settings.launcher == "kubernetes" else settings.max_parallel_steps


def _process(settings: Settings, data_dir: Path, artifacts: Artifacts) -> Launcher:
    environments = StepEnvironments(
        data_dir / "environments",
        EnvironmentSettings(_uv(), _uv_environment(settings), timeout_s=settings.step_environment_timeout_s),
    )
    warm = WarmSettings(settings.warm_pythons_max, settings.warm_python_idle_s)
    process = ProcessSettings(os.environ, (*PASSED_ON, *settings.step_environ), settings.step_grace_s, warm)
    return ProcessLauncher(data_dir / "steps", StoredArtifacts(artifacts), environments, process)


async def _kubernetes(settings: Settings, database: Database, artifacts: Artifacts) -> Launcher:
    # Imported here: the client of Kubernetes takes more than a second, which servers without a cluster are spared.
    from penstock_server.launch.kubernetes.api import ApiLimits, ClusterApi
    from penstock_server.launch.kubernetes.connection import ClusterAccess
    from penstock_server.launch.kubernetes.launcher import KubernetesLauncher
    from penstock_server.launch.kubernetes.records import Records

    if not settings.kubernetes_stage_image:
        raise FailedPrecondition(
            "SETTING_MISSING",
            "the launcher `kubernetes` needs the image of this server for the containers around each step: name it"
            " with --kubernetes-stage-image",
        )
    async with database.transaction() as connection:
        installation = await secrets.installation(connection)
    if doubts := store_doubts(settings, artifacts, os.environ, os.geteuid()):
        _log.warning("pods may not reach the artifacts", extra={"why": doubts})
    access = ClusterAccess(settings.kubeconfig, settings.kubernetes_context, os.environ)
    limits = ApiLimits(rate_per_s=settings.kubernetes_api_rate, burst=settings.kubernetes_api_burst)
    return KubernetesLauncher(
        ClusterApi(access, limits),
        Records(StoredRecords.at(artifacts.options), artifacts.root_uri),
        _kubernetes_settings(settings, installation, artifacts),
        KnownAttempts(database),
    )


def _kubernetes_settings(settings: Settings, installation: str, artifacts: Artifacts) -> "KubernetesSettings":
    from penstock_server.launch.kubernetes.frame import Frame
    from penstock_server.launch.kubernetes.judgement import Graces
    from penstock_server.launch.kubernetes.workplace import ClusterNamespaces, KubernetesSettings

    named = _pairs(settings.kubernetes_namespaces)
    storage_class = settings.kubernetes_workspace_class
    return KubernetesSettings(
        namespaces=ClusterNamespaces(settings.kubernetes_namespace, named),
        frame=Frame(
            installation,
            _stage(settings, artifacts),
            policies=_policies(settings.kubernetes_policies),
            grace_s=settings.kubernetes_pod_grace_s,
            long_grace_s=settings.kubernetes_long_grace_s,
        ),
        graces=Graces(
            image_s=settings.kubernetes_image_grace_s,
            config_s=settings.kubernetes_config_grace_s,
            start_s=settings.kubernetes_config_grace_s,
            scheduling_s=settings.kubernetes_unschedulable_grace_s,
            preparation_s=settings.kubernetes_unschedulable_grace_s,
        ),
        stop_grace_s=settings.kubernetes_stop_grace_s,
        workspace_size=settings.kubernetes_workspace_size,
        workspace_spec={"storageClassName": storage_class} if storage_class else {},
        pending_pods_max=settings.kubernetes_pending_pods_max,
    )


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


def _policies(path: str) -> "Policies":
    """Raises FailedPrecondition(POLICIES_INVALID)."""
    from penstock_server.launch.kubernetes.policy import Policies
    from penstock_server.launch.kubernetes.policy_file import PolicyError, read_policies

    try:
        return read_policies(Path(path).read_text()) if path else Policies()
    except (PolicyError, OSError, UnicodeDecodeError) as error:
        raise FailedPrecondition("POLICIES_INVALID", f"the policies in {path} cannot be used: {error}") from error


def _stage(settings: Settings, artifacts: Artifacts) -> "Stage":
    """The containers around each step, and how they reach the store."""
    from penstock_server.launch.kubernetes.frame import Stage

    folder = artifacts.folder
    claim = settings.kubernetes_store_claim
    volume = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"hostPath": {"path": folder}}
    return Stage(
        image=settings.kubernetes_stage_image,
        image_pull_policy=settings.kubernetes_stage_pull_policy,
        user=settings.kubernetes_stage_user,
        requests=_pairs(settings.kubernetes_stage_requests),
        limits=_pairs(settings.kubernetes_stage_limits),
        env={STORE_VARIABLE: artifacts.options.to_text()},
        secrets=settings.kubernetes_store_secrets,
        store_path=folder,
        store_volume=volume if folder else {},
    )


def _uv_environment(settings: Settings) -> dict[str, str]:
    environment = uv_environment(os.environ)
    if settings.step_index_url:
        environment["UV_DEFAULT_INDEX"] = settings.step_index_url
    if settings.step_extra_index_urls:
        environment["UV_INDEX"] = " ".join(settings.step_extra_index_urls)
    return environment


def _uv() -> Path:
    """The program that builds the Python environments of steps; the image has none."""
    if find_spec("uv") is None:
        message = "this installation has no uv, which --launcher process needs: install it, or choose another launcher"
        raise FailedPrecondition("PART_NOT_INSTALLED", message)
    from uv import find_uv_bin  # A server whose steps are not processes goes without.

    return Path(find_uv_bin())
