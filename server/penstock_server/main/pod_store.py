"""What the servers reach of the artifact store and the pods of steps do not, as far as the settings tell it."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from penstock_server.main.addresses import Address
from penstock_server.main.settings import Settings
from penstock_server.main.store_options import endpoint_variable
from penstock_server.store.objects import Artifacts


def store_doubts(settings: Settings, artifacts: Artifacts, environ: Mapping[str, str], user: int) -> str:
    """Why pods may not reach the store although this server does, and what to do; empty where nothing speaks for it.

    No more than a doubt: a cluster on this machine alone may well reach it. `user` is that of this server.
    """
    endpoint = artifacts.options.endpoint
    host = urlsplit(endpoint).hostname or ""
    if host and Address(host, 0).is_loopback:
        variable = endpoint_variable(settings, environ)
        source = f"{variable} of the environment" if variable else "artifacts_endpoint"
        return f"{source} is {endpoint}, which is another place in every pod: name an address that pods reach as well"
    if artifacts.folder and not settings.kubernetes_store_claim:
        return (
            f"artifacts lie in {artifacts.folder} of this machine, and every pod is given that folder of its own node:"
            " name an object store with --artifacts-url, or a shared volume with --kubernetes-store-claim"
        )
    if artifacts.folder and settings.kubernetes_stage_user != user:
        return (
            f"the containers around each step write to the shared volume as user {settings.kubernetes_stage_user}, and"
            f" this server as user {user}: neither can write to folders that the other has made, such as that of a log."
            f" Let both be one with --kubernetes-stage-user {user}"
        )
    return ""
