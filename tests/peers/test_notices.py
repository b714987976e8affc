"""What nodes say of each other to everybody."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.messages.packing import pack
from node.peers.notices import (
    INCARNATION_MAX,
    Accused,
    Presence,
    accusation,
    parse_accusation,
    parse_leave,
    parse_presence,
)
from node.types import NodeId
from node.wire.limits import ACCUSED_PER_MESSAGE_MAX

KEY = NodeId(b"k" * 32)


def test_a_presence_survives_the_way() -> None:
    presence = Presence(incarnation=7, host="", udp_port=8888, tcp_port=0, name="node-1")
    assert parse_presence(presence.packed()) == presence


def test_an_accusation_survives_the_way_and_is_clamped() -> None:
    accused = [Accused(KEY, 7), Accused(NodeId(b"l" * 32), INCARNATION_MAX)]
    assert parse_accusation(accusation(accused)) == accused
    assert parse_accusation(pack([[KEY, (1 << 64) - 1]])) == [Accused(KEY, INCARNATION_MAX)]


def test_a_leave_names_an_incarnation() -> None:
    assert parse_leave(pack([7])) == 7


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [0, "", 1, 1, "n"],
        [INCARNATION_MAX + 1, "", 1, 1, "n"],
        [1, "example.org", 1, 1, "n"],
        [1, "", 0, 0, "n"],
        [1, "", 65536, 0, "n"],
        [1, "", 1, 1, "no name"],
    ],
)
def test_an_impossible_presence_is_refused(fields: list[Any]) -> None:
    with pytest.raises(DecodeError):
        parse_presence(pack(fields))


@pytest.mark.parametrize("listed", [[], [[b"short", 1]], [[KEY]], [1], [[KEY, 1]] * (ACCUSED_PER_MESSAGE_MAX + 1)])
def test_an_impossible_accusation_is_refused(listed: list[Any]) -> None:
    with pytest.raises(DecodeError):
        parse_accusation(pack(listed))


@given(st.binary(max_size=64))
def test_any_bytes_are_a_notice_or_a_decode_error(data: bytes) -> None:
    for parse in (parse_presence, parse_accusation, parse_leave):
        with suppress(DecodeError):
            parse(data)
