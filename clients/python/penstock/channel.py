"""Where a server is and how to talk to it: targets, channel options, retries, the token."""

import ipaddress
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

import penstock
from penstock.methods import Method, all_methods

DEFAULT_TARGET = "127.0.0.1:8887"
CALL_TIMEOUT_S = 60.0
"""How long a call that is no stream may take."""
RESPONSE_BYTES_MAX = 64 * 1024 * 1024
"""A page of a thousand tasks with their inputs and outputs can be larger than gRPC's default of 4 MiB."""

_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a server."""

    address: str
    """What gRPC resolves: `host:port`."""
    is_secure: bool
    """TLS, with the machine's trusted certificates."""
    is_explicit: bool = True
    """The scheme was written out."""

    @classmethod
    def parse(cls, text: str | None) -> "Target":
        """Read `host:port` or `grpc://host:port` (both plaintext), or `grpcs://host:port` (TLS).

        None or an empty text: PENSTOCK_TARGET, else 127.0.0.1:8887. Raises ValueError.
        """
        text = text or os.environ.get("PENSTOCK_TARGET") or DEFAULT_TARGET
        scheme, separator, address = text.rpartition("://")
        if scheme not in {"", "grpc", "grpcs"}:
            raise ValueError(f"target {text!r}: the scheme must be grpc:// or grpcs://, or left out")
        _check_address(text, address.rstrip("/"))
        return cls(address.rstrip("/"), scheme == "grpcs", bool(separator))

    @property
    def is_loopback(self) -> bool:
        """True when the server is on this machine."""
        host = self.address.rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            # Not an address but a name, and only one name is sure to stay on this machine.
            return host == "localhost"


def check_token(target: Target, token: str | None) -> None:
    """Refuse to send a token over the network in clear, unless `grpc://` was written on purpose.

    Raises ValueError.
    """
    if token and not (target.is_secure or target.is_loopback or target.is_explicit):
        raise ValueError(
            f"a token would cross the network in clear to {target.address}: use grpcs://{target.address}, "
            f"or grpc://{target.address} where the network itself is protected"
        )


def channel_options() -> list[tuple[str, str | int]]:
    """What every channel of the client is made with."""
    return [
        ("grpc.primary_user_agent", f"penstock-python/{penstock.__version__}"),
        ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
        # A watch may be silent for hours: pings find out that the other side has gone.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", service_config(all_methods())),
    ]


def service_config(methods: Iterable[Method]) -> str:
    """The gRPC service config: calls that only read are repeated when the server is away for a moment.

    Streams are left out: `watch_run` and `logs` go on by themselves, from where they were.
    """
    reads = [
        {"service": method.service, "method": method.name}
        for method in methods
        if method.reads_only and not method.is_stream
    ]
    return json.dumps({"methodConfig": [{"name": reads, "retryPolicy": _RETRY_POLICY}]})


def _check_address(text: str, address: str) -> None:
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"target {text!r}: expected HOST:PORT, such as {DEFAULT_TARGET}")
