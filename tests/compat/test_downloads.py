"""Downloads of packages: only where the settings let them go."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from penstock_server.compat.downloads import Downloads, DownloadSettings
from penstock_server.compat.packages import BYTES_MAX
from penstock_server.model.errors import InvalidArgument

OWN = DownloadSettings(private_hosts=("localhost",), allow_http=True, timeout_s=5)


@dataclass
class Site:
    """A web site that answers each path with the bytes in `answers`, and notes what was asked."""

    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    serving: "list[asyncio.Future[None]]" = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            line = await reader.readline()
            path = line.split()[1].decode() if len(line.split()) > 1 else ""
            self.asked.append(path)
            writer.write(self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
            await asyncio.gather(writer.drain(), return_exceptions=True)
        finally:
            await self.end(writer)

    async def end(self, writer: asyncio.StreamWriter) -> None:
        """Hang up."""
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody has connected."""
        self.serving.append(asyncio.ensure_future(self.serve(reader, writer)))

    async def close(self) -> None:
        """Wait until nobody is connected."""
        await asyncio.gather(*self.serving, return_exceptions=True)


def content(body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def redirect(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.fixture
async def web() -> AsyncIterator[Site]:
    found = Site()
    server = await asyncio.start_server(found.answer, "localhost", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
    await found.close()


async def refusal(settings: DownloadSettings, url: str) -> str:
    with pytest.raises(InvalidArgument) as error:
        await Downloads(settings).fetch(url, "package_url")
    assert error.value.reason == "URL_REFUSED"
    return error.value.message


async def test_a_package_is_fetched_and_redirects_are_followed(web: Site) -> None:
    web.answers = {"/a?x=1": redirect("/b"), "/b": redirect(f"{web.url}/c.yaml"), "/c.yaml": content(b"spec")}
    assert await Downloads(OWN).fetch(f"{web.url}/a?x=1", "package_url") == b"spec"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://github.com/x.yaml", "has to begin with https://"),
        ("ftp://github.com/x.yaml", "has to begin with https://"),
        ("file:///etc/passwd", "has to begin with https://"),
        ("github.com/x.yaml", "has to begin with https://"),
        ("https://example.com/x.yaml", "not one of those"),
        ("https://github.com.example.com/x.yaml", "not one of those"),
        ("https://127.0.0.1/x.yaml", "not one of those"),
        ("https://[::1]/x.yaml", "not one of those"),
        ("https://localhost/x.yaml", "not one of those"),
        ("https://github.com:8443/x.yaml", "the default port"),
        ("https://github.com:99999/x.yaml", "cannot be downloaded from"),
        ("https://user@github.com/x.yaml", "user or a password"),
        ("https://github.com@example.com/x.yaml", "user or a password"),
        ("https://github.com/\r\nHost: x", "no address that can be used"),
        ("https://github.com/ä", "no address that can be used"),
        ("https://github.com/" + "x" * 3_000, "no address that can be used"),
        ("https://[github.com/x", "cannot be downloaded from"),
        ("https:///x", "not one of those"),
    ],
)
async def test_other_addresses_are_refused(url: str, says: str) -> None:
    assert says in await refusal(DownloadSettings(), url)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "2002:7f00:1::"),
    ],
)
async def test_a_name_must_not_mean_an_address_that_is_not_public(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [(None, None, None, "", (public, 443)) for public in ("140.82.121.4", address)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert "not public" in await refusal(DownloadSettings(), "https://github.com/x.yaml")


async def test_a_redirect_is_held_to_the_same_rules(web: Site) -> None:
    web.answers = {"/a": redirect("http://127.0.0.1:1/x"), "/round": redirect("/round"), "/none": redirect("")}
    assert "not one of those" in await refusal(OWN, f"{web.url}/a")
    assert "redirects more than" in await refusal(OWN, f"{web.url}/round")
    assert len(web.asked) == 1 + 6
    secure = replace(OWN, allow_http=False)
    assert "has to begin with https://" in await refusal(secure, f"{web.url}/a")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered with 404"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "answered with 500"),
        (b"", "cannot be downloaded from"),
        (b"not HTTP at all\r\n\r\n", "cannot be downloaded from"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", "cannot be downloaded from"),
    ],
)
async def test_what_gives_no_package_is_told(web: Site, answer: bytes, says: str) -> None:
    web.answers = {"/x": answer}
    assert says in await refusal(OWN, f"{web.url}/x")


async def test_what_breaks_off_is_no_package(web: Site) -> None:
    web.answers = {"/x": content(b"spec of a pipeline")[:-5]}
    assert "breaks off" in await refusal(OWN, f"{web.url}/x")


async def test_no_more_is_read_than_a_package_may_have(web: Site) -> None:
    web.answers = {"/x": b"HTTP/1.1 200 OK\r\n\r\n" + bytes(BYTES_MAX + 1)}
    assert f"more than {BYTES_MAX} bytes" in await refusal(OWN, f"{web.url}/x")


async def test_a_site_that_says_nothing_is_given_up(web: Site) -> None:
    silent = socket.create_server(("localhost", 0))
    with silent:
        url = f"http://localhost:{silent.getsockname()[1]}/x"
        assert "takes too long" in await refusal(replace(OWN, timeout_s=0.2), url)


TRICKLES = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "content": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    "an endless line": (b"HTTP/1.1 200 ", b"x"),
}


@pytest.mark.parametrize(("head", "more"), TRICKLES.values(), ids=list(TRICKLES))
async def test_a_site_that_trickles_is_given_up(head: bytes, more: bytes) -> None:
    site = Trickling(head=head, more=more)
    server = await asyncio.start_server(site.answer, "localhost", 0)
    async with server:
        url = f"http://localhost:{server.sockets[0].getsockname()[1]}/x"
        assert "takes too long" in await refusal(replace(OWN, timeout_s=0.3), url)
    site.over.set()
    await site.close()


@dataclass
class Trickling(Site):
    """A site that begins each answer with `head` and never ends it."""

    head: bytes = b""
    more: bytes = b""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer piece by piece."""
        over = asyncio.ensure_future(self.over.wait())
        writer.write(self.head)
        while not over.done():
            writer.write(self.more)
            await asyncio.wait([over], timeout=0.02)
        await self.end(writer)


async def test_a_site_that_speaks_no_tls_is_refused(web: Site) -> None:
    assert "cannot be downloaded from" in await refusal(OWN, web.url.replace("http:", "https:"))
