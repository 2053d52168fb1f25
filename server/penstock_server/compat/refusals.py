"""Errors in the words of KFP's clients: of the fields of their requests, and of what they call things."""

from penstock_server.model.errors import FieldViolation, InvalidArgument, PenstockError


def wrong(field: str, description: str, reason: str = "INVALID_REQUEST") -> InvalidArgument:
    """`field` is wrong; `description` goes on where the field's name ends: `must not be empty`."""
    return InvalidArgument(reason, f"{field} {description}", violations=[FieldViolation(field, description)])


def told_of(what: str, error: PenstockError) -> str:
    """The message of an error, with the words that KFP's clients know for what it names by our name."""
    return error.message.replace(error.metadata["name"], what)
