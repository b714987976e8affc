"""The keys of a connection: numbers, the envelope, and what is refused."""

from __future__ import annotations

import pytest

from node.errors import DecodeError
from node.transport.protection import Protection
from node.types import ConnectionId
from node.wire.header import PacketType, parse_header
from node.wire.limits import HEADER_BYTES, PACKET_NUMBER_MAX, TAG_BYTES

ONE, OTHER = bytes([1]) * 32, bytes([2]) * 32


def make_both() -> tuple[Protection, Protection]:
    return Protection(ONE, OTHER, ConnectionId(7)), Protection(OTHER, ONE, ConnectionId(8))


def test_what_one_end_seals_the_other_opens() -> None:
    client, server = make_both()
    packet = client.seal(b"frames")
    header = parse_header(packet)
    assert header.packet_type is PacketType.DATA
    assert header.destination == 7
    assert server.open(header.packet_number, packet) == b"frames"
    assert len(packet) == HEADER_BYTES + len(b"frames") + TAG_BYTES


def test_every_packet_has_another_number() -> None:
    client, _ = make_both()
    assert [parse_header(client.seal(b"")).packet_number for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("index", [0, 5, HEADER_BYTES, -1])
def test_a_packet_changed_anywhere_is_refused_and_counted(index: int) -> None:
    client, server = make_both()
    packet = bytearray(client.seal(b"frames"))
    packet[index] ^= 1
    with pytest.raises(DecodeError) as caught:
        server.open(0, bytes(packet))
    assert caught.value.reason == "decrypt_failed"
    assert server.aead_failures == 1


def test_own_packets_are_not_opened() -> None:
    client, _ = make_both()
    with pytest.raises(DecodeError):
        client.open(0, client.seal(b"frames"))


def test_keys_are_exhausted_with_their_numbers() -> None:
    client, _ = make_both()
    client.next_number = PACKET_NUMBER_MAX - 1
    assert not client.is_exhausted
    client.seal(b"")
    assert client.is_exhausted
