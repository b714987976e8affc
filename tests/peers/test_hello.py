"""Introductions: what a peer may call itself and where it may claim to be."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.messages.frame import encode_frame, parse_frame
from node.messages.types import MessageType
from node.peers.hello import Hello, is_reachable_host, parse_hello
from node.types import is_name

HELLO = Hello(name="node-3", udp_port=8888, tcp_port=8889, host="10.0.0.3", epoch=5, agent="positron-testnet")


def test_an_introduction_survives_the_way() -> None:
    frame = parse_frame(encode_frame(MessageType.HANDSHAKE, HELLO.fields()))
    assert parse_hello(frame.fields) == replace(HELLO, incarnation=HELLO.epoch)


def test_an_introduction_tells_its_incarnation_and_where_it_sees_the_other() -> None:
    hello = replace(HELLO, incarnation=HELLO.epoch + 3, seen_host="10.0.0.7")
    assert parse_hello(hello.fields()) == hello


@pytest.mark.parametrize("tail", [[-1, ""], [1 << 63, ""], ["1", ""], [1, "example.org"], [1, None]])
def test_an_impossible_incarnation_or_place_is_refused(tail: list[Any]) -> None:
    with pytest.raises(DecodeError):
        parse_hello([*HELLO.fields()[:7], *tail])


def test_fields_of_a_later_version_are_ignored() -> None:
    assert parse_hello([*HELLO.fields(), "more"]) == replace(HELLO, incarnation=HELLO.epoch)


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, "1"),
        (1, ""),
        (1, "two words"),
        (1, "n" * 65),
        (1, "käse"),
        (1, "name\n"),
        (1, b"node"),
        (2, -1),
        (2, 65536),
        (2, True),
        (3, "8889"),
        (4, "example.org"),
        (4, "0.0.0.0"),
        (4, "::"),
        (4, "224.0.0.1"),
        (4, "255.255.255.255"),
        (4, "10.0.0.1 "),
        (4, 7),
        (5, -1),
        (5, None),
        (6, "a" * 65),
        (6, "line\nbreak"),
    ],
)
def test_an_introduction_with_one_wrong_field_is_malformed(index: int, value: Any) -> None:
    fields = HELLO.fields()
    fields[index] = value
    with pytest.raises(DecodeError, match="malformed"):
        parse_hello(fields)


def test_a_short_introduction_is_malformed() -> None:
    with pytest.raises(DecodeError, match="malformed"):
        parse_hello(HELLO.fields()[:6])


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "203.0.113.9"])
def test_addresses_that_can_be_dialled_are_accepted(host: str) -> None:
    assert is_reachable_host(host)


@pytest.mark.parametrize("name", ["a", "node-3", "Node_3.eu", "n" * 64])
def test_plain_names_are_names(name: str) -> None:
    assert is_name(name)


@given(st.lists(st.none() | st.integers() | st.text(max_size=5) | st.binary(max_size=5), max_size=9))
def test_any_fields_give_an_introduction_or_a_decode_error(fields: list[Any]) -> None:
    with suppress(DecodeError):
        parse_hello(fields)
