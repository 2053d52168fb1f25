"""Downloads of packages over TLS, from sites with certificates of an authority of the test's own."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from socket import getaddrinfo
from typing import Any

import pytest
import trustme

from penstock_server.compat.downloads import Downloads, DownloadSettings
from penstock_server.model.errors import InvalidArgument
from tests.compat.test_downloads import Site, content, redirect

NAME = "pipelines.example"
SETTINGS = DownloadSettings(hosts=("github.com", "localhost"), private_hosts=(NAME,), timeout_s=5)
PRIVATE = ("127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254", "::1", "fc00::1")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What a downloader trusts: the authority alone."""
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    assert context.check_hostname
    return context


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Which addresses a name has, one time after the other; all others are as they are."""
    addresses: dict[str, list[str]] = {}

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        return getaddrinfo(addresses[host].pop(0) if host in addresses else host, port, *args, **kwargs)

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    return addresses


@asynccontextmanager
async def site(authority: trustme.CA, *certified: str) -> AsyncIterator[Site]:
    """A site with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*certified).configure_cert(context)
    found = Site()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
        await asyncio.sleep(0)  # for the ends of connections whose handshakes were broken off
    await found.close()


async def fetch(tls: ssl.SSLContext, url: str, settings: DownloadSettings = SETTINGS) -> bytes:
    return await Downloads(settings, tls).fetch(url, "package_url")


async def refusal(tls: ssl.SSLContext, url: str) -> str:
    with pytest.raises(InvalidArgument) as error:
        await fetch(tls, url)
    assert error.value.reason == "URL_REFUSED"
    return error.value.message


async def test_a_package_is_fetched_under_a_name_that_is_resolved_once(
    authority: trustme.CA, trusting: ssl.SSLContext, names: dict[str, list[str]]
) -> None:
    async with site(authority, NAME) as web:
        names[NAME] = ["127.0.0.1"]
        web.answers = {"/p.yaml": content(b"spec")}
        assert await fetch(trusting, f"https://{NAME}:{web.port}/p.yaml") == b"spec"
        assert (web.asked, names[NAME]) == (["/p.yaml"], [])


async def test_a_certificate_of_another_name_or_authority_is_refused(
    authority: trustme.CA, trusting: ssl.SSLContext, names: dict[str, list[str]]
) -> None:
    for issuer, name in ((authority, "other.example"), (trustme.CA(), NAME)):
        async with site(issuer, name) as web:
            names[NAME] = ["127.0.0.1"]
            message = await refusal(trusting, f"https://{NAME}:{web.port}/p.yaml")
            assert "certificate verify failed" in message
            assert web.asked == []


async def test_the_system_s_authorities_are_trusted_unless_told(
    authority: trustme.CA, names: dict[str, list[str]]
) -> None:
    async with site(authority, NAME) as web:
        names[NAME] = ["127.0.0.1"]
        with pytest.raises(InvalidArgument, match="certificate verify failed"):
            await Downloads(SETTINGS).fetch(f"https://{NAME}:{web.port}/p.yaml", "package_url")


async def test_a_redirect_to_a_name_that_means_a_private_address_is_refused(
    authority: trustme.CA, trusting: ssl.SSLContext, names: dict[str, list[str]]
) -> None:
    async with site(authority, NAME, "github.com") as web:
        for address in PRIVATE:
            names |= {NAME: ["127.0.0.1"], "github.com": [address, "127.0.0.1"]}
            web.answers = {"/a": redirect("https://github.com/b"), "/b": content(b"secret")}
            assert "not public" in await refusal(trusting, f"https://{NAME}:{web.port}/a")
        assert web.asked == ["/a"] * len(PRIVATE)


async def test_a_redirect_to_an_address_or_to_plain_http_is_refused(
    authority: trustme.CA, trusting: ssl.SSLContext, names: dict[str, list[str]]
) -> None:
    async with site(authority, NAME) as web:
        for target in (f"https://127.0.0.1:{web.port}/b", f"https://[::1]:{web.port}/b", "https://10.0.0.1/b"):
            names[NAME] = ["127.0.0.1"]
            web.answers = {"/a": redirect(target), "/b": content(b"secret")}
            assert "not one of those" in await refusal(trusting, f"https://{NAME}:{web.port}/a")
        for target in (f"http://{NAME}:{web.port}/b", "file:///etc/passwd", "gopher://github.com/"):
            names[NAME] = ["127.0.0.1"]
            web.answers = {"/a": redirect(target)}
            assert "https://" in await refusal(trusting, f"https://{NAME}:{web.port}/a")
        assert set(web.asked) == {"/a"}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST"])
async def test_a_name_that_the_system_resolves_to_loopback_is_refused(trusting: ssl.SSLContext, host: str) -> None:
    assert "not public" in await refusal(trusting, f"https://{host}/x")


async def test_a_name_that_means_another_address_later_is_checked_each_time(
    authority: trustme.CA, trusting: ssl.SSLContext, names: dict[str, list[str]]
) -> None:
    """Public when it was first asked about, loopback at the redirect."""
    settings = replace(SETTINGS, hosts=("github.com",))
    async with site(authority, NAME, "github.com") as web:
        names |= {NAME: ["127.0.0.1"] * 2, "github.com": ["127.0.0.1"]}
        web.answers = {"/a": redirect("/b"), "/b": redirect("https://github.com/c"), "/c": content(b"secret")}
        with pytest.raises(InvalidArgument, match="not public"):
            await fetch(trusting, f"https://{NAME}:{web.port}/a", settings)
        assert web.asked == ["/a", "/b"]
