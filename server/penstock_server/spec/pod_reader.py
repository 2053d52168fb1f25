"""Reads all that an executor says of its pod, once for the pod itself and once for steps that are told of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from penstock_server.model.json import Json, JsonObject
from penstock_server.spec import pod_containers, pod_scheduling, pod_volumes
from penstock_server.spec.graph import Component, Constant, Container, ParameterBinding, ParameterType
from penstock_server.spec.pod_entries import Entry, SettingError, ValueOf, check_annotation
from penstock_server.spec.pod_settings import PodSettings
from penstock_server.spec.pod_volumes import Volumes

RESOURCES = "RESOURCES"
ENV = "ENV"
AFFINITY = "KUBERNETES_AFFINITY"
TOLERATIONS = "KUBERNETES_TOLERATIONS"
NODE_SELECTOR = "KUBERNETES_NODE_SELECTOR"
VOLUMES = "KUBERNETES_VOLUMES"

KUBERNETES = "kubernetes"
PENSTOCK = "penstock"
PLACEHOLDER = "{{$"
OWN_PREFIX = "penstock.dev/"
"""Labels and annotations that begin so are ours."""


def applies_to_task(component: Component, field: str) -> bool:
    """Whether the setting (such as `ENV`) is also applied to the step itself, rather than only passed on."""
    if not takes_config(component):
        return True
    listed = [applied for name, applied in component.task_config_passthroughs if name == field]
    return not listed or any(listed)


def takes_config(component: Component) -> bool:
    """Whether the component is told of its own settings."""
    return any(parameter.type is ParameterType.TASK_CONFIG for parameter in component.input_parameters.values())


def pod_settings(
    component: Component, container: Container, inputs: Mapping[str, Json], value_of: ValueOf
) -> PodSettings:
    """What applies to the pod of the step, resolved. `inputs` are all that its task is bound to.

    Raises SettingError.
    """
    read = PodReader(container, inputs, value_of)
    found = PodSettings(
        image=read.image(),
        image_pull_policy=read.pull_policy(),
        image_pull_secrets=read.pull_secrets(),
        security_context=read.security_context(),
        init_containers=read.init_containers(),
        labels=read.labels(),
        annotations=read.annotations(),
    )
    for field, part in _PARTS.items():
        if applies_to_task(component, field):
            found = part(found, read)
    return found


def needs_bound(container: Container) -> bool:
    """True where the settings hold placeholders, which also stand for what a task is bound to beside its inputs."""
    return PLACEHOLDER in f"{container.image}{container.resources}{container.platforms.get(PENSTOCK)}"


@dataclass(frozen=True, slots=True)
class PodReader:
    """The settings of one executor, as fragments of a pod. What it reads may raise SettingError."""

    container: Container
    inputs: Mapping[str, Json]
    value_of: ValueOf

    @property
    def settings(self) -> Entry:
        """Those that KFP has a place for."""
        return self._platform(KUBERNETES)

    def image(self) -> str:
        """The image of the step."""
        return pod_containers.image(self.container, self.inputs)

    def resources(self) -> JsonObject:
        """Limits and requests."""
        return pod_containers.resources(self.container, self._platform(PENSTOCK), self.inputs)

    def env(self) -> tuple[JsonObject, ...]:
        """Variables."""
        return tuple(pod_containers.variables(self.container, self.settings))

    def pull_policy(self) -> str:
        """When the image is pulled."""
        return pod_containers.pull_policy(self.settings)

    def pull_secrets(self) -> tuple[str, ...]:
        """What images are pulled with."""
        return pod_containers.pull_secrets(self.settings)

    def security_context(self) -> JsonObject:
        """What the step may do."""
        return pod_containers.security_context(self.settings)

    def init_containers(self) -> tuple[JsonObject, ...]:
        """Containers of the pipeline before the step."""
        return pod_containers.init_containers(self.settings)

    def node_selector(self) -> dict[str, str]:
        """Labels of the node."""
        return pod_scheduling.node_selector(self.settings)

    def tolerations(self) -> tuple[JsonObject, ...]:
        """Taints of the node that do no harm."""
        return tuple(pod_scheduling.tolerations(self.settings))

    def affinity(self) -> JsonObject:
        """Nodes and pods that are wanted near, or far."""
        return pod_scheduling.affinity(self.settings)

    def volumes(self) -> Volumes:
        """All volumes with where they are mounted."""
        return pod_volumes.read_volumes(self.settings)

    def references(self) -> Volumes:
        """Those volumes that exist beside the pod."""
        return pod_volumes.read_references(self.settings)

    def labels(self) -> dict[str, str]:
        """Labels of the pod."""
        metadata = self.settings.entry("podMetadata")
        return _foreign(metadata, "labels", metadata.labels("labels"))

    def annotations(self) -> dict[str, str]:
        """Annotations of the pod."""
        metadata = self.settings.entry("podMetadata")
        found = _foreign(metadata, "annotations", metadata.strings("annotations"))
        for name in found:
            check_annotation(f"{metadata.at('annotations')}.{name}", name)
        return found

    def _platform(self, name: str) -> Entry:
        fields: Mapping[str, Any] = self.container.platforms.get(name, {})
        return Entry("", fields, self.value_of)


def problems(container: Container) -> Iterator[SettingError]:
    """What is wrong with settings whose values stand in the spec; the others are looked at when they are known."""
    read = PodReader(container, {}, _constant)
    for part in _CHECKED:
        try:
            part(read)
        except SettingError as error:
            yield error


def _constant(binding: ParameterBinding) -> Json:
    return binding.source.value if isinstance(binding.source, Constant) else None


def _foreign(metadata: Entry, key: str, found: dict[str, str]) -> dict[str, str]:
    for name in found:
        if name.startswith(OWN_PREFIX):
            raise SettingError(f"{metadata.at(key)}.{name}", f"begins with {OWN_PREFIX}, which is Penstock's own")
    return found


def _mounted(found: PodSettings, read: PodReader) -> PodSettings:
    mounted = read.volumes()
    return replace(found, volumes=tuple(mounted.volumes), volume_mounts=tuple(mounted.mounts))


_PARTS: dict[str, Callable[[PodSettings, PodReader], PodSettings]] = {
    RESOURCES: lambda found, read: replace(found, resources=read.resources()),
    ENV: lambda found, read: replace(found, env=read.env()),
    AFFINITY: lambda found, read: replace(found, affinity=read.affinity()),
    TOLERATIONS: lambda found, read: replace(found, tolerations=read.tolerations()),
    NODE_SELECTOR: lambda found, read: replace(found, node_selector=read.node_selector()),
    VOLUMES: _mounted,
}
"""What a component may have passed on instead."""
_CHECKED: tuple[Callable[[PodReader], object], ...] = (
    PodReader.resources,
    PodReader.env,
    PodReader.volumes,
    PodReader.node_selector,
    PodReader.tolerations,
    PodReader.affinity,
    PodReader.pull_policy,
    PodReader.pull_secrets,
    PodReader.security_context,
    PodReader.init_containers,
    PodReader.labels,
    PodReader.annotations,
)
