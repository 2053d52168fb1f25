"""What the containers of a step's pod are: resources, variables, image, rights, and containers before it."""

import re
from collections.abc import Iterator, Mapping

from penstock_server.model.json import Json, JsonObject, with_integers
from penstock_server.spec.graph import Container
from penstock_server.spec.pod_entries import Entry, SettingError, checked_quantity, present
from penstock_server.spec.pod_volumes import OWN, volume_name
from penstock_server.spec.values import as_text, shown

PULL_POLICIES = ("Always", "Never", "IfNotPresent")
_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\[(?:'([^']*)'|\"([^\"]*)\")\]\}\}\Z")
_CONTAINER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_RESOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,251}\Z")


def image(container: Container, inputs: Mapping[str, Json]) -> str:
    """The image; one that is a placeholder comes from an input."""
    return _filled(container.image, inputs)


def resources(container: Container, own: Entry, inputs: Mapping[str, Json]) -> JsonObject:
    """Limits and requests: those of KFP, then those by any name that `platforms.penstock` adds (`own`)."""
    asked = container.resources
    limits = {"cpu": asked.cpu_limit, "memory": asked.memory_limit}
    accelerator, count = _filled(asked.accelerator_type, inputs), _filled(asked.accelerator_count, inputs)
    if accelerator and count:
        limits[accelerator] = count
    requests = {"cpu": asked.cpu_request, "memory": asked.memory_request}
    more = own.entry("resources")
    return present(
        limits={**_quantities("limits", limits, inputs), **_named(more, "limits", inputs)},
        requests={**_quantities("requests", requests, inputs), **_named(more, "requests", inputs)},
    )


def _quantities(kind: str, asked: Mapping[str, str], inputs: Mapping[str, Json]) -> JsonObject:
    found = {name: _filled(text, inputs) for name, text in asked.items()}
    return {name: checked_quantity(f"container.resources.{kind}.{name}", text) for name, text in found.items() if text}


def _named(more: Entry, kind: str, inputs: Mapping[str, Json]) -> JsonObject:
    """Resources by any name, such as `nvidia.com/gpu`: each a quantity, a placeholder or a place it comes from."""
    asked = more.entry(kind)
    found: JsonObject = {}
    for name, value in asked.fields.items():
        if _RESOURCE_NAME.match(name) is None:
            raise SettingError(asked.at(name), "has a name that no resource has")
        given = asked.given(name) if isinstance(value, dict) else value
        text = _filled(given, inputs) if isinstance(given, str) else "" if given is None else as_text(given)
        if text:
            found[name] = checked_quantity(asked.at(name), text)
    return found


def _filled(text: str, inputs: Mapping[str, Json]) -> str:
    """The text, or the input that it is a placeholder for; empty where that was not given."""
    placeholder = _PLACEHOLDER.match(text)
    if placeholder is None:
        return text
    value = inputs.get(placeholder[1] or placeholder[2] or "")
    return "" if value is None else as_text(with_integers(value))


def variables(container: Container, settings: Entry) -> Iterator[JsonObject]:
    """The component's own variables, then those from secrets, config maps and fields of the pod."""
    for name, value in container.env:
        yield {"name": name, "value": value}
    for source, kind in (("secretAsEnv", "secret"), ("configMapAsEnv", "configMap")):
        for entry in settings.entries(source):
            if name := entry.name(f"{kind}Name"):
                yield from _from_keys(entry, kind, name)
    for entry in settings.entries("fieldPathAsEnv"):
        field: JsonObject = {"fieldRef": {"fieldPath": entry.required("fieldPath")}}
        yield {"name": _variable(entry, "name"), "valueFrom": field}


def _from_keys(entry: Entry, kind: str, name: str) -> Iterator[JsonObject]:
    optional: JsonObject = {"optional": entry.flag("optional")} if entry.has("optional") else {}
    for pair in entry.entries("keyToEnv"):
        reference: JsonObject = {"name": name, "key": pair.required(f"{kind}Key"), **optional}
        yield {"name": _variable(pair, "envVar"), "valueFrom": {f"{kind}KeyRef": reference}}


def _variable(entry: Entry, key: str) -> str:
    name = entry.required(key)
    if "=" in name or not name.isprintable():
        raise entry.wrong(key, f"has to be the name of a variable and is {shown(name)}")
    return name


def pull_secrets(settings: Entry) -> tuple[str, ...]:
    """Names of the secrets that images are pulled with."""
    names = [entry.name("secretName") for entry in settings.entries("imagePullSecret")]
    return tuple(dict.fromkeys(name for name in names if name))


def pull_policy(settings: Entry) -> str:
    """When the image is pulled; empty: as Kubernetes does it."""
    policy = settings.text("imagePullPolicy")
    if policy not in ("", *PULL_POLICIES):
        raise settings.wrong("imagePullPolicy", f"has to be one of {', '.join(PULL_POLICIES)} and is {shown(policy)}")
    return policy


def security_context(settings: Entry) -> JsonObject:
    """The user that the step runs as. Whoever says anything of it gives up all capabilities, as with KFP."""
    if not settings.has("securityContext"):
        return {}
    asked = settings.entry("securityContext")
    user, group = asked.integer("runAsUser"), asked.integer("runAsGroup")
    if user == 0 and asked.flag("runAsNonRoot"):
        raise asked.wrong("runAsUser", "is 0, and runAsNonRoot forbids that")
    found: JsonObject = {"capabilities": {"drop": ["ALL"]}}
    found |= {key: value for key, value in (("runAsUser", user), ("runAsGroup", group)) if value is not None}
    if asked.has("runAsNonRoot"):
        found["runAsNonRoot"] = asked.flag("runAsNonRoot")
    return found


def init_containers(settings: Entry) -> tuple[JsonObject, ...]:
    """Containers of the pipeline that run before the step, or, with restartPolicy Always, beside it."""
    found = [_init_container(entry, index) for index, entry in enumerate(settings.entries("initContainers"))]
    names = [container["name"] for container in found]
    if len(set(map(str, names))) < len(names):
        raise SettingError("initContainers", "has two containers of one name")
    return tuple(found)


def _init_container(entry: Entry, index: int) -> JsonObject:
    name = entry.text("name") or f"init-{index}"
    if _CONTAINER_NAME.match(name) is None or name == "main" or name.startswith(OWN):
        raise entry.wrong("name", f"has to be a lower-case name other than main and {OWN}... and is {shown(name)}")
    if (restart := entry.text("restartPolicy")) not in ("", "Always"):
        raise entry.wrong("restartPolicy", f"has to be Always, or nothing, and is {shown(restart)}")
    asked = entry.entry("resources")
    return present(
        name=name,
        image=entry.required("image"),
        command=list(entry.texts("command")),
        args=list(entry.texts("args")),
        env=[{"name": _variable(item, "name"), "value": item.text("value")} for item in entry.entries("env")],
        volumeMounts=[_init_mount(item) for item in entry.entries("volumeMounts")],
        restartPolicy=restart,
        resources=present(limits=_named(asked, "limits", {}), requests=_named(asked, "requests", {})),
    )


def _init_mount(entry: Entry) -> JsonObject:
    return present(
        name=volume_name(entry.text("name") or entry.required("volumeName")),
        mountPath=entry.required("mountPath"),
        subPath=entry.text("subPath"),
        readOnly=entry.flag("readOnly") or None,
    )
