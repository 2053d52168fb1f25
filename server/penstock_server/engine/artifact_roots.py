"""Where the artifacts of a run are to lie."""

from collections.abc import Callable

from penstock_server.model.errors import FieldViolation, InvalidArgument

Stores = Callable[[str], bool]
"""Whether the artifact store takes what lies under a URI."""


def checked_root(root: str, stores: Stores, field: str) -> str:
    """The root, which artifacts can be stored under; empty for the server's own. Raises InvalidArgument."""
    if root and not stores(f"{root.rstrip('/')}/x"):
        description = "lies outside of the server's artifact store; leave it out for the default"
        raise InvalidArgument(
            "INVALID_REQUEST", f"{field} {description}", violations=[FieldViolation(field, description)]
        )
    return root
