"""Resource names: what callers write short, the API wants whole.

A short name is an id in the client's namespace (`my-run`); a whole one starts with `namespaces/` and is
taken as it is; a message stands for its own name.
"""

from typing import Protocol, TypeAlias, runtime_checkable

PREFIX = "namespaces/"


@runtime_checkable
class Named(Protocol):
    """A resource message."""

    name: str


Ref: TypeAlias = str | Named
"""A resource by its message, its whole name, or its id in the client's namespace."""


def namespace_name(namespace: Ref) -> str:
    """`namespaces/{namespace}`."""
    text = _text(namespace)
    return text if text.startswith(PREFIX) else PREFIX + _checked(text, "namespace")


def resource_name(namespace: str, collection: str, resource: Ref) -> str:
    """`namespaces/{namespace}/{collection}/{id}`, as in `namespaces/default/runs/my-run`.

    Raises ValueError.
    """
    text = _text(resource)
    if text.startswith(PREFIX):
        _check_collection(text, collection)
        return text
    return f"{PREFIX}{namespace}/{collection}/{_checked(text, collection)}"


def task_name(namespace: str, run: Ref, task: Ref) -> str:
    """`namespaces/{namespace}/runs/{run}/tasks/{task}`."""
    text = _text(task)
    if text.startswith(PREFIX):
        return text
    return f"{resource_name(namespace, 'runs', run)}/tasks/{_checked(text, 'task')}"


def backfill_name(namespace: str, job: Ref, backfill: Ref) -> str:
    """`namespaces/{namespace}/jobs/{job}/backfills/{backfill}`."""
    text = _text(backfill)
    if text.startswith(PREFIX):
        return text
    return f"{resource_name(namespace, 'jobs', job)}/backfills/{_checked(text, 'backfill')}"


def version_name(namespace: str, pipeline: Ref, version: str | int | None) -> str:
    """`namespaces/{namespace}/pipelines/{pipeline}/versions/{version}`; no version: the latest.

    `pipeline` may carry the version: `line-fit@3`, or the name or message of a version.
    """
    text = _text(pipeline)
    if "/versions/" in text:
        return text
    text, separator, written = text.partition("@")
    if separator and version is not None and str(version) != written:
        raise ValueError(f"{_text(pipeline)!r} names a version, and version={version!r} names another one")
    chosen = written if separator else "latest" if version is None else str(version)
    return f"{resource_name(namespace, 'pipelines', text)}/versions/{_checked(chosen, 'version')}"


def last_segment(name: str) -> str:
    """The id a whole name ends with."""
    return name.rpartition("/")[2]


def _text(resource: Ref) -> str:
    return resource if isinstance(resource, str) else resource.name


def _checked(text: str, what: str) -> str:
    if not text or "/" in text:
        raise ValueError(f"{text!r} is neither an id nor a whole name of {what} (namespaces/.../{what}/...)")
    return text


def _check_collection(name: str, collection: str) -> None:
    parts = name.split("/")
    if len(parts) != 4 or parts[2] != collection or not parts[3]:
        raise ValueError(f"{name!r} is not a name of the form namespaces/NAMESPACE/{collection}/ID")
