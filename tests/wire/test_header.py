"""The 16 clear bytes in front of every packet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.types import ConnectionId, PacketNumber
from node.wire.header import Header, PacketType, data_header, pack_header, parse_header
from node.wire.limits import HEADER_BYTES, MAGIC, VERSION
from tests.properties import decoded

packet_types = st.sampled_from(PacketType)
identifiers = st.integers(0, (1 << 32) - 1)
numbers = st.integers(0, (1 << 64) - 1)


def reason_of(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        parse_header(data)
    return caught.value.reason


def test_layout_is_the_documented_one() -> None:
    expected = bytes.fromhex("beef 15 00 01020304 05060708090a0b0c")
    assert pack_header(PacketType.DATA, 0x01020304, 0x05060708090A0B0C) == expected


@given(packet_types, identifiers, numbers, st.integers(0, 1), st.binary(max_size=40))
def test_round_trip_whatever_follows(kind: PacketType, destination: int, number: int, phase: int, rest: bytes) -> None:
    if kind is not PacketType.DATA:
        number = phase = 0
    packed = pack_header(kind, destination, number, phase)
    assert len(packed) == HEADER_BYTES
    parsed = parse_header(packed + rest)
    assert parsed == Header(kind, ConnectionId(destination), PacketNumber(number), phase)


@pytest.mark.parametrize("kind", [kind for kind in PacketType if kind is not PacketType.DATA])
def test_only_data_has_a_number_and_a_key_phase(kind: PacketType) -> None:
    assert reason_of(pack_header(kind, 1, 1)) == reason_of(pack_header(kind, 1, 0, 1)) == "malformed"


@given(st.binary(max_size=40))
def test_any_bytes_give_a_header_or_a_decode_error(data: bytes) -> None:
    header = decoded(parse_header, data)
    if header is not None:
        assert data[2] & 0x0F == header.packet_type
        assert data[4:HEADER_BYTES] == pack_header(header.packet_type, header.destination, header.packet_number)[4:]


@given(st.binary(min_size=14, max_size=40))
def test_any_bytes_behind_the_magic_give_a_header_or_a_decode_error(rest: bytes) -> None:
    header = decoded(parse_header, MAGIC.to_bytes(2, "big") + rest)
    assert header is None or isinstance(header, Header)


@pytest.mark.must("M1")
def test_short_datagrams_are_malformed() -> None:
    packed = pack_header(PacketType.DATA, 1, 1)
    assert {reason_of(packed[:length]) for length in range(HEADER_BYTES)} == {"malformed"}


@pytest.mark.must("M1")
def test_another_magic_is_malformed() -> None:
    assert reason_of(b"\xbe\xee" + pack_header(PacketType.DATA, 1, 1)[2:]) == "malformed"


@pytest.mark.parametrize("version", [version for version in range(16) if version != VERSION])
def test_another_version_is_told_apart_from_nonsense(version: int) -> None:
    packed = bytearray(pack_header(PacketType.DATA, 1, 1))
    packed[2] = version << 4 | PacketType.DATA
    assert reason_of(bytes(packed)) == "unsupported_version"


@pytest.mark.parametrize("number", sorted(set(range(16)) - set(PacketType)))
@pytest.mark.must("M1")
def test_unknown_packet_types_are_malformed(number: int) -> None:
    packed = bytearray(pack_header(PacketType.DATA, 1, 1))
    packed[2] = VERSION << 4 | number
    assert reason_of(bytes(packed)) == "malformed"


@pytest.mark.parametrize("bit", range(1, 8))
@pytest.mark.must("M1")
def test_reserved_flags_must_be_zero(bit: int) -> None:
    packed = bytearray(pack_header(PacketType.DATA, 1, 1))
    packed[3] = 1 << bit
    assert reason_of(bytes(packed)) == "malformed"


def test_the_short_way_and_the_long_way_agree_on_data_packets() -> None:
    for phase in (0, 1):
        packet = pack_header(PacketType.DATA, 7, 1 << 40, phase) + b"sealed"
        assert data_header(packet) == (7, 1 << 40)
        assert parse_header(packet) == Header(PacketType.DATA, ConnectionId(7), PacketNumber(1 << 40), phase)


@given(st.binary(max_size=24))
def test_the_short_way_takes_nothing_that_the_long_way_refuses(data: bytes) -> None:
    for candidate in (data, pack_header(PacketType.DATA, 7, 9)[: len(data)] + data[16:], b"\xbe\xef\x15" + data):
        found = data_header(candidate)
        if found is not None:
            header = parse_header(candidate)
            assert (header.packet_type, header.destination, header.packet_number) == (PacketType.DATA, *found)
