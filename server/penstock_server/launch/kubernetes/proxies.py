"""The proxy that the environment names for an address, as the `kubernetes` package and kubectl understand it."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit


def proxy_of(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for `url` by HTTPS_PROXY or HTTP_PROXY and NO_PROXY, each also in small letters, which go first.

    NO_PROXY lists names, which stand for what is below them as well, addresses, networks such as 10.0.0.0/8, each with
    a port or without, or `*`.
    """
    parts = urlsplit(url)
    proxy = _variable(f"{parts.scheme}_proxy", environ)
    if not proxy or any(_names(entry, parts) for entry in _variable("no_proxy", environ).lower().split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name, environ.get(name.upper(), "")).strip()


def _names(entry: str, url: SplitResult) -> bool:
    entry, host = entry.strip(), url.hostname or ""
    if not entry or entry == "*":
        return entry == "*"
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        name = f".{entry.lstrip('.')}"
        return f".{host}".endswith(name) or f".{url.netloc.lower()}".endswith(name)
