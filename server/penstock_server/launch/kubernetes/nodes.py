"""Whether a node is lost: the only ground on which a pod is removed that its node has not ended."""

from penstock_server.launch.kubernetes.api import ClusterApi
from penstock_server.launch.kubernetes.api_errors import ApiError, ApiNotFoundError, ApiUnavailableError


async def is_lost(api: ClusterApi, node: str) -> bool:
    """True only where the cluster itself says so: there is no such node any more, or it has not been heard of.

    A node that we may not ask after is not lost. Raises ApiUnavailableError.
    """
    try:
        told = await api.node(node)
    except ApiNotFoundError:
        return True
    except ApiUnavailableError:
        raise
    except ApiError:
        return False
    conditions = (told.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "Unknown" for condition in conditions)
