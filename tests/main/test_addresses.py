"""Addresses to listen on."""

import socket

import pytest

from penstock_server.main.addresses import Address, bind, check_free, parse_address
from penstock_server.model.errors import FailedPrecondition


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:80", "::1", 80), ("localhost:8887", "localhost", 8887)],
)
def test_an_address_is_read_and_written(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host, port)
    assert str(Address(host, port)) == text


@pytest.mark.parametrize("text", ["", "8887", ":8887", "a:", "a:b", "::1:80", "a:70000", "http://a:1", "a b:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert Address(host, 1).is_loopback is loopback


def test_an_address_in_use_is_told_with_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        for take in (bind, check_free):
            with pytest.raises(FailedPrecondition, match=f"cannot listen on {address}.*--x-listen"):
                take(address, "--x-listen")


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(FailedPrecondition, match=r"cannot listen on 192\.0\.2\.1:1"):
        bind(Address("192.0.2.1", 1), "--x-listen")


def test_a_free_address_stays_free() -> None:
    with bind(Address("127.0.0.1", 0), "--x-listen") as listener:
        port = listener.getsockname()[1]
    for _ in range(2):
        check_free(Address("127.0.0.1", port), "--x-listen")
