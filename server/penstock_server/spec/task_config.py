"""What a step is told of its own settings, for parameters of the type TASK_CONFIG (contract 3.12).

A component lists the settings that it passes on, for example to a training job that it starts. They come to it as a
struct of fragments of a pod in Kubernetes' JSON, and go to its own process or pod only where the component says so.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from penstock_server.model.json import Json, JsonObject
from penstock_server.spec.graph import (
    Component,
    Constant,
    Container,
    DagInput,
    ParameterBinding,
    ParameterType,
    TaskOutput,
)
from penstock_server.spec.values import as_text

RESOURCES = "RESOURCES"
ENV = "ENV"
AFFINITY = "KUBERNETES_AFFINITY"
TOLERATIONS = "KUBERNETES_TOLERATIONS"
NODE_SELECTOR = "KUBERNETES_NODE_SELECTOR"
VOLUMES = "KUBERNETES_VOLUMES"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
ValueOf = Callable[[ParameterBinding], Json]
"""The value at the place that a setting names; None where there is none."""
_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\[(?:'([^']*)'|\"([^\"]*)\")\]\}\}\Z")


def applies_to_task(component: Component, field: str) -> bool:
    """Whether the setting (such as `ENV`) is also applied to the step itself, rather than only passed on."""
    if not _takes_config(component):
        return True
    listed = [applied for name, applied in component.task_config_passthroughs if name == field]
    return not listed or any(listed)


def task_config(
    component: Component, container: Container, inputs: Mapping[str, Json], value_of: ValueOf
) -> JsonObject:
    """The struct for the component's TASK_CONFIG parameter: what it lists and what is set, nothing else.

    `inputs` are the step's own, which resources may be taken from.
    """
    passed_on = {name for name, _ in component.task_config_passthroughs}
    read = _Settings(container, inputs, value_of)
    volumes = list(read.volumes()) if VOLUMES in passed_on else []
    config: JsonObject = {}
    if AFFINITY in passed_on:
        config["affinity"] = read.affinity()
    if TOLERATIONS in passed_on:
        config["tolerations"] = list(read.tolerations())
    if NODE_SELECTOR in passed_on:
        config["nodeSelector"] = read.node_selector()
    if ENV in passed_on:
        config["env"] = list(read.env())
    config["volumes"] = [volume for volume, _ in volumes]
    config["volumeMounts"] = [mount for _, mount in volumes]
    if RESOURCES in passed_on:
        config["resources"] = read.resources()
    return {name: value for name, value in config.items() if value}


def _takes_config(component: Component) -> bool:
    return any(parameter.type is ParameterType.TASK_CONFIG for parameter in component.input_parameters.values())


class _Settings:
    """Reads one executor's settings as fragments of a pod."""

    def __init__(self, container: Container, inputs: Mapping[str, Json], value_of: ValueOf) -> None:
        self._container = container
        self._inputs = inputs
        self._value_of = value_of
        self._settings = _object(container.platforms.get("kubernetes"))

    def resources(self) -> JsonObject:
        asked = self._container.resources
        limits = {"cpu": asked.cpu_limit, "memory": asked.memory_limit}
        accelerator = self._quantity(asked.accelerator_type)
        if accelerator:
            limits[accelerator] = asked.accelerator_count
        requests = {"cpu": asked.cpu_request, "memory": asked.memory_request}
        found = {"limits": self._quantities(limits), "requests": self._quantities(requests)}
        return {name: quantities for name, quantities in found.items() if quantities}

    def env(self) -> Iterator[JsonObject]:
        for name, value in self._container.env:
            yield {"name": name, "value": value}
        for source, kind, key in (
            ("secretAsEnv", "secret", "secretKey"),
            ("configMapAsEnv", "configMap", "configMapKey"),
        ):
            for entry in self._listed(source):
                name = self._name(entry, f"{kind}Name")
                optional = {"optional": entry["optional"]} if "optional" in entry else {}
                for pair in _objects(entry.get("keyToEnv")) if name else []:
                    reference: JsonObject = {f"{kind}KeyRef": {"name": name, "key": pair.get(key, ""), **optional}}
                    yield {"name": pair.get("envVar", ""), "valueFrom": reference}
        for entry in self._listed("fieldPathAsEnv"):
            field: JsonObject = {"fieldRef": {"fieldPath": entry.get("fieldPath", "")}}
            yield {"name": entry.get("name", ""), "valueFrom": field}

    def node_selector(self) -> Json:
        selector = _object(self._settings.get("nodeSelector"))
        if "nodeSelectorJson" in selector:
            return self._given(selector["nodeSelectorJson"])
        labels: Json = selector.get("labels")
        return labels

    def tolerations(self) -> Iterator[Json]:
        for entry in self._listed("tolerations"):
            if "tolerationJson" not in entry:
                yield {name: _seconds(value) if name == "tolerationSeconds" else value for name, value in entry.items()}
                continue
            given = self._given(entry["tolerationJson"])
            yield from (one for one in (given if isinstance(given, list) else [given]) if one)

    def affinity(self) -> JsonObject:
        """Terms without weight are required, one of them at least; those with weight preferred."""
        required: list[Json] = []
        preferred: list[Json] = []
        for entry in self._listed("nodeAffinity"):
            if "nodeAffinityJson" in entry:
                given = _object(self._given(entry["nodeAffinityJson"]))
                required += _objects(_object(given.get(_REQUIRED)).get("nodeSelectorTerms"))
                preferred += _objects(given.get(_PREFERRED))
                continue
            term = {name: entry[name] for name in ("matchExpressions", "matchFields") if entry.get(name)}
            if term and "weight" in entry:
                preferred.append({"weight": entry["weight"], "preference": term})
            elif term:
                required.append(term)
        found: JsonObject = {}
        if required:
            found[_REQUIRED] = {"nodeSelectorTerms": required}
        if preferred:
            found[_PREFERRED] = preferred
        return {"nodeAffinity": found} if found else {}

    def volumes(self) -> Iterator[tuple[JsonObject, JsonObject]]:
        """Volumes with where they are mounted: claims, secrets and config maps."""
        for entry in self._listed("pvcMount"):
            name = self._claim(entry)
            path: JsonObject = {"subPath": entry["subPath"]} if entry.get("subPath") else {}
            if name:
                claim: JsonObject = {"claimName": name}
                yield {"name": name, "persistentVolumeClaim": claim}, {**_mount(name, entry), **path}
        for entry in self._listed("secretAsVolume"):
            name, optional = self._name(entry, "secretName"), bool(entry.get("optional", False))
            if name:
                yield {"name": name, "secret": {"secretName": name, "optional": optional}}, _mount(name, entry)
        for entry in self._listed("configMapAsVolume"):
            name, optional = self._name(entry, "configMapName"), bool(entry.get("optional", False))
            if name:
                yield {"name": name, "configMap": {"name": name, "optional": optional}}, _mount(name, entry)

    def _listed(self, key: str) -> list[Mapping[str, Any]]:
        return _objects(self._settings.get(key))

    def _claim(self, entry: Mapping[str, Any]) -> str:
        if "pvcNameParameter" in entry:
            return as_text(self._given(entry["pvcNameParameter"]) or "")
        if "constant" in entry:
            return str(entry["constant"])
        return as_text(self._given(entry) or "")

    def _name(self, entry: Mapping[str, Any], key: str) -> str:
        """Empty where it comes from an optional input that nobody gave: the entry is passed over."""
        parameter = f"{key}Parameter"
        return as_text(self._given(entry[parameter]) or "") if parameter in entry else str(entry.get(key, ""))

    def _given(self, source: Any) -> Json:
        binding = _binding(source)
        return None if binding is None else self._value_of(binding)

    def _quantities(self, asked: Mapping[str, str]) -> JsonObject:
        found = {name: self._quantity(text) for name, text in asked.items()}
        return {name: quantity for name, quantity in found.items() if quantity}

    def _quantity(self, text: str) -> str:
        placeholder = _PLACEHOLDER.match(text)
        if placeholder is None:
            return text
        value = self._inputs.get(placeholder[1] or placeholder[2] or "")
        return "" if value is None else as_text(value)


def _object(value: Any) -> Mapping[str, Any]:
    """The object; platform documents may hold anything, and what is of another form is passed over."""
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Any]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _mount(name: str, entry: Mapping[str, Any]) -> JsonObject:
    return {"name": name, "mountPath": str(entry.get("mountPath", ""))}


def _seconds(value: Json) -> Json:
    """Protobuf's JSON writes 64-bit integers as text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _binding(source: Any) -> ParameterBinding | None:
    """Where a setting's value comes from, as tasks say it of their inputs."""
    if not isinstance(source, dict):
        return None
    if "componentInputParameter" in source:
        return ParameterBinding(DagInput(str(source["componentInputParameter"])))
    if isinstance(source.get("taskOutputParameter"), dict):
        made = source["taskOutputParameter"]
        return ParameterBinding(TaskOutput(made.get("producerTask", ""), made.get("outputParameterKey", "")))
    constant = source.get("runtimeValue")
    return ParameterBinding(Constant(constant.get("constant"))) if isinstance(constant, dict) else None
