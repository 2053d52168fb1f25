"""A base pod, put under the pods of steps: what an administrator wants every pod of a namespace to have.

What the template says holds; a pipeline adds to it. Only variables are the other way round, so that a template can
give defaults such as proxies. Lists are joined: by name or key where their items have one, else as they are.
"""

from collections.abc import Mapping
from typing import Any

from penstock_server.launch.kubernetes.names import MAIN, OWN, PREFIX

Fragment = dict[str, Any]
_OURS = frozenset({"restartPolicy", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "serviceAccountName"})
"""Of a pod's spec: what the launcher relies on, or another key of the policy says."""
_KEYS = {"env": "name", "volumes": "name", "imagePullSecrets": "name", "volumeMounts": "mountPath"}
"""By what the items of a list are told apart."""
_OF_MAIN = {"name", "env", "envFrom", "volumeMounts", "securityContext", "imagePullPolicy"}
_TERMS = "nodeSelectorTerms"


class TemplateError(ValueError):
    """A template says what it may not; the message names the place."""


def check_template(template: Mapping[str, Any]) -> None:
    """Raise TemplateError for what a template may not say."""
    _only("", template, {"metadata", "spec"})
    _only("metadata", _object("metadata", template.get("metadata", {})), {"labels", "annotations"})
    for kind in ("labels", "annotations"):
        for name in template.get("metadata", {}).get(kind, {}):
            if name.startswith(PREFIX):
                raise TemplateError(f"metadata.{kind}.{name} is Penstock's own")
    spec = _object("spec", template.get("spec", {}))
    for key in sorted(_OURS & spec.keys()):
        raise TemplateError(f"spec.{key} cannot be set by a template")
    for key in ("containers", "initContainers", "volumes"):
        for item in spec.get(key, []):
            _check_name(f"spec.{key}", item)
    for container in spec.get("containers", []):
        if container["name"] != MAIN:
            raise TemplateError(f"spec.containers has {container['name']!r}; it can say something of {MAIN} alone")
        _only("spec.containers.main", container, _OF_MAIN)


def _check_name(path: str, item: Any) -> None:
    name = _object(path, item).get("name")
    if not isinstance(name, str) or not name or name.startswith(OWN):
        raise TemplateError(f"{path}: each needs a name, and one that does not begin with {OWN}")


def _object(path: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TemplateError(f"{path} has to be a table")
    return value


def _only(path: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in sorted(table.keys() - known):
        raise TemplateError(f"{path}{'.' if path else ''}{key} is unknown here; known are {', '.join(sorted(known))}")


def under(template: Mapping[str, Any], pod: Fragment) -> Fragment:
    """The pod on its template, which `check_template` has passed."""
    if not template:
        return pod
    base = {key: value for key, value in template.get("spec", {}).items() if key != "containers"}
    spec = {**pod["spec"], **{key: _joined(key, base[key], pod["spec"].get(key)) for key in base}}
    given = pod["spec"]["initContainers"]
    for container in template.get("spec", {}).get("containers", []):
        spec["containers"] = [_joined(MAIN, container, main) for main in spec["containers"]]
        given = [_secured(each, container) for each in given]
    spec["initContainers"] = [*given, *base.get("initContainers", [])]
    return {**pod, "metadata": _joined("metadata", template.get("metadata", {}), pod["metadata"]), "spec": spec}


def _secured(container: Fragment, main: Mapping[str, Any]) -> Fragment:
    """An init container, with the security context that the template has for `main` where it is the pipeline's."""
    if container["name"].startswith(OWN) or "securityContext" not in main:
        return container
    context = _joined("securityContext", main["securityContext"], container.get("securityContext"))
    return {**container, "securityContext": context}


def _joined(key: str, base: Any, given: Any) -> Any:
    if given is None:
        return base
    if isinstance(base, Mapping) and isinstance(given, Mapping):
        return {**given, **{name: _joined(name, value, given.get(name)) for name, value in base.items()}}
    if isinstance(base, list) and isinstance(given, list):
        return _both_terms(base, given) if key == _TERMS else _joined_lists(key, base, given)
    return base


def _joined_lists(key: str, base: list[Any], given: list[Any]) -> list[Any]:
    by = _KEYS.get(key)
    if by is None:
        return [*base, *(item for item in given if item not in base)]
    first, second = (base, given) if key != "env" else (given, base)
    taken = {item[by] for item in first}
    rest = [item for item in second if item[by] not in taken]
    return [*rest, *first] if key == "env" else [*first, *rest]


def _both_terms(base: list[Any], given: list[Any]) -> list[Any]:
    """Terms of which one has to hold: each of the template's together with each of the pipeline's."""
    parts = ("matchExpressions", "matchFields")
    return [
        {part: found for part in parts if (found := [*ours.get(part, []), *theirs.get(part, [])])}
        for ours in base
        for theirs in given
    ]
