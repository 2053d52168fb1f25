"""The exceptions of the client: one class per status code a caller may want to tell apart.

    PenstockError
        InvalidArgumentError      the request is wrong; `violations` name the fields
        NotFoundError             the named resource does not exist
        AlreadyExistsError        a resource of that name exists
        FailedPreconditionError   the resource is not in a state that allows this
        ConflictError             somebody else changed it first: read it again and repeat
        ResourceExhaustedError    a limit is reached
        UnimplementedError        this server does not do that
        UnavailableError          the server, or a part it needs, is away: repeat later
        DeadlineExceededError     the call's time ran out
        CancelledError            the call was given up
        UnauthenticatedError      the token is missing or not accepted
        PermissionDeniedError     the caller may not do this
        InternalError             the server failed

Wrong use that never reaches a server raises what Python raises: ValueError, FileNotFoundError, TimeoutError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

DOMAIN = "penstock.dev"
"""The ErrorInfo domain of errors that Penstock itself raised, rather than the network or a proxy."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that breaks a rule."""

    field: str
    """Path of the field, as in `run.parameters.lr` or `root.dag.tasks.train`."""
    description: str
    """What is wrong with it and what would be right."""
    reason: str = ""
    """Stable, UPPER_SNAKE."""


class PenstockError(Exception):
    """A call failed."""

    def __init__(
        self,
        code: "grpc.StatusCode",
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        """The gRPC status code."""
        self.message = message
        """For people: what is wrong and what to do."""
        self.reason = reason
        """For programs: a stable UPPER_SNAKE word. Empty when the network failed and no server answered."""
        self.metadata: Mapping[str, str] = dict(metadata or {})
        """The facts of the reason, such as the name of the resource."""
        self.violations = tuple(violations)
        """The fields that break a rule."""
        self.retry_after_s = retry_after_s
        """Seconds after which repeating the call may help, when the server said so."""

    def __str__(self) -> str:
        lines = [f"{self.reason or self.code.name}: {self.message}"]
        lines += [f"  {violation.field}: {violation.description}" for violation in self.violations]
        return "\n".join(lines)

    @property
    def is_transport(self) -> bool:
        """True when no Penstock server made this error.

        The network, a proxy or the client's own channel did.
        """
        return not self.reason


class InvalidArgumentError(PenstockError):
    """The request is wrong whatever the state of the system; `violations` name the fields."""


class NotFoundError(PenstockError):
    """The named resource does not exist."""


class AlreadyExistsError(PenstockError):
    """A resource of that name exists."""


class FailedPreconditionError(PenstockError):
    """The resource is not in a state that allows this."""


class ConflictError(PenstockError):
    """Somebody else changed the resource first; read it again and repeat."""


class ResourceExhaustedError(PenstockError):
    """A limit is reached."""


class UnimplementedError(PenstockError):
    """The request is right but asks for something this server does not do."""


class UnavailableError(PenstockError):
    """The server, or a part it needs, is away; repeating later helps."""


class DeadlineExceededError(PenstockError):
    """The call's time ran out before the work was done."""


class CancelledError(PenstockError):
    """The call was given up before it ended."""


class UnauthenticatedError(PenstockError):
    """The caller is not known: the token is missing or not accepted."""


class PermissionDeniedError(PenstockError):
    """The caller may not do this."""


class InternalError(PenstockError):
    """The server failed; its log has the details."""


CLASSES: Mapping[str, type[PenstockError]] = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "OUT_OF_RANGE": InvalidArgumentError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": AlreadyExistsError,
    "FAILED_PRECONDITION": FailedPreconditionError,
    "ABORTED": ConflictError,
    "RESOURCE_EXHAUSTED": ResourceExhaustedError,
    "UNIMPLEMENTED": UnimplementedError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "CANCELLED": CancelledError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "INTERNAL": InternalError,
    "UNKNOWN": InternalError,
    "DATA_LOSS": InternalError,
}
"""The class for each status code by its name; by name so that this module does not load grpc."""
