"""What a step asks of the pod that it runs in, as fragments of a pod in Kubernetes' own JSON.

The values are resolved: no placeholder, no reference to an input or to another task is left in them. What a component
only passes on (TASK_CONFIG) is not among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock_server.model.json import JsonObject


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Everything that a pipeline can say of a step's pod. Empty: nothing was asked for."""

    image: str = ""
    image_pull_policy: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    resources: JsonObject = field(default_factory=dict)
    """`limits` and `requests` of the step's own container."""
    env: tuple[JsonObject, ...] = ()
    """Variables of the step's own container, in order; of two of a name the later one counts."""
    volumes: tuple[JsonObject, ...] = ()
    """Each name once, valid, and none that begins as Penstock's own do."""
    volume_mounts: tuple[JsonObject, ...] = ()
    """Of the step's own container."""
    security_context: JsonObject = field(default_factory=dict)
    """Of the step's own container."""
    init_containers: tuple[JsonObject, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[JsonObject, ...] = ()
    affinity: JsonObject = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def claims(self) -> tuple[str, ...]:
        """The volume claims that the step mounts, by name."""
        sources = (volume.get("persistentVolumeClaim") for volume in self.volumes)
        return tuple(sorted(str(source["claimName"]) for source in sources if isinstance(source, dict)))


NO_SETTINGS = PodSettings()
