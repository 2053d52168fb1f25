"""Service accounts of runs. No launcher of this server has any; what was asked is kept and told, in a label."""

from collections.abc import Mapping

LABEL = "pipelines.kubeflow.org/service-account"
DEFAULT = "pipeline-runner"
NAME_MAX = 253
"""Characters, as Kubernetes has it."""


def labels_for(service_account: str) -> dict[str, str]:
    """The labels of a run that was asked to have the service account; none where it was not said."""
    return {LABEL: service_account} if service_account else {}


def service_account_of(labels: Mapping[str, str]) -> str:
    """The service account of a run, as KFP tells it: its server's own where none was named."""
    return labels.get(LABEL, DEFAULT)
