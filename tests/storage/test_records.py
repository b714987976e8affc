"""The bytes of the state file: what is whole counts, whatever comes behind it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.storage.records import (
    HEADER_BYTES,
    Rows,
    header,
    pack_commit,
    pack_delete,
    pack_put,
    scan,
    writer_of,
)
from node.types import NodeId

OWN = NodeId(b"o" * 32)
FIRST: Rows = {"origins": {b"a": [1, 2], b"b": [3]}, "epoch": {b"": 7}}
SECOND: Rows = {"origins": {b"b": [3], b"c": [b"x"]}, "epoch": {b"": 7}}

ONE_SAVE = (
    header(OWN)
    + pack_put("origins", b"a", [1, 2])
    + pack_put("origins", b"b", [3])
    + pack_put("epoch", b"", 7)
    + pack_commit(3)
)
TWO_SAVES = ONE_SAVE + pack_put("origins", b"c", [b"x"]) + pack_delete("origins", b"a") + pack_commit(2)


def test_rows_are_read_as_they_were_written() -> None:
    assert writer_of(TWO_SAVES) == OWN
    assert scan(ONE_SAVE).rows == FIRST
    assert scan(TWO_SAVES).rows == SECOND
    assert scan(TWO_SAVES).good_bytes == len(TWO_SAVES)


@pytest.mark.parametrize("length", range(HEADER_BYTES, len(TWO_SAVES) + 1))
def test_a_file_that_ends_anywhere_tells_one_save_or_the_one_before(length: int) -> None:
    found = scan(TWO_SAVES[:length])
    expected: Rows = {}
    for save, rows in ((ONE_SAVE, FIRST), (TWO_SAVES, SECOND)):
        if length >= len(save):
            expected = rows
    assert found.rows == expected


@given(st.integers(HEADER_BYTES, len(TWO_SAVES) - 1), st.integers(0, 7))
def test_one_flipped_bit_costs_the_saves_behind_it_and_adds_nothing(position: int, bit: int) -> None:
    data = bytearray(TWO_SAVES)
    data[position] ^= 1 << bit
    assert scan(bytes(data)).rows == ({} if position < len(ONE_SAVE) else FIRST)


@given(st.binary(max_size=300))
def test_any_bytes_behind_a_header_are_survived(tail: bytes) -> None:
    scan(header(OWN) + tail)
    assert scan(ONE_SAVE + tail).rows == FIRST


@pytest.mark.parametrize("position", range(HEADER_BYTES))
def test_one_flipped_bit_in_the_header_is_noticed(position: int) -> None:
    data = bytearray(ONE_SAVE)
    data[position] ^= 1
    with pytest.raises(DecodeError):
        writer_of(bytes(data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed"),
        (header(OWN)[:-1], "malformed"),
        (b"x" * 200, "malformed"),
        (b"positron state v2\n" + bytes(64), "unknown_kind"),
        (b"positron state vX\n" + bytes(64), "malformed"),
    ],
)
def test_a_foreign_file_is_told_apart_from_one_of_another_version(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        writer_of(data)
    assert caught.value.reason == reason


def test_a_commit_that_counts_other_records_ends_the_reading() -> None:
    assert scan(ONE_SAVE + pack_put("origins", b"d", 1) + pack_commit(2)).rows == FIRST


def test_entries_of_a_later_version_are_left_out() -> None:
    later: Any = pack_put("origins", b"d", 1).replace(b"\x94\x00", b"\x94\x07")
    assert scan(ONE_SAVE + later + pack_commit(1)).rows == FIRST
