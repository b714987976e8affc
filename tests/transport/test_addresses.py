"""Addresses as callers, the core and the kernel write them."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from node.errors import ConnectionFailed, StartError
from node.transport.addresses import (
    host_of,
    is_literal,
    listening,
    listening_address,
    literal_address,
    plain_host,
    resolve,
    socket_address,
)
from node.types import Address


@pytest.mark.parametrize(
    ("host", "plain"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("::ffff:0:1", "::ffff:0:1")],
)
def test_ipv4_is_written_the_same_way_by_every_socket(host: str, plain: str) -> None:
    assert plain_host(host) == plain


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", False), ("", False), ("a\0b", False)]
)
def test_a_name_is_told_from_an_address(host: str, expected: bool) -> None:
    assert is_literal(host) is expected


@pytest.mark.parametrize(
    ("family", "address", "expected"),
    [
        (socket.AF_INET, ("192.0.2.1", 80), ("192.0.2.1", 80)),
        (socket.AF_INET6, ("2001:db8::1", 80), ("2001:db8::1", 80, 0, 0)),
        (socket.AF_INET6, ("192.0.2.1", 80), ("::ffff:192.0.2.1", 80, 0, 0)),
        (socket.AF_INET, ("2001:db8::1", 80), None),
        (socket.AF_INET, ("localhost", 80), None),
        (socket.AF_INET, ("", 80), None),
        (socket.AF_INET, ("192.0.2.1", 0), None),
        (socket.AF_INET, ("192.0.2.1", 65_536), None),
        (socket.AF_INET, ("x" * 300, 80), None),
    ],
)
def test_an_address_fits_the_family_of_the_socket_or_none_is_given(
    family: int, address: Address, expected: tuple[str | int, ...] | None
) -> None:
    assert socket_address(family, address) == expected


def test_an_address_of_one_link_keeps_the_number_of_the_link() -> None:
    link = socket.if_nametoindex("lo")
    named, numbered = ("fe80::1%lo", 80), (f"fe80::1%{link}", 80)
    assert literal_address(named) == literal_address(numbered) == numbered
    assert socket_address(socket.AF_INET6, numbered) == ("fe80::1", 80, 0, link)
    assert host_of(("fe80::1", 80, 0, link)) == numbered[0]
    assert host_of(("2001:db8::1", 80, 0, 0)) == "2001:db8::1"
    assert listening(socket.AF_INET6, named[0], 0) == ("fe80::1", 0, 0, link)
    assert listening(socket.AF_INET, "192.0.2.1", 0) == ("192.0.2.1", 0)


@pytest.mark.asyncio
async def test_an_address_is_not_looked_up() -> None:
    assert await resolve(("192.0.2.1", 80), seconds=1e-9) == ("192.0.2.1", 80)


@pytest.mark.asyncio
async def test_a_name_is_looked_up() -> None:
    assert await resolve(("localhost", 80), family=socket.AF_INET, seconds=5) == ("127.0.0.1", 80)


@pytest.mark.asyncio
async def test_a_name_that_nobody_has_is_a_failed_connection() -> None:
    with pytest.raises(ConnectionFailed, match=r"cannot look up 'no-such-host\.invalid'"):
        await resolve(("no-such-host.invalid", 80), seconds=5)


def test_a_name_server_that_does_not_answer_holds_up_neither_the_caller_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = threading.Event()
    look_up = socket.getaddrinfo

    def hang(host: str, *arguments: int, **options: int) -> object:
        if options:  # whether it is an address is asked without any
            gate.wait(10)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(ConnectionFailed, match=r"looking up 'seed\.example' took longer than 0\.01 s"):
            asyncio.run(resolve(("seed.example", 80), seconds=0.01))
        # The loop is closed, and whoever looks up is still about it.
        assert any("_look_up" in thread.name for thread in threading.enumerate())
    finally:
        gate.set()


@pytest.mark.asyncio
async def test_any_free_port_is_asked_for_with_zero() -> None:
    assert await listening_address("UDP", ("localhost", 0)) in (("127.0.0.1", 0), ("::1", 0))


@pytest.mark.asyncio
@pytest.mark.parametrize("address", [("127.0.0.1", -1), ("127.0.0.1", 65_536), ("no-such-host.invalid", 1)])
async def test_what_cannot_be_listened_on_is_one_clear_line(address: Address) -> None:
    with pytest.raises(StartError, match=f"cannot listen on UDP {address[0]}:{address[1]}: "):
        await listening_address("UDP", address)
