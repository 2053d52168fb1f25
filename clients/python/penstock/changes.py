"""Update requests: the fields that a caller gives are the ones that change."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import field_mask_pb2


def changed_fields(
    display_name: str | None, description: str | None, labels: Mapping[str, str] | None
) -> tuple[dict[str, Any], field_mask_pb2.FieldMask]:
    """What to set on the resource and the mask that says so. Raises ValueError when nothing is given."""
    given = {"display_name": display_name, "description": description, "labels": labels}
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields:
        raise ValueError("nothing to change: give display_name, description or labels")
    return fields, field_mask_pb2.FieldMask(paths=sorted(fields))
