"""Where lists of runs and of recurring runs look."""

from collections.abc import Mapping
from typing import Protocol

from penstock_server.compat.sources import uuid_of
from penstock_server.compat.spaces import Spaces
from penstock_server.rpc.call import Call
from penstock_server.store.kfp_runs import NOBODY


class Scoped(Protocol):
    """What such a request has."""

    namespace: str
    experiment_id: str


def scope_of(request: Scoped, spaces: Spaces, call: Call) -> Mapping[str, object]:
    """The parameters of the lists' statements: an experiment is enough, otherwise a namespace has to be known."""
    if request.experiment_id:
        namespace = spaces.reachable(call)
        return {"namespace": namespace, "experiment_uid": uuid_of(request.experiment_id) or NOBODY}
    return {"namespace": spaces.own(request.namespace, call), "experiment_uid": None}
