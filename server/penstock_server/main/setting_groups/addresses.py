"""Where a server listens, and to whom it answers."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from penstock_server.main.addresses import parse_address
from penstock_server.main.setting_kinds import text, texts


def _check_address(text: str) -> None:
    parse_address(text)


def _check_origins(origins: tuple[str, ...]) -> None:
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"):
            raise ValueError(f"{origin!r} is no origin; write one such as https://penstock.example:8443")


@dataclass(frozen=True, kw_only=True)
class AddressSettings:
    """Addresses, and what callers name there."""

    grpc_listen: str = text(
        "Where gRPC is served. Port 0 takes a free one; the ready line tells which. Anyone who can reach it can "
        "run programs: keep it on loopback unless the network is yours.",
        default="127.0.0.1:8887",
        metavar="HOST:PORT",
        check=_check_address,
    )
    http_listen: str = text(
        "Where HTTP is served: REST, Connect, gRPC-Web, probes and metrics. As for grpc_listen.",
        default="127.0.0.1:8888",
        metavar="HOST:PORT",
        check=_check_address,
    )
    allowed_origins: tuple[str, ...] = texts(
        "Origins whose web pages may use the server over HTTP, beside its own. `*` allows all.",
        metavar="URL,...",
        check=_check_origins,
    )
    allowed_hosts: tuple[str, ...] = texts(
        "Names in the header Host that are answered, beside localhost and addresses, such as that of a proxy in "
        "front. `*` allows all.",
        default_text="none on loopback, else all",
    )
