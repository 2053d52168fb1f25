"""Changes that name the revision they were made from."""

from penstock_server.model.errors import Conflict


def changed_meanwhile(name: str) -> Conflict:
    """Somebody else's change came first."""
    return Conflict(
        "ETAG_MISMATCH",
        f"{name} has changed since it was read; read it again and repeat",
        metadata={"name": name},
    )
