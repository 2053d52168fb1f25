"""What we use of the Kubernetes API: pods, claims, nodes, events, as plain JSON.

    call ──► place ──► throttle ──► request, with a time limit ──► JSON
      ▲                                │ 429, 5xx, disconnect: wait and repeat while there is patience
      └────────────────────────────────┘

Configuration, credentials and transport are those of the `kubernetes` package; its models are left out, since what
they make of a pod costs more time than all else that happens to it. Every call may be repeated safely: what is created
has a name made of what it is for, and a deletion names the uid.

There are so many places for calls under way, taken in the order the calls came, so that a slow API server is not asked
ever more. Watches and logs that are followed last as long as what they tell of, and need none.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.configuration import Configuration

from penstock_server.launch.kubernetes.api_errors import (
    ApiError,
    ApiNotFoundError,
    ApiUnavailableError,
    as_unavailable,
    error_of,
)
from penstock_server.launch.kubernetes.throttle import Throttle
from penstock_server.launch.kubernetes.transport import Transport

_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
Json = dict[str, Any]
Query = Mapping[str, str | int]
NO_OPTIONS: Query = {}
LOG_CHUNK_BYTES = 256 * 1024
"""A piece of a log is no longer."""


class Kind(StrEnum):
    """The namespaced objects that we handle, by the word in their path."""

    PODS = "pods"
    CLAIMS = "persistentvolumeclaims"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """How we behave towards the API server."""

    rate_per_s: float = 50
    """Calls a second, of this server, in the long run."""
    burst: int = 100
    """Calls at once after a rest."""
    calls_max: int = 100
    """Calls under way at a time. More would make a slow API server slower, and this one busy with what has to wait."""
    call_timeout_s: float = 15
    """An answer that takes longer is given up."""
    patience_s: float = 20
    """No call that failed is repeated when so much time has passed since its beginning."""
    page_size: int = 500
    """Objects in a page of a list."""
    watch_s: int = 50
    """A watch is to be ended by the API server after so long."""
    silence_s: float = 120
    """A log that is followed and says nothing for so long is asked for anew."""
    backoff_s: float = 0.2
    """The wait before the first repetition; it doubles with each."""


class Access(Protocol):
    """Where the API server is, and who we are."""

    async def load(self) -> Configuration:
        """Read anew: credentials may have changed."""


class ClusterApi:
    """The client. All methods raise ApiError and its kinds."""

    def __init__(
        self,
        access: Access,
        limits: ApiLimits,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._access = access
        self._limits = limits
        self._sleep = sleep
        self._places = asyncio.Semaphore(limits.calls_max)
        self._throttle = Throttle(limits.rate_per_s, limits.burst, clock=_now, sleep=sleep)
        self._configuration: Configuration | None = None
        self._transport: Transport | None = None
        self._reopening = asyncio.Lock()

    async def open(self) -> None:
        """Read the configuration. Raises FailedPrecondition (KUBERNETES_ACCESS)."""
        await self.close()
        self._configuration = await self._access.load()
        self._transport = Transport(self._configuration)

    async def close(self) -> None:
        """End all calls."""
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    async def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        """Make an object. Raises ApiConflictError where there is one of that name, ours or not."""
        return await self._json("POST", _path(kind, namespace), body=body)

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """Read an object."""
        return await self._json("GET", _path(kind, namespace, name))

    async def node(self, name: str) -> Json:
        """Read a node."""
        return await self._json("GET", f"/api/v1/nodes/{name}")

    async def lacks_namespace(self, name: str) -> bool:
        """Whether there is no such namespace; False where we may not know.

        No permission to read namespaces is needed: a server that has none has a role in each of them, which are there.
        """
        try:
            await self._json("GET", f"/api/v1/namespaces/{name}")
        except ApiNotFoundError:
            return True
        except ApiError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
        return False

    async def may(self, verb: str, resource: str, namespace: str) -> bool:
        """Whether we are allowed to: `get` on `pods/log`, say. An empty namespace: in the whole cluster."""
        kind, _, part = resource.partition("/")
        asked = {"verb": verb, "resource": kind, "subresource": part, "namespace": namespace}
        told = await self._json("POST", _ACCESS_REVIEWS, body={"spec": {"resourceAttributes": asked}})
        return bool(told["status"]["allowed"])

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str = "", grace_s: int | None = None) -> None:
        """Ask for the end of an object; there being none will do as well.

        With `uid` another object of that name stays (ApiConflictError); `grace_s` is how long a pod may take to end.
        """
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            await self._json("DELETE", _path(kind, namespace, name), body=options)
        except ApiNotFoundError:
            return

    async def pages(self, kind: Kind, namespace: str, *, labels: str = "", fields: str = "") -> AsyncIterator[Json]:
        """A list of objects, page by page. An empty namespace: of all. Raises ApiGoneError when it took too long."""
        query: dict[str, str | int] = {"limit": self._limits.page_size}
        query |= {key: text for key, text in (("labelSelector", labels), ("fieldSelector", fields)) if text}
        while True:
            page = await self._json("GET", _path(kind, namespace), query)
            yield page
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:
                return

    async def watch(self, kind: Kind, namespace: str, *, labels: str, version: str) -> AsyncIterator[Json]:
        """What happens to the objects after `version`, with bookmarks, until the API server ends it.

        It is given up a little later than the server was asked to end it, so that a connection that died without a
        word is noticed.
        """
        query: Query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "labelSelector": labels,
            "resourceVersion": version,
            "timeoutSeconds": self._limits.watch_s,
        }
        limit = aiohttp.ClientTimeout(total=self._limits.watch_s + self._limits.call_timeout_s)
        with _ended(await self._answer(_Call("GET", _path(kind, namespace), limit, query))) as response:
            async for line in _lines(response):
                with as_unavailable():
                    event = json.loads(line)
                if event["type"] == "ERROR":
                    raise error_of(int(event["object"].get("code") or 0), event["object"], None)
                yield event

    async def log(
        self, namespace: str, pod: str, container: str, *, follow: bool = False, options: Query = NO_OPTIONS
    ) -> AsyncGenerator[bytes]:
        """What a container has written, from its beginning; with `follow` until it ends. `options` are as the API
        names them.

        A connection that breaks ends it with ApiUnavailableError. It is a call under way until its answer has begun:
        whoever reads it may be slow.
        """
        query: Query = {"container": container, "follow": "true" if follow else "false", **options}
        limit = aiohttp.ClientTimeout(sock_connect=self._limits.call_timeout_s, sock_read=self._limits.silence_s)
        call = _Call("GET", f"{_path(Kind.PODS, namespace, pod)}/log", limit, query)
        async with nullcontext() if follow else self._places:
            answer = await self._answer(call)
        with _ended(answer) as response, as_unavailable():
            async for chunk in response.content.iter_chunked(LOG_CHUNK_BYTES):
                yield chunk

    async def _json(self, method: str, path: str, query: Query | None = None, body: Json | None = None) -> Json:
        """One call, repeated while that may help."""
        call = _Call(method, path, aiohttp.ClientTimeout(total=self._limits.call_timeout_s), query or {}, body)
        began, wait_s = _now(), self._limits.backoff_s
        while True:
            try:
                return await self._once(call)
            except ApiUnavailableError as error:
                wait_s = error.retry_after_s or wait_s
                if _now() - began + wait_s > self._limits.patience_s:
                    raise
            await self._sleep(wait_s)
            wait_s *= 2

    async def _once(self, call: "_Call") -> Json:
        async with self._places:
            with _ended(await self._answer(call)) as response, as_unavailable():
                content: Json = json.loads(await response.read())
                return content

    async def _answer(self, call: "_Call") -> aiohttp.ClientResponse:
        """The answer to a call, once its status says that it is one. Who gets it lets go of it."""
        used = self._transport
        response = await self._request(call)
        if response.status == HTTPStatus.UNAUTHORIZED:
            response.close()
            await self._reopen(used)
            response = await self._request(call)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            with _ended(response):
                raise await self._refusal(response)
        return response

    async def _reopen(self, used: Transport | None) -> None:
        """Read the credentials anew, once for all calls that were refused: tokens are exchanged while we run."""
        async with self._reopening:
            if self._transport is used and used is not None:
                await self.open()

    async def _request(self, call: "_Call") -> aiohttp.ClientResponse:
        await self._throttle.turn()
        if self._transport is None or self._configuration is None:
            raise ApiUnavailableError(0, "Closed", "the connection to the cluster is closed")
        url = f"{self._configuration.host}{call.path}?{urlencode(call.query)}"
        headers = {"Accept": "application/json", "User-Agent": "penstock-server"}
        auth = await self._configuration.auth_settings()
        headers |= {setting["key"]: setting["value"] for setting in auth.values()}
        with as_unavailable():
            answer = await self._transport.request(call.method, url, headers, call.body, _request_timeout=call.limit)
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _refusal(self, response: aiohttp.ClientResponse) -> ApiError:
        with as_unavailable():
            content = await response.read()
        try:
            told = json.loads(content)
        except ValueError:
            told = {"message": content[:500].decode("utf-8", "replace").strip() or response.reason or ""}
        error = error_of(response.status, told, response.headers.get("Retry-After"))
        if response.status == 429 and error.retry_after_s:
            self._throttle.rest(error.retry_after_s)
        return error


@dataclass(frozen=True, slots=True)
class _Call:
    """One request."""

    method: str
    path: str
    limit: aiohttp.ClientTimeout
    query: Query = field(default_factory=dict)
    body: Json | None = None


@contextmanager
def _ended(response: aiohttp.ClientResponse) -> Iterator[aiohttp.ClientResponse]:
    """Let go of an answer at the end. The connection of one that was not read to its end is cut off: it would wait for
    the server's farewell."""
    try:
        yield response
    finally:
        connection = response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        response.close()


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a body, of any length."""
    rest = b""
    with as_unavailable():
        async for chunk in response.content.iter_any():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if line.strip():
                    yield line


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    place = f"/api/v1/namespaces/{namespace}/{kind}" if namespace else f"/api/v1/{kind}"
    return f"{place}/{name}" if name else place


def _now() -> float:
    return asyncio.get_running_loop().time()
