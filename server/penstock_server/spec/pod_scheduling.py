"""Where a step's pod may run, from the settings of its executor: node selector, tolerations, affinities."""

from collections.abc import Iterator
from typing import Any

from penstock_server.model.json import Json, JsonObject
from penstock_server.spec.pod_entries import Entry, SettingError, check_label, present
from penstock_server.spec.values import as_text, shown

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def node_selector(settings: Entry) -> dict[str, str]:
    """Labels that the node has to have; an object from an input or a task goes over those that are written down."""
    selector = settings.entry("nodeSelector")
    if not selector.has("nodeSelectorJson"):
        return selector.labels("labels")
    given = selector.given_entry("nodeSelectorJson")
    found = {name: as_text(value) for name, value in given.fields.items()}
    for name, value in found.items():
        check_label(given.at(name), name, value)
    return found


def tolerations(settings: Entry) -> list[JsonObject]:
    """Taints that the pod may be put up with; an input or a task may give one or a list, empty ones are passed over."""
    found: list[JsonObject] = []
    for entry in settings.entries("tolerations"):
        if not entry.has("tolerationJson"):
            found.append(_toleration(entry))
            continue
        given, path = entry.given("tolerationJson"), entry.at("tolerationJson")
        for one in given if isinstance(given, list) else [given]:
            if one is not None and not isinstance(one, dict):
                raise SettingError(path, f"has to be an object, or a list of objects, and has {shown(one)}")
            if one:
                found.append(_toleration(Entry(path, one, entry.value_of)))
    return found


def _toleration(entry: Entry) -> JsonObject:
    texts: dict[str, Json] = {key: entry.text(key) for key in ("key", "operator", "value", "effect")}
    made = present(**texts)
    if (seconds := entry.integer("tolerationSeconds")) is not None:
        made["tolerationSeconds"] = seconds
    return made


def affinity(settings: Entry) -> JsonObject:
    """Affinities to nodes, to other pods and against them."""
    return present(
        nodeAffinity=_node_affinity(settings),
        podAffinity=_pod_affinity(settings, anti=False),
        podAntiAffinity=_pod_affinity(settings, anti=True),
    )


def _node_affinity(settings: Entry) -> JsonObject:
    """Terms without weight are required, one of them at least; those with weight preferred."""
    required: list[Json] = []
    preferred: list[Json] = []
    for entry in settings.entries("nodeAffinity"):
        if entry.has("nodeAffinityJson"):
            whole = entry.given_entry("nodeAffinityJson")
            required += [dict(term.fields) for term in whole.entry(_REQUIRED).entries("nodeSelectorTerms")]
            preferred += [dict(term.fields) for term in whole.entries(_PREFERRED)]
            continue
        term = present(**{key: list(_expressions(entry, key)) for key in ("matchExpressions", "matchFields")})
        if term and (weight := entry.integer("weight")) is not None:
            preferred.append({"weight": weight, "preference": term})
        elif term:
            required.append(term)
    return _terms(present(nodeSelectorTerms=required), preferred)


def _pod_affinity(settings: Entry, *, anti: bool) -> JsonObject:
    required: list[Json] = []
    preferred: list[Json] = []
    for entry in settings.entries("podAffinity"):
        if entry.flag("anti") is not anti:
            continue
        term = present(
            labelSelector=_selector(entry, "matchPodExpressions", "matchPodLabels"),
            topologyKey=entry.required("topologyKey"),
            namespaces=list(entry.texts("namespaces")),
            namespaceSelector=_selector(entry, "matchNamespaceExpressions", "matchNamespaceLabels"),
        )
        if (weight := entry.integer("weight")) is not None:
            preferred.append({"weight": weight, "podAffinityTerm": term})
        else:
            required.append(term)
    return _terms(required, preferred)


def _terms(required: Json, preferred: Json) -> JsonObject:
    return present(**{_REQUIRED: required, _PREFERRED: preferred})


def _selector(entry: Entry, expressions: str, labels: str) -> JsonObject:
    found: dict[str, Any] = entry.labels(labels)
    return present(matchExpressions=list(_expressions(entry, expressions)), matchLabels=found)


def _expressions(entry: Entry, key: str) -> Iterator[Json]:
    for item in entry.entries(key):
        values: list[Json] = list(item.texts("values"))
        yield present(key=item.required("key"), operator=item.required("operator"), values=values)
