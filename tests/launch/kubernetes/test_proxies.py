"""The way to an API server through the proxies of the environment."""

import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from penstock_server.launch.kubernetes.api import ApiLimits, ClusterApi, Kind
from penstock_server.launch.kubernetes.connection import ClusterAccess
from penstock_server.launch.kubernetes.proxies import proxy_of
from tests.launch.kubernetes.api_server import ApiServer, answer, api_server
from tests.launch.kubernetes.forward_proxy import forward_proxy

ONLY_BEHIND_A_PROXY = "cluster.invalid"
"""A name that has no address."""
NOWHERE = "http://127.0.0.1:9"
PODS = "/api/v1/namespaces/ns/pods"
POD = {"metadata": {"name": "a"}}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://c:6443", {}, None),
        ("https://c:6443", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://c:6443", {"https_proxy": "http://small:1", "HTTPS_PROXY": "http://p:1"}, "http://small:1"),
        ("https://c:6443", {"https_proxy": "", "HTTPS_PROXY": "http://p:1"}, None),
        ("https://c:6443", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://c:8080", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("https://c:6443", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
    ],
)
def test_the_proxy_is_that_of_the_scheme(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_of(url, environ) == proxy


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_direct"),
    [
        ("https://c.example:6443", "", False),
        ("https://c.example:6443", "*", True),
        ("https://c.example:6443", "c.example", True),
        ("https://C.Example:6443", "other, c.eXample", True),
        ("https://c.example:6443", ".example", True),
        ("https://c.example:6443", "example", True),
        ("https://c.example:6443", "c.example:6443", True),
        ("https://c.example:6443", "c.example:443", False),
        ("https://c.example:6443", "xample", False),
        ("https://c.example:6443", "a.c.example", False),
        ("https://10.96.0.1:443", "10.96.0.0/12", True),
        ("https://10.96.0.1:443", "10.112.0.0/12", False),
        ("https://10.96.0.1:443", "10.96.0.1", True),
        ("https://10.96.0.1:443", "10.96.0.1:443", True),
        ("https://10.96.0.1:443", "6.0.1", False),
        ("https://[fd00::1]:443", "fd00::/8", True),
        ("https://[fd00::1]:443", "10.0.0.0/8", False),
        ("https://c.example:6443", "10.0.0.0/8,,", False),
    ],
)
def test_what_no_proxy_names_is_reached_directly(url: str, no_proxy: str, is_direct: bool) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        assert (proxy_of(url, {"HTTPS_PROXY": "http://p:1", variable: no_proxy}) is None) is is_direct


@asynccontextmanager
async def client(folder: Path, cluster: Mapping[str, Any], **environ: str) -> AsyncIterator[ClusterApi]:
    """A client of a cluster as a kubeconfig tells of it."""
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "c", "user": {"token": "token"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    api = ClusterApi(ClusterAccess(str(path), environ=environ), ApiLimits(backoff_s=0.01, patience_s=0.1))
    await api.open()
    try:
        yield api
    finally:
        await api.close()


async def read_twice(api: ClusterApi, server: ApiServer) -> None:
    server.on(f"GET {PODS}/a", answer(POD))
    for _ in range(2):
        assert await api.get(Kind.PODS, "ns", "a") == POD
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer token"] * 2


async def test_a_cluster_with_certificates_is_reached_through_a_tunnel(tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(ONLY_BEHIND_A_PROXY).configure_cert(tls)
    cluster = {
        "server": f"https://{ONLY_BEHIND_A_PROXY}:6443",
        "certificate-authority-data": base64.b64encode(authority.cert_pem.bytes()).decode(),
    }
    async with api_server(tls) as server, forward_proxy(server.port) as proxy:
        async with client(tmp_path, cluster, HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}") as api:
            await read_twice(api, server)
        [asked] = proxy.asked
        assert asked.startswith(f"CONNECT {ONLY_BEHIND_A_PROXY}:6443 ")


async def test_a_cluster_without_certificates_is_asked_for_by_its_whole_address(tmp_path: Path) -> None:
    async with api_server() as server, forward_proxy(server.port) as proxy:
        cluster = {"server": f"http://{ONLY_BEHIND_A_PROXY}:8080"}
        async with client(tmp_path, cluster, http_proxy=f"http://127.0.0.1:{proxy.port}") as api:
            await read_twice(api, server)
        assert proxy.asked[0].startswith(f"GET http://{ONLY_BEHIND_A_PROXY}:8080{PODS}/a")


async def test_the_proxy_of_the_kubeconfig_goes_first(tmp_path: Path) -> None:
    async with api_server() as server, forward_proxy(server.port) as proxy:
        cluster = {"server": f"http://{ONLY_BEHIND_A_PROXY}:8080", "proxy-url": f"http://127.0.0.1:{proxy.port}"}
        async with client(tmp_path, cluster, http_proxy=NOWHERE) as api:
            await read_twice(api, server)


async def test_credentials_in_the_address_of_a_proxy_are_told_to_it(tmp_path: Path) -> None:
    async with api_server() as server, forward_proxy(server.port) as proxy:
        cluster = {"server": f"http://{ONLY_BEHIND_A_PROXY}:8080"}
        async with client(tmp_path, cluster, http_proxy=f"http://me:word@127.0.0.1:{proxy.port}") as api:
            await read_twice(api, server)
        assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:word').decode()}" in proxy.asked[0]


async def test_a_cluster_that_no_proxy_names_is_reached_directly(tmp_path: Path) -> None:
    async with api_server() as server:
        cluster = {"server": f"http://127.0.0.1:{server.port}"}
        async with client(tmp_path, cluster, http_proxy=NOWHERE, NO_PROXY="127.0.0.0/8") as api:
            await read_twice(api, server)


async def test_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is used: neither for the API server nor for a proxy."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with api_server() as server, forward_proxy(server.port) as proxy:
        cluster = {"server": f"http://{ONLY_BEHIND_A_PROXY}:8080"}
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        async with client(tmp_path, cluster, http_proxy=f"http://127.0.0.1:{proxy.port}") as api:
            await read_twice(api, server)
        assert "Proxy-Authorization" not in proxy.asked[0]
