"""Where the cluster's API is and who we are there: a kubeconfig, or the service account of the pod we run in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)

from penstock_server.launch.kubernetes.proxies import proxy_of
from penstock_server.model.errors import FailedPrecondition

_DEFAULT_KUBECONFIG = "~/.kube/config"


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """How to find the cluster. A named kubeconfig goes first, then the pod we run in, then what kubectl would take."""

    kubeconfig: str = ""
    """Path of a kubeconfig; several joined by colons are merged."""
    context: str = ""
    """Of the kubeconfig; empty: its current one."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """The server's environment, for KUBECONFIG, proxies, and for what a pod is told of its cluster."""

    async def load(self) -> Configuration:
        """The address, the certificates, the credentials and the proxy, read anew. Raises FailedPrecondition
        (KUBERNETES_ACCESS)."""
        configuration = Configuration()
        try:
            if self._is_inside:
                self._load_inside(configuration)
            else:
                await load_kube_config(
                    str(self._path()), self.context or None, client_configuration=configuration, persist_config=False
                )
        except (ConfigException, OSError) as error:
            raise _unusable(str(error)) from error
        configuration.proxy = configuration.proxy or proxy_of(configuration.host, self.environ)
        return configuration

    @property
    def _is_inside(self) -> bool:
        return not (self.kubeconfig or self.context) and bool(self.environ.get(SERVICE_HOST_ENV_NAME))

    def _load_inside(self, configuration: Configuration) -> None:
        loader = InClusterConfigLoader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME, environ=self.environ)
        loader.load_and_set(configuration)

    def _path(self) -> str:
        given = self.kubeconfig or self.environ.get("KUBECONFIG", "")
        path = given or str(Path(_DEFAULT_KUBECONFIG).expanduser())
        if not any(Path(part).exists() for part in path.split(":")):
            raise _unusable(f"there is no kubeconfig at {path}")
        return path


def _unusable(why: str) -> FailedPrecondition:
    message = (
        f"the cluster cannot be reached: {why}; name a kubeconfig with --kubeconfig or KUBECONFIG, and one of its"
        " contexts, or run the server in a pod with a service account"
    )
    return FailedPrecondition("KUBERNETES_ACCESS", message)
