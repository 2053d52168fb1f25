"""Update requests: the fields that a caller gives are the ones that change."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import field_mask_pb2


def changed_fields(
    display_name: str | None,
    description: str | None,
    labels: Mapping[str, str] | None,
    *,
    unset: Sequence[str] = (),
    **more: object,
) -> tuple[dict[str, Any], field_mask_pb2.FieldMask]:
    """What to set on the resource and the mask that says so, and names those in `unset`, which take their defaults.

    Raises ValueError when nothing is given.
    """
    given = {"display_name": display_name, "description": description, "labels": labels, **more}
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields and not unset:
        *others, last = given
        raise ValueError(f"nothing to change: give {', '.join(others)} or {last}")
    return fields, field_mask_pb2.FieldMask(paths=sorted({*fields, *unset}))
