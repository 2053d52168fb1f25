"""Compiles what is behind components that are no DAGs: containers and importers."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock_server.model.json import Json, JsonObject, with_integers
from penstock_server.spec.graph import Constant, Container, DagInput, Importer, Resources
from penstock_server.spec.interfaces import artifact_type
from penstock_server.spec.violations import Violations

ARGV_MAX = 10_000


class Executors:
    """Reads executors by their labels, with what the platform spec says of them."""

    def __init__(self, deployment: JsonObject, platform: JsonObject | None, violations: Violations) -> None:
        executors: Any = deployment.get("executors", {})
        self._executors: Mapping[str, Any] = executors
        self._platforms = _platform_executors(platform or {})
        self._violations = violations

    def body(self, path: str, label: str) -> Container | Importer | None:
        """The executor; None when it is missing or of a kind that nobody runs."""
        executor = self._executors.get(label)
        if executor is None:
            self._violations.add(f"{path}.executorLabel", f"there is no executor {label!r} in deploymentSpec")
            return None
        where = f"deploymentSpec.executors.{label}"
        if "container" in executor:
            return self._container(where, label, executor["container"])
        if "importer" in executor:
            return self._importer(where, label, executor["importer"])
        self._violations.add(where, "has to be a container or an importer")
        return None

    def producers(self, label: str) -> frozenset[str]:
        """Keys of the tasks that settings of the executor take values from, wherever they are used."""
        listed = [settings[label] for settings in self._platforms.values() if label in settings]
        return frozenset(producer for settings in listed for producer in _producers(settings))

    def _container(self, path: str, label: str, container: Mapping[str, Any]) -> Container | None:
        command, args = (self._texts(f"{path}.container.{key}", container.get(key, [])) for key in ("command", "args"))
        env = container.get("env", [])
        if not isinstance(env, list) or not all(isinstance(e, dict) and isinstance(e.get("name"), str) for e in env):
            self._violations.add(f"{path}.container.env", "has to be a list of objects with name and value")
            env = []
        for index, entry in enumerate(env):
            if not entry["name"] or "=" in entry["name"] or not isinstance(entry.get("value", ""), str):
                self._violations.add(
                    f"{path}.container.env[{index}]", "has to name a variable and give text as its value"
                )
        return Container(
            label=label,
            image=str(container.get("image", "")),
            command=command,
            args=args,
            env=tuple((entry["name"], str(entry.get("value", ""))) for entry in env),
            resources=_resources(container.get("resources", {})),
            platforms={name: found[label] for name, found in self._platforms.items() if label in found},
        )

    def _texts(self, path: str, values: Any) -> tuple[str, ...]:
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            self._violations.add(path, "has to be a list of texts")
            return ()
        if len(values) > ARGV_MAX:
            self._violations.add(path, f"has more than {ARGV_MAX} elements")
        return tuple(values)

    def _importer(self, path: str, label: str, importer: Mapping[str, Any]) -> Importer | None:
        uri = importer.get("artifactUri", {})
        if "runtimeParameter" in uri:
            source: Constant | DagInput = DagInput(str(uri["runtimeParameter"]))
        elif isinstance(uri.get("constant", uri.get("constantValue")), str | dict):
            source = Constant(uri.get("constant", uri.get("constantValue")))
        else:
            self._violations.add(f"{path}.importer.artifactUri", "is missing")
            return None
        title, version = artifact_type(importer.get("typeSchema"))
        metadata = with_integers(dict(importer.get("metadata", {})))
        assert isinstance(metadata, dict)
        return Importer(
            label=label,
            uri=source,
            type=title,
            schema_version=version,
            metadata=metadata,
            reimport=bool(importer.get("reimport", False)),
            download_to_workspace=bool(importer.get("downloadToWorkspace", False)),
        )


def _producers(value: Json) -> Iterator[str]:
    pending: list[Json] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            made = item.get("taskOutputParameter")
            if isinstance(made, dict) and isinstance(producer := made.get("producerTask"), str):
                yield producer
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _resources(given: Mapping[str, Any]) -> Resources:
    """Quantities as text; the older fields, plain numbers with memory in 10^9 bytes, where the newer ones are unset."""

    def either(new: str, old: str, unit: str = "") -> str:
        if given.get(new):
            return str(given[new])
        value = with_integers(given.get(old) or 0)
        return f"{value}{unit}" if value else ""

    accelerator = given.get("accelerator", {})
    return Resources(
        cpu_limit=either("resourceCpuLimit", "cpuLimit"),
        memory_limit=either("resourceMemoryLimit", "memoryLimit", "G"),
        cpu_request=either("resourceCpuRequest", "cpuRequest"),
        memory_request=either("resourceMemoryRequest", "memoryRequest", "G"),
        accelerator_type=str(accelerator.get("resourceType") or accelerator.get("type") or ""),
        accelerator_count=str(accelerator.get("resourceCount") or accelerator.get("count") or ""),
    )


def _platform_executors(platform: JsonObject) -> dict[str, Mapping[str, JsonObject]]:
    platforms: Any = platform.get("platforms", {})
    found: dict[str, Mapping[str, JsonObject]] = {}
    for name, single in platforms.items():
        executors = single.get("deploymentSpec", {}).get("executors", {})
        found[name] = {label: settings for label, settings in executors.items() if isinstance(settings, dict)}
    return found
