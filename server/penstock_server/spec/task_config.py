"""What a step is told of its own settings, for parameters of the type TASK_CONFIG (contract 3.12).

A component lists the settings that it passes on, for example to a training job that it starts. They come to it as a
struct of fragments of a pod in Kubernetes' JSON, and go to its own process or pod only where the component says so.
"""

from collections.abc import Mapping

from penstock_server.model.json import Json, JsonObject
from penstock_server.spec.graph import Component, Container
from penstock_server.spec.pod_entries import ValueOf
from penstock_server.spec.pod_reader import (
    AFFINITY,
    ENV,
    NODE_SELECTOR,
    RESOURCES,
    TOLERATIONS,
    VOLUMES,
    PodReader,
)
from penstock_server.spec.pod_volumes import Volumes


def task_config(
    component: Component, container: Container, inputs: Mapping[str, Json], value_of: ValueOf
) -> JsonObject:
    """The struct for the component's TASK_CONFIG parameter: what it lists and what is set, nothing else.

    `inputs` are the step's own, which resources may be taken from. Raises SettingError.
    """
    passed_on = {name for name, _ in component.task_config_passthroughs}
    read = PodReader(container, inputs, value_of)
    volumes = read.references() if VOLUMES in passed_on else Volumes()
    config: JsonObject = {
        "affinity": read.affinity() if AFFINITY in passed_on else {},
        "tolerations": list(read.tolerations()) if TOLERATIONS in passed_on else [],
        "nodeSelector": dict(read.node_selector()) if NODE_SELECTOR in passed_on else {},
        "env": list(read.env()) if ENV in passed_on else [],
        "volumes": list(volumes.volumes),
        "volumeMounts": list(volumes.mounts),
        "resources": read.resources() if RESOURCES in passed_on else {},
    }
    return {name: value for name, value in config.items() if value}
