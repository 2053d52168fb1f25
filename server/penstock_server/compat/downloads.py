"""Downloads of packages from addresses that callers name, which must not lead the server anywhere else.

https only, on its own port, from hosts of a list, and only where all of a host's addresses are public. The address that
was checked is the one that is connected to, so that a name cannot mean another one a moment later. Redirects are
followed under the same rules.
"""

import asyncio
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from penstock_server.compat.packages import BYTES_MAX
from penstock_server.model.errors import FieldViolation, InvalidArgument

REDIRECTS_MAX = 5
URL_CHARS_MAX = 2_048
AT_ONCE_MAX = 4
CHUNK_BYTES = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """From where packages are downloaded."""

    hosts: tuple[str, ...] = ("storage.googleapis.com", "s3.amazonaws.com", "github.com", "raw.githubusercontent.com")
    """Names, in lower case; nothing is downloaded from others."""
    private_hosts: tuple[str, ...] = ()
    """Further names, whose addresses may be private and whose ports may be any: sites of one's own."""
    allow_http: bool = False
    timeout_s: float = 30.0
    """For all of a download."""


class _Refused(Exception):
    """The address leads where the server does not go."""


class Downloads:
    """Downloads packages."""

    def __init__(self, settings: DownloadSettings, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._tls = tls or ssl.create_default_context()
        # Of its own, so that slow sites hold up nothing but downloads.
        self._threads = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="download")

    async def fetch(self, url: str, field: str) -> bytes:
        """What is at `url`, which the request holds in `field`. Raises InvalidArgument URL_REFUSED."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._fetch, url)
        except _Refused as error:
            raise _wrong(field, str(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _wrong(field, f"cannot be downloaded from: {error or type(error).__name__}") from error

    def _fetch(self, url: str) -> bytes:
        give_up = time.monotonic() + self._settings.timeout_s
        for _ in range(REDIRECTS_MAX + 1):
            parts = self._checked(url)
            with closing(self._connect(parts, give_up)) as connection, _cut_at(give_up, connection):
                target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
                connection.request("GET", target, headers={"Accept-Encoding": "identity"})
                with connection.getresponse() as response:
                    if response.status not in _REDIRECTS:
                        return _read(response, give_up)
                    url = urljoin(url, response.headers.get("location", ""))
        raise _Refused(f"redirects more than {REDIRECTS_MAX} times")

    def _checked(self, url: str) -> SplitResult:
        """The parts of an address that may be used."""
        if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable() or " " in url:
            raise _Refused("is no address that can be used; write it with percent signs where need be")
        parts = urlsplit(url)
        host, settings = (parts.hostname or "").lower(), self._settings
        if parts.scheme != "https" and not (parts.scheme == "http" and settings.allow_http):
            raise _Refused("has to begin with https://")
        if parts.username is not None or parts.password is not None:
            raise _Refused("must not hold a user or a password")
        if host in settings.private_hosts:
            return parts
        if host not in settings.hosts:
            raise _Refused(f"names the host {host!r}, which is not one of those that the server downloads from")
        if parts.port not in (None, _PORTS[parts.scheme]):
            raise _Refused("has to use the default port")
        return parts

    def _connect(self, parts: SplitResult, give_up: float) -> http.client.HTTPConnection:
        """A connection to the address that was checked, speaking to the name."""
        host = parts.hostname or ""
        port = parts.port or _PORTS[parts.scheme]
        address = self._address(host, port)
        line = socket.create_connection((address, port), timeout=_left(give_up))
        try:
            if parts.scheme == "https":
                line = self._tls.wrap_socket(line, server_hostname=host)
        except BaseException:  # raised again: until it is handed on nobody else closes the line
            line.close()
            raise
        connection = http.client.HTTPConnection(host, port, timeout=_left(give_up))
        connection.sock = line
        return connection

    def _address(self, host: str, port: int) -> str:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if host.lower() not in self._settings.private_hosts and not _all_public(found):
            raise _Refused(f"names the host {host!r}, which has an address that is not public")
        return found[0]


@contextmanager
def _cut_at(give_up: float, connection: http.client.HTTPConnection) -> Iterator[None]:
    """Ends the connection then: a site that trickles keeps each single wait short. Raises _Refused when it was so.

    What was read of such an answer may look whole.
    """
    line = connection.sock
    # Past the layer of TLS, which belongs to the thread that reads.
    timer = threading.Timer(_left(give_up), socket.socket.shutdown, (line, socket.SHUT_RDWR))
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException, _Refused):
        _left(give_up)
        raise
    finally:
        timer.cancel()
    _left(give_up)


def _all_public(addresses: Iterable[str]) -> bool:
    return all(_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses)


def _public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if inner is not None and not _public(inner):
        return False
    return address.is_global and not address.is_multicast


def _read(response: http.client.HTTPResponse, give_up: float) -> bytes:
    if response.status != 200:
        raise _Refused(f"cannot be downloaded from: it is answered with {response.status}")
    content = bytearray()
    while chunk := response.read1(CHUNK_BYTES):
        content += chunk
        if len(content) > BYTES_MAX:
            raise _Refused(f"leads to more than {BYTES_MAX} bytes")
        _left(give_up)
    if response.length:
        raise _Refused("breaks off before its end")
    return bytes(content)


def _left(give_up: float) -> float:
    """Seconds left. Raises _Refused when there are none."""
    left_s = give_up - time.monotonic()
    if left_s <= 0:
        raise _Refused("takes too long to download from")
    return left_s


def _wrong(field: str, description: str) -> InvalidArgument:
    violation = FieldViolation(field, description)
    return InvalidArgument("URL_REFUSED", f"{field} {description}", violations=[violation])
