"""What an update writes (AIP-134)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask

from penstock_server.model.errors import FieldViolation, InvalidArgument

MUTABLE = ("display_name", "description", "labels")
"""What can be edited of every resource."""


class Described(Protocol):
    """A resource with the fields that can be edited."""

    DESCRIPTOR: Descriptor

    def ListFields(self) -> Sequence[tuple[FieldDescriptor, Any]]: ...  # noqa: N802 - protobuf's name

    @property
    def display_name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Edit:
    """New values; what is None stays as it is."""

    display_name: str | None = None
    description: str | None = None
    labels: Mapping[str, str] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """Of further fields those that change."""


def edit_of(resource: Described, mask: FieldMask, default_display_name: str, more: Sequence[str] = ()) -> Edit:
    """What `mask` says to take from `resource`: nothing named means what is set, `*` means everything.

    An empty display name becomes `default_display_name`. `more`: what can be edited of this resource besides. Raises
    InvalidArgument INVALID_UPDATE_MASK.
    """
    paths = written_paths(resource, mask, (*MUTABLE, *more))
    return Edit(
        (resource.display_name or default_display_name) if "display_name" in paths else None,
        resource.description if "description" in paths else None,
        dict(resource.labels) if "labels" in paths else None,
        {path: getattr(resource, path) for path in more if path in paths},
    )


def written_paths(resource: Described, mask: FieldMask, mutable: Sequence[str]) -> frozenset[str]:
    """The fields among `mutable` that an update with this mask writes. Raises InvalidArgument INVALID_UPDATE_MASK."""
    given = list(mask.paths)
    if not given:
        set_fields = {field.name for field, _value in resource.ListFields()}
        return frozenset(path for path in mutable if path in set_fields)
    if given == ["*"]:
        return frozenset(mutable)
    violations = [
        FieldViolation("update_mask", _why_not(resource, path, mutable)) for path in given if path not in mutable
    ]
    if violations:
        message = "; ".join(violation.description for violation in violations)
        raise InvalidArgument("INVALID_UPDATE_MASK", message, violations=violations)
    return frozenset(given)


def _why_not(resource: Described, path: str, mutable: Sequence[str]) -> str:
    allowed = f"there are {', '.join(mutable)}, or * alone for all of them"
    if path in resource.DESCRIPTOR.fields_by_name:
        return f"'{path}' cannot be changed; {allowed}"
    if (whole := path.partition(".")[0]) in mutable:
        return f"'{path[:100]}': '{whole}' can only be written as a whole; {allowed}"
    return f"there is no field '{path[:100]}' to change; {allowed}"
