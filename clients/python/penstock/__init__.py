"""Penstock's Python client: `Client`, its asyncio twin in `penstock.aio`, and the errors both raise.

The generated messages and stubs are in `penstock.v1`. The server imports those too, and the command line
wants to start fast, so the client itself is loaded only when one of its names is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.errors import (
        AlreadyExistsError,
        CancelledError,
        ConflictError,
        DeadlineExceededError,
        FailedPreconditionError,
        FieldViolation,
        InternalError,
        InvalidArgumentError,
        NotFoundError,
        PenstockError,
        PermissionDeniedError,
        ResourceExhaustedError,
        UnauthenticatedError,
        UnavailableError,
        UnimplementedError,
    )

    __version__: str

__all__ = [
    "AlreadyExistsError",
    "CancelledError",
    "Client",
    "ConflictError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "FieldViolation",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "PenstockError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used."""
    if name == "__version__":
        return import_module("importlib.metadata").version("penstock")
    if name not in __all__:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    home = "penstock.client" if name == "Client" else "penstock.errors"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
