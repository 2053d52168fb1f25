"""What is the same in all pods of an installation: our two containers, how they reach the store, the graces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock_server.launch.base import StepRequest
from penstock_server.launch.kubernetes.policy import Policies
from penstock_server.spec.graph import Importer

STAGE_REQUESTS: Mapping[str, str] = {"cpu": "10m", "memory": "64Mi"}


@dataclass(frozen=True, slots=True)
class Stage:
    """The containers `penstock-stage-in` and `penstock-stage-out` of every pod.

    Only they reach the store: what gives them access stands here and goes to no container of a user's.
    """

    image: str
    image_pull_policy: str = ""
    """Empty: as Kubernetes does it for the tag of the image."""
    command: tuple[str, ...] = ("penstock-agent",)
    """The agent in the image; `stage-in`, `stage-out` or `nothing` is added."""
    user: int = 0
    """Number of the user they run as. 0 reads what the step has left whatever its mode, by one capability and no
    other; another user has none, fits a namespace that is restricted, and reads what others may read."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Plain variables, such as the endpoint and region of the store."""
    secrets: tuple[str, ...] = ()
    """Secrets of the pod's namespace all of whose keys become variables: the credentials of the store."""
    store_path: str = ""
    """Of a `file://` store: its folder, the same here and in the pods. Empty for any other."""
    store_volume: Mapping[str, Any] = field(default_factory=dict)
    """Of a `file://` store: the source of the volume that is mounted there, as in Kubernetes' JSON without its name:
    `{"persistentVolumeClaim": {"claimName": "store"}}` or `{"hostPath": {"path": "/srv/store"}}`."""
    requests: Mapping[str, str] = field(default_factory=lambda: STAGE_REQUESTS)
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """What all pods have in common."""

    installation: str
    """Names the Penstock database, as a label's value."""
    stage: Stage
    policies: Policies = field(default_factory=Policies)
    grace_s: int = 30
    """Seconds that the containers have to end once the pod is ended, by whomever: *stage-out* with all it has to do."""
    long_grace_s: int = 600
    """The same for further attempts at a step that has artifacts to store: the first may not have had time enough."""

    def grace_of(self, request: StepRequest) -> int:
        """The grace of the attempt's pod, in seconds. Kubernetes knows one for all that ends a pod, and a node keeps to
        it once it has begun to end one: so only those get a long one that may need it."""
        component = request.component
        stores = bool(component.output_artifacts) and not isinstance(component.body, Importer)
        return max(self.grace_s, self.long_grace_s) if stores and request.attempt.number > 1 else self.grace_s
