"""Creates that are safe to repeat: the request's own id, and a digest that tells a repeat from another request."""

import uuid
from dataclasses import dataclass

from penstock_server.model.errors import AlreadyExists


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Names one request to create something."""

    id: uuid.UUID
    digest: str
    """Of all that the request asks for."""


def columns(key: RequestKey | None) -> dict[str, object]:
    """The parameters `request_id` and `request_digest` of an insert."""
    return {"request_id": key.id if key else None, "request_digest": key.digest if key else None}


def check_repeat(key: RequestKey, digest: object) -> None:
    """Raise AlreadyExists(REQUEST_ID_REUSED) when the id was used for something else."""
    if digest != key.digest:
        raise AlreadyExists(
            "REQUEST_ID_REUSED",
            f"request id {key.id} was used for another request; draw a new one",
            metadata={"request_id": str(key.id)},
        )
