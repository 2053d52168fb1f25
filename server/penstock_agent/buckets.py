"""How a bucket of S3, GCS or Azure is asked, through `obstore`, and what its refusals mean."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store

from penstock_agent.plan import JOURNAL, StoreOptions
from penstock_agent.stores import StoreDeniedError, StoreError, StoreRefusedError, scheme_of

RETRIES = 2
"""Of one request, within a second; who asks has patience of their own."""
REQUEST_TIMEOUTS = {"timeout": "30s"}
READ_TIMEOUTS = {"timeout": "24h", "read_timeout": "30s"}
"""Of a request that brings content, which may be as large as it is; but something has to come."""
_OF_MACHINES = ("http://169.254.169.254", "http://169.254.170.2", "http://metadata.google.internal")
"""Where machines in a cloud are given keys."""
T = TypeVar("T")


class Clients:
    """Those of one bucket. Making a client takes milliseconds, which every pod would pay for one it does not use."""

    def __init__(self, make: Callable[[Mapping[str, str]], Any]) -> None:
        self._make = make
        self.store = make(REQUEST_TIMEOUTS)
        self._reader: Any = None

    @property
    def reader(self) -> Any:
        """For content, which may be large."""
        if self._reader is None:
            self._reader = self._make(READ_TIMEOUTS)
        return self._reader


class Place(NamedTuple):
    """The bucket that a URI lies in, and where."""

    clients: Clients
    key: str

    @property
    def store(self) -> Any:
        """For all but content."""
        return self.clients.store

    def below(self, key: str) -> "Place":
        """A place below this one."""
        return self._replace(key=f"{self.key}/{key}")

    @property
    def manifest(self) -> "Place":
        """Of the folder at this place."""
        parent, slash, name = self.key.rpartition("/")
        return self._replace(key=f"{parent}{slash}{JOURNAL}/{name}.folder.json")


class Buckets:
    """The buckets that were asked for, whatever their names."""

    def __init__(self, options: StoreOptions) -> None:
        self._options = options
        self._clients: dict[str, Clients] = {}

    def at(self, uri: str) -> Place:
        """The place of a URI, whose key is the text behind the bucket, undecoded. Raises StoreRefusedError."""
        scheme = scheme_of(uri)
        bucket, _, key = uri.removeprefix(f"{scheme}://").partition("/")
        key = key.rstrip("/")
        if scheme not in SCHEMES or not bucket or not key:
            raise StoreRefusedError(f"{uri} is no place in a store of {', '.join(SCHEMES)}")
        root = f"{scheme}://{bucket}"
        if root not in self._clients:
            self._clients[root] = self._of(SCHEMES[scheme], bucket)
        return Place(self._clients[root], key)

    def _of(self, scheme: "Scheme", bucket: str) -> Clients:
        try:
            return Clients(partial(scheme, bucket, self._options))
        except (BaseError, ValueError) as error:
            raise StoreRefusedError(f"the object store cannot be asked: {in_short(error)}") from error


def _s3(bucket: str, options: StoreOptions, timeouts: Mapping[str, str]) -> Any:
    region = _given("region", options.region)
    # Of all names of the endpoint the one that goes over each variable of the environment.
    return S3Store(bucket, **region, **_given("aws_endpoint_url_s3", options.endpoint), **_how(options, timeouts))


def _gcs(bucket: str, options: StoreOptions, timeouts: Mapping[str, str]) -> Any:
    return GCSStore(bucket, **_given("base_url", options.endpoint), **_how(options, timeouts))


def _azure(container: str, options: StoreOptions, timeouts: Mapping[str, str]) -> Any:
    return AzureStore(container, **_given("endpoint", options.endpoint), **_how(options, timeouts))


def _given(name: str, value: str) -> dict[str, Any]:
    return {name: value} if value else {}


def _how(options: StoreOptions, timeouts: Mapping[str, str]) -> dict[str, Any]:
    client = {"allow_http": options.allow_http, **timeouts}
    return {"client_options": client, "retry_config": {"max_retries": RETRIES}}


Scheme = Callable[[str, StoreOptions, Mapping[str, str]], Any]
"""Makes the client of a bucket."""
SCHEMES: dict[str, Scheme] = {
    "s3": _s3,
    "minio": _s3,
    "gs": _gcs,
    "az": _azure,
}


def asked(request: Callable[[], T]) -> T | None:
    """What the store answers; None for what is not there. Raises StoreError."""
    try:
        return request()
    except FileNotFoundError:
        return None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreDeniedError(f"the object store does not let us: {in_short(error)}") from error
    except BaseError as error:
        raise StoreError(f"the object store does not answer as it should: {in_short(error)}") from error
    except ValueError as error:
        raise StoreRefusedError(f"the object store has no such place: {in_short(error)}") from error


def in_short(error: Exception) -> str:
    """What an error says: what was asked of which endpoint, and what came of it. Without times, which differ."""
    first, _, details = str(error).partition("\n")
    told = re.search(r"Error performing (\w+) (\w+://[^/ ]+)\S* in .*? - (.*)", first)
    if told is None:
        return first.rstrip(": ") or type(error).__name__
    method, endpoint, outcome = told.groups()
    if "HTTP error" in outcome:
        outcome = _innermost(details)
    elif (code := re.search(r"<Code>(\w+)</Code>", f"{outcome}{details}")) is not None:
        outcome = f"{outcome.partition(': <')[0]}: {code[1]}"
    keyless = " (there are no keys, so the machine was asked for them)" if endpoint in _OF_MACHINES else ""
    return f"{method} {endpoint}: {outcome.rstrip(': ')}{keyless}"


def _innermost(details: str) -> str:
    """The cause of all, such as `Connection refused`: `obstore` lists an error with what caused it, ever further in."""
    lines = [line for line in details.splitlines() if line.strip("{}()[], ")]
    deepest = max(reversed(lines), key=lambda line: len(line) - len(line.lstrip()), default="no answer")
    return re.sub(r"^\w+: ", "", deepest.strip().rstrip(",")).strip('"')
