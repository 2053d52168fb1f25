"""Addresses to listen on, as `HOST:PORT`."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from penstock_server.model.errors import FailedPrecondition

_FORM = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int
    """0: a free one."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Reached from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, IPv6 in brackets. Raises ValueError."""
    found = _FORM.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise ValueError(f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:8888 or [::1]:8888")
    return Address(found["ipv6"] or found["host"], int(found["port"]))


def bind(address: Address, option: str) -> socket.socket:
    """A socket bound to `address`, not yet listening. Raises FailedPrecondition ADDRESS_IN_USE.

    `option` is how the user chooses another address.
    """
    listener = None
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise FailedPrecondition(
            "ADDRESS_IN_USE",
            f"cannot listen on {address}: {error.strerror or error}; choose another address with {option}",
        ) from error
    return listener


def check_free(address: Address, option: str) -> None:
    """Raise FailedPrecondition ADDRESS_IN_USE when `address` cannot be listened on."""
    with bind(address, option) as listener:
        try:
            listener.listen(1)
        except OSError as error:
            raise FailedPrecondition(
                "ADDRESS_IN_USE",
                f"cannot listen on {address}: {error.strerror}; choose another address with {option}",
            ) from error
