"""Strict msgpack: round trips, refusals, and no other outcome for any bytes."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError, UsageError
from node.messages.packing import pack, unpack, unpack_list
from node.wire.limits import PACKED_BYTES_MAX, VALUE_DEPTH_MAX, VALUE_ITEMS_MAX, VALUE_KEYS_MAX

scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(1 << 63), max_value=(1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.binary(max_size=40)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_every_value_survives_the_round_trip(value: Any) -> None:
    assert unpack(pack(value)) == value


@given(st.binary(max_size=300))
def test_any_bytes_give_a_value_or_a_decode_error(data: bytes) -> None:
    with suppress(DecodeError):
        unpack(data)


@given(values, st.binary(min_size=1, max_size=4))
def test_trailing_bytes_are_refused(value: Any, tail: bytes) -> None:
    with pytest.raises(DecodeError, match="malformed"):
        unpack(pack(value) + tail)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


HOSTILE = {
    "nothing": (b"", "malformed"),
    "cut short": (b"\x92\x01", "malformed"),
    "a reserved byte": (b"\xc1", "malformed"),
    "an integer as key": (b"\x81\x01\x01", "malformed"),
    "bytes as key": (b"\x81\xc4\x01a\x01", "malformed"),
    "a list as key": (b"\x81\x90\x01", "malformed"),
    "a key twice": (b"\x82\xa1a\x01\xa1a\x02", "duplicate_key"),
    "a key that is too long": (b"\x81\xda\x02\x00" + b"k" * 512 + b"\x01", "too_large"),
    "text that is not UTF-8": (b"\xa2\xff\xff", "malformed"),
    "an extension": (b"\xd4\x05\x00", "malformed"),
    "an empty extension": (b"\xc7\x00\x05", "malformed"),
    "a timestamp": (b"\xd6\xff\x00\x00\x00\x00", "malformed"),
    "not a number": (msgpack.packb(math.nan), "not_finite"),
    "infinity inside a map": (msgpack.packb({"a": [math.inf]}), "not_finite"),
    "one level too many": (msgpack.packb(nested(VALUE_DEPTH_MAX + 1)), "too_deep"),
    "two thousand levels": (b"\x91" * 2000 + b"\x01", "malformed"),
    "a list that claims 4 billion elements": (b"\xdd\xff\xff\xff\xff", "malformed"),
    "a list that is too long": (msgpack.packb([0] * (VALUE_ITEMS_MAX + 1)), "malformed"),
    "too many keys": (msgpack.packb({str(n): n for n in range(VALUE_KEYS_MAX + 1)}), "malformed"),
    "a bomb of empty lists": (msgpack.packb([[[]] * 1024] * 5), "too_large"),
    "a bomb of empty maps": (msgpack.packb([[{}] * 1024] * 5), "too_large"),
    "too many bytes": (b"\x01" * (PACKED_BYTES_MAX + 1), "too_large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_with_a_reason(name: str) -> None:
    data, reason = HOSTILE[name]
    with pytest.raises(DecodeError) as caught:
        unpack(data)
    assert caught.value.reason == reason


MISTAKES: dict[str, tuple[Any, str]] = {
    "a number as key": ({1: 2}, "value: key 1"),
    "not a number": ({"a": [1.0, math.nan]}, r"value\.a\[1\]"),
    "an object": ({"a": object()}, r"value\.a: a object"),
    "a set": ([{1}], r"value\[0\]: a set"),
    "a number over 64 bits": (1 << 64, "64 bits"),
    "a number under 64 bits": (-(1 << 63) - 1, "64 bits"),
    "half a surrogate pair": ("\ud800", "UTF-8"),
    "half a surrogate pair as key": ({"\ud800": 1}, "UTF-8"),
    "too deep": (nested(VALUE_DEPTH_MAX + 1), "levels"),
    "too many elements": ([0] * (VALUE_ITEMS_MAX + 1), "1025 elements"),
    "too many keys": ({str(n): n for n in range(VALUE_KEYS_MAX + 1)}, "257 keys"),
    "too long a key": ({"k" * 300: 1}, "300 bytes"),
    "a bomb of empty lists": ([[[]] * 1024] * 5, "lists and maps: allowed"),
    "a bomb of empty maps": ([[{}] * 1024] * 5, "lists and maps: allowed"),
    "too many bytes": (b"x" * (PACKED_BYTES_MAX + 1), "bytes: allowed"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_packing_names_the_part_that_cannot_travel(name: str) -> None:
    value, text = MISTAKES[name]
    with pytest.raises(UsageError, match=text):
        pack(value)


def test_the_deepest_value_that_packs_also_unpacks() -> None:
    assert unpack(pack(nested(VALUE_DEPTH_MAX))) == nested(VALUE_DEPTH_MAX)


def test_tuples_travel_as_lists() -> None:
    assert unpack(pack({"a": (1, 2)})) == {"a": [1, 2]}  # callers do it all the same


@pytest.mark.parametrize("data", [b"\x01", b"\x80", b"\x91\x01"])
def test_a_list_that_is_none_or_too_short_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="malformed"):
        unpack_list(data, 2)


def test_a_longer_list_is_accepted_for_later_versions() -> None:
    assert unpack_list(pack([1, 2, 3]), 2) == [1, 2, 3]
