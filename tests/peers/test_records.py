"""Addresses that nodes tell each other."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.messages.types import Carrier
from node.peers.records import Record, Row, parse_rows
from node.types import NodeId
from node.wire.limits import ROWS_PER_MESSAGE_MAX

KEY = NodeId(b"k" * 32)
RECORD = Record(KEY, "10.0.0.1", 8888, 8889)


def test_rows_survive_the_round_trip() -> None:
    other = Record(NodeId(b"l" * 32), "fd00::1", 0, 1)
    assert parse_rows([[RECORD.fields(), [*other.fields(), 7, 2]]]) == [Row(RECORD, 0, 0), Row(other, 7, 2)]


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        [KEY, "10.0.0.1", 8888],
        [b"short", "10.0.0.1", 8888, 8889],
        [KEY, "example.org", 8888, 8889],
        [KEY, "0.0.0.0", 8888, 8889],
        [KEY, "10.0.0.1", 0, 0],
        [KEY, "10.0.0.1", -1, 2],
        [KEY, "10.0.0.1", 65536, 0],
        [KEY, b"10.0.0.1", 8888, 8889],
        [KEY, "10.0.0.1", 8888, 8889, -1, 0],
        [KEY, "10.0.0.1", 8888, 8889, 1, "dead"],
    ],
)
def test_one_wrong_record_spoils_the_announcement(record: Any) -> None:
    with pytest.raises(DecodeError, match="malformed"):
        parse_rows([[RECORD.fields(), record]])


def test_too_many_records_are_refused() -> None:
    with pytest.raises(DecodeError, match="too_large"):
        parse_rows([[RECORD.fields()] * (ROWS_PER_MESSAGE_MAX + 1)])


@pytest.mark.parametrize("fields", [[], ["records"], [None]])
def test_an_announcement_without_a_list_is_malformed(fields: list[Any]) -> None:
    with pytest.raises(DecodeError, match="malformed"):
        parse_rows(fields)


@pytest.mark.parametrize(
    ("record", "enable_udp", "enable_tcp", "expected"),
    [
        (RECORD, True, True, (Carrier.UDP, ("10.0.0.1", 8888))),
        (RECORD, False, True, (Carrier.TCP, ("10.0.0.1", 8889))),
        (Record(KEY, "10.0.0.1", 0, 8889), True, True, (Carrier.TCP, ("10.0.0.1", 8889))),
        (Record(KEY, "10.0.0.1", 8888, 0), False, True, None),
        (Record(KEY, "10.0.0.1", 0, 8889), True, False, None),
    ],
)
def test_a_node_is_dialled_over_a_carrier_that_both_have(
    record: Record, enable_udp: bool, enable_tcp: bool, expected: Any
) -> None:
    assert record.address_for(enable_udp=enable_udp, enable_tcp=enable_tcp) == expected


scalars = st.none() | st.integers() | st.text(max_size=5) | st.binary(max_size=32)


@given(st.lists(st.lists(st.lists(scalars, max_size=5) | scalars, max_size=3) | scalars, max_size=2))
def test_any_fields_give_records_or_a_decode_error(fields: list[Any]) -> None:
    with suppress(DecodeError):
        parse_rows(fields)
