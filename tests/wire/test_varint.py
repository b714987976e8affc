"""Varints are those of RFC 9000 §16."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.wire.varint import (
    VARINT_MAX,
    append_varint,
    append_varints,
    read_varint,
    read_varints,
    varint_size,
)

values = st.integers(0, VARINT_MAX)


def encode(value: int) -> bytes:
    buffer = bytearray()
    append_varint(buffer, value)
    return bytes(buffer)


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("c2197c5eff14e88c", 151_288_809_941_952_652),
        ("9d7f3e7d", 494_878_333),
        ("7bbd", 15_293),
        ("25", 37),
    ],
)
def test_the_examples_of_the_rfc_decode_and_encode(encoded: str, value: int) -> None:
    data = bytes.fromhex(encoded)
    assert read_varint(data, 0) == (value, len(data))
    assert encode(value) == data


def test_longer_encodings_than_needed_decode_too() -> None:
    assert read_varint(bytes.fromhex("4025"), 0) == (37, 2)


@pytest.mark.parametrize("value", [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, VARINT_MAX])
def test_every_length_begins_where_the_shorter_one_ends(value: int) -> None:
    assert len(encode(value)) == varint_size(value)
    assert read_varint(encode(value), 0) == (value, varint_size(value))


@given(values, st.binary(max_size=9), st.binary(max_size=9))
def test_round_trip_at_any_offset(value: int, before: bytes, after: bytes) -> None:
    encoded = encode(value)
    assert read_varint(before + encoded + after, len(before)) == (value, len(before) + len(encoded))


@given(values, st.data())
def test_cut_short_it_is_malformed(value: int, data: st.DataObject) -> None:
    encoded = encode(value)
    length = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(DecodeError) as caught:
        read_varint(encoded[:length], 0)
    assert caught.value.reason == "malformed"


@given(st.binary(max_size=20), st.integers(0, 25))
def test_any_bytes_give_a_value_or_a_decode_error(data: bytes, offset: int) -> None:
    try:
        value, end = read_varint(data, offset)
    except DecodeError:
        return
    assert 0 <= value <= VARINT_MAX
    assert offset < end <= len(data)


@given(st.lists(values, max_size=6), st.binary(max_size=9), st.binary(max_size=9))
def test_several_at_once_are_those_one_after_the_other(several: list[int], before: bytes, after: bytes) -> None:
    encoded = b"".join(encode(value) for value in several)
    buffer = bytearray(before)
    append_varints(buffer, several)
    assert buffer == before + encoded
    assert read_varints(before + encoded + after, len(before), len(several)) == (several, len(before + encoded))
    for length in range(len(encoded)):
        with pytest.raises(DecodeError, match="varint"):
            read_varints(encoded[:length], 0, len(several))
