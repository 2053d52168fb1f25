"""The one family of domain errors.

An error is raised with a `reason`, a stable UPPER_SNAKE word that clients may branch on, a message that tells the
user what to do next, and facts as metadata. The edge turns each class into one status code. A task that fails is
data, not an error of this family.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that breaks a rule."""

    field: str
    """Path of the field, as in `run.parameters.lr` or `root.dag.tasks.train.inputs.parameters.lr`."""
    description: str
    """What is wrong with it and what would be right."""
    reason: str = "INVALID_FIELD"


class PenstockError(Exception):
    """The request could not be served."""

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s
        """Seconds after which repeating the call may help; None where it does not."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class InvalidArgument(PenstockError):
    """The request is wrong whatever the state of the system; `violations` name the fields."""


class NotFound(PenstockError):
    """The named resource does not exist."""


class AlreadyExists(PenstockError):
    """A resource of that name exists."""


class FailedPrecondition(PenstockError):
    """The resource is not in a state that allows this."""


class Conflict(PenstockError):
    """Somebody else changed the resource first; read it again and repeat."""


class ResourceExhausted(PenstockError):
    """A limit is reached."""


class Unimplemented(PenstockError):
    """The request is right but asks for something this server does not do."""


class Unavailable(PenstockError):
    """A part the server needs is away; repeating later helps."""


class DeadlineExceeded(PenstockError):
    """The call's time ran out before the work was done."""


class Unauthenticated(PenstockError):
    """The caller is not known."""


class PermissionDenied(PenstockError):
    """The caller may not do this."""


class Internal(PenstockError):
    """An invariant of the server is broken; the log has the details."""
