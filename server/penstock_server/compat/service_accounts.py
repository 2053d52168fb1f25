"""Service accounts of runs: what was asked is kept and told, in a label, and given to the pods of the steps."""

from collections.abc import Mapping

from penstock_server.model.resources import SERVICE_ACCOUNT_LABEL as LABEL

DEFAULT = "pipeline-runner"
NAME_MAX = 253
"""Characters, as Kubernetes has it."""


def labels_for(service_account: str) -> dict[str, str]:
    """The labels of a run that was asked to have the service account; none where it was not said."""
    return {LABEL: service_account} if service_account else {}


def kept_labels(service_account: str) -> dict[str, str]:
    """The labels of a run that another server tells of: its own service account there is nothing to keep."""
    return {} if service_account == DEFAULT else labels_for(service_account[:NAME_MAX])


def service_account_of(labels: Mapping[str, str]) -> str:
    """The service account of a run, as KFP tells it: its server's own where none was named."""
    return labels.get(LABEL, DEFAULT)
