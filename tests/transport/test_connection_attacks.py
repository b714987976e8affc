"""What a connection does with packets that are repeated, forged, damaged, or against the rules."""

from __future__ import annotations

import pytest

from node.errors import Code
from node.transport.packet import SentPacket
from node.transport.settings import TransportSettings
from node.wire.frames import (
    AckFrame,
    CloseFrame,
    MaxDataFrame,
    MessageFrame,
    WithdrawFrame,
    append_ack,
    append_close,
    append_max_data,
    append_ping,
    append_withdraw,
)
from node.wire.header import pack_data_header
from node.wire.limits import AEAD_FAILURES_MAX
from tests.pair import CLIENT, SERVER, Pair, Side, make_protection
from tests.wire.messages import append_message


@pytest.fixture
def pair() -> Pair:
    connected = Pair()
    connected.connect()
    connected.run(1)
    return connected


def seal(side: Side, payload: bytes) -> bytes:
    """A packet as that side's connection would send it, with frames of our choice."""
    connection = side.connection
    protection = connection._protection
    assert protection is not None
    # Otherwise the acknowledgement of this packet would look like a lie of the other side.
    connection.sending.recovery.on_sent(SentPacket(protection.next_number, side.now, 0, is_ack_eliciting=False))
    return protection.seal(payload)


def inject(pair: Pair, payload: bytes) -> None:
    """The client sends the server frames that it never would."""
    pair.world.inject(CLIENT, SERVER, seal(pair.client, payload))


def closed_with(pair: Pair, payload: bytes) -> Code:
    inject(pair, payload)
    pair.run(1)
    event = pair.server.closed()
    assert event is not None
    assert not event.by_peer
    at_peer = pair.client.closed()
    assert at_peer is not None
    assert at_peer.by_peer
    assert at_peer.code is event.code
    return event.code


# --- replay and forgery


@pytest.mark.must("M4")
def test_replayed_packets_are_counted_and_change_nothing(pair: Pair) -> None:
    buffer = bytearray()
    append_message(buffer, MessageFrame(0, 4, 0, b"once"))
    packet = seal(pair.client, bytes(buffer))
    for _ in range(5):
        pair.world.inject(CLIENT, SERVER, packet)
        pair.run(0.1)
    assert pair.server.received() == [b"once"]
    assert pair.server.endpoint.stats.packets_dropped["replayed"] == 4


@pytest.mark.must("M2")
def test_every_flipped_bit_of_a_packet_is_noticed(pair: Pair) -> None:
    buffer = bytearray()
    append_ping(buffer)
    packet = bytearray(seal(pair.client, bytes(buffer)))
    before = pair.server.snapshot.stats.packets_received
    for bit in range(len(packet) * 8):
        packet[bit // 8] ^= 1 << bit % 8
        pair.world.inject(CLIENT, SERVER, bytes(packet))
        packet[bit // 8] ^= 1 << bit % 8
    pair.run(1)
    assert pair.server.snapshot.stats.packets_received == before
    assert sum(pair.server.endpoint.stats.packets_dropped.values()) == len(packet) * 8
    pair.world.inject(CLIENT, SERVER, bytes(packet))
    pair.run(1)
    assert pair.server.snapshot.stats.packets_received == before + 1


def test_packet_sealed_with_another_key_is_dropped(pair: Pair) -> None:
    forger = make_protection(bytes(32), bytes(32), pair.server.connection.origin.local_id)
    forger.next_number = 1_000
    pair.world.inject(CLIENT, SERVER, forger.seal(b"\x01"))
    pair.run(1)
    assert pair.server.endpoint.stats.packets_dropped["decrypt_failed"] == 1
    assert pair.server.closed() is None


# --- violations


@pytest.mark.must("M34")
def test_ack_of_unsent_packet_closes_the_connection(pair: Pair) -> None:
    buffer = bytearray()
    append_ack(buffer, AckFrame(((900, 900),), 0))
    assert closed_with(pair, bytes(buffer)) is Code.ACK_OF_UNSENT


@pytest.mark.must("M33")
def test_frames_that_are_none_close_the_connection(pair: Pair) -> None:
    assert closed_with(pair, b"\x3f") is Code.FRAME_ENCODING


@pytest.mark.must("M33")
def test_a_packet_without_a_frame_closes_the_connection(pair: Pair) -> None:
    assert closed_with(pair, b"") is Code.FRAME_ENCODING


@pytest.mark.must("M43")
def test_more_data_than_the_credit_closes_the_connection() -> None:
    pair = Pair(client_settings=TransportSettings(initial_window=20_000, mtu=9000, mss=9000))
    pair.connect()
    buffer = bytearray()
    for number in range(3):
        append_message(buffer, MessageFrame(number, 8_000, 0, bytes(8_000)))
    inject(pair, bytes(buffer))
    pair.run(1)
    event = pair.server.closed()
    assert event is not None
    assert event.code is Code.FLOW_CONTROL


def test_withdrawal_that_lies_closes_the_connection(pair: Pair) -> None:
    buffer = bytearray()
    append_message(buffer, MessageFrame(0, 5_000, 0, bytes(1_000)))
    append_withdraw(buffer, WithdrawFrame(0, 10))
    assert closed_with(pair, bytes(buffer)) is Code.PROTOCOL_VIOLATION


@pytest.mark.must("M44")
def test_limit_that_shrinks_is_ignored(pair: Pair) -> None:
    buffer = bytearray()
    append_max_data(buffer, MaxDataFrame(0))
    inject(pair, bytes(buffer))
    pair.server.send(bytes(10_000))
    pair.run(1)
    assert pair.client.received() == [bytes(10_000)]


@pytest.mark.must("M37")
def test_unknown_close_codes_of_newer_peers_are_taken_as_application_codes(pair: Pair) -> None:
    buffer = bytearray()
    append_close(buffer, CloseFrame(4_000, "from the future"))
    inject(pair, bytes(buffer))
    pair.run(1)
    closed = pair.server.closed()
    assert closed is not None
    assert (closed.code, closed.reason, closed.by_peer) == (Code.APPLICATION, "from the future", True)


@pytest.mark.must("M6")
def test_millions_of_forged_packets_do_not_end_a_connection(pair: Pair) -> None:
    protection = pair.server.connection._protection
    assert protection is not None
    # As many as somebody on the path can write in an hour.
    protection.aead_failures = 1 << 32
    data = pack_data_header(pair.server.connection.origin.local_id, 1 << 20, 0) + bytes(40)
    for _ in range(10):
        pair.world.inject(CLIENT, SERVER, data)
    pair.run(0.1)
    assert protection.aead_failures == (1 << 32) + 10
    pair.client.send(b"and it goes on")
    pair.run(1)
    assert pair.server.received()[-1] == b"and it goes on"
    protection.aead_failures = AEAD_FAILURES_MAX
    pair.world.inject(CLIENT, SERVER, data)
    pair.run(0.1)
    end = pair.server.closed()
    assert end is not None
    assert end.code is Code.KEY_EXHAUSTED
