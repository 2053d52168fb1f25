"""What goes wrong with calls to the Kubernetes API, and which of it may be mended by repeating."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

_NO_ROLE = re.compile(r"\bcannot \w+ resource\b")
"""What the API server says where no role allows a call; rules of admission refuse with the same status."""


class ApiError(Exception):
    """The API server refused: the call was wrong, not allowed, or turned down by an admission rule."""

    def __init__(self, status: int, reason: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        """Of HTTP; 0 where there was no answer."""
        self.reason = reason
        """As Kubernetes words it: `Forbidden`, `Invalid` ..."""
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.reason or self.status}: {self.message}"


class ApiForbiddenError(ApiError):
    """Our account has no role that lets it do that, which an administrator may mend while we wait."""


class ApiNotFoundError(ApiError):
    """There is no such object."""


class ApiConflictError(ApiError):
    """An object of that name exists, or it is not the one that was meant."""


class ApiGoneError(ApiError):
    """The resource version is too old: list again."""


class ApiUnavailableError(ApiError):
    """No answer, or none that says anything: nothing is known of what has happened, and repeating may help."""


class as_unavailable:  # noqa: N801  # read as a statement
    """Turns what goes wrong on the way into ApiUnavailableError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (aiohttp.ClientError, TimeoutError, OSError, ValueError)):
            message = f"the API server of the cluster did not answer: {error or type(error).__name__}"
            raise ApiUnavailableError(0, "Unavailable", message) from error


def error_of(status: int, told: Mapping[str, Any], retry_after: str | None) -> ApiError:
    """What an answer of that status means, by what it says and by its header Retry-After."""
    reason, message = str(told.get("reason") or ""), str(told.get("message") or "")
    details = told.get("details") or {}
    asked = retry_after or details.get("retryAfterSeconds")
    if status == HTTPStatus.FORBIDDEN and _NO_ROLE.search(message):
        return ApiForbiddenError(status, reason, message)
    kinds = {404: ApiNotFoundError, 409: ApiConflictError, 410: ApiGoneError}
    if status in (429, 500, 502, 503, 504):
        return ApiUnavailableError(status, reason, message, _seconds(asked))
    return kinds.get(status, ApiError)(status, reason, message)


def _seconds(asked: Any) -> float | None:
    """A wait that was asked for; a date is not understood, since Kubernetes sends none."""
    try:
        return float(asked)
    except (TypeError, ValueError):
        return None
