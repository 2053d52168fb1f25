"""Errors that name a field of a request."""

from penstock_server.model.errors import FieldViolation, InvalidArgument


def wrong(field: str, description: str, reason: str = "INVALID_REQUEST") -> InvalidArgument:
    """`field` is wrong; `description` goes on where the field's name ends: `must not be empty`."""
    return InvalidArgument(reason, f"{field} {description}", violations=[FieldViolation(field, description)])
