"""The sending half: when a packet is built, and what its fate does to the messages in it."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest

from node.transport.ack import AckTracker
from node.transport.events import Delivery, Event, MessageAcknowledged, MessageFailed
from node.transport.packet import Message
from node.transport.sending import Sending
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, ConnectionId, Instant
from node.wire.frames import AckFrame, CloseFrame, parse_frames
from node.wire.parameters import Parameters
from tests.pair import make_protection

KEY, OTHER_KEY = bytes([1]) * 32, bytes([2]) * 32
PEER = Parameters(
    connection_id=ConnectionId(7), max_data=1 << 20, max_ack_delay=10 * MILLISECOND, max_datagram=1400, dial_number=0
)
HANDLE = 5


class Half:
    """A sending half without its connection, and the peer's keys to look into its packets."""

    def __init__(self, settings: TransportSettings | None = None, peer: Parameters = PEER) -> None:
        settings = settings or TransportSettings()
        self.events: deque[Event] = deque()
        self.acks = AckTracker(settings.max_ack_delay)
        self.sending = Sending(HANDLE, settings, self.acks, self.events)
        self.sending.start(make_protection(KEY, OTHER_KEY, peer.connection_id), peer, 1_472, Random(1).randbytes)
        self.peer = make_protection(OTHER_KEY, KEY, 8)

    def push(self, data: bytes, message_id: int = 0, deadline: Instant | None = None) -> None:
        self.sending.outbox.push(message_id, Message(data, Delivery.RELIABLE, deadline))

    def packets(self, now: Instant) -> list[bytes]:
        """Every packet that may leave now."""
        packets = []
        while (packet := self.sending.next_packet(now)) is not None:
            packets.append(bytes(packet))
        return packets


def test_nothing_to_say_makes_no_packet() -> None:
    assert Half().packets(0) == []


def test_a_message_leaves_in_one_packet_and_its_acknowledgement_is_an_event() -> None:
    half = Half()
    half.push(b"hello", message_id=3)
    (packet,) = half.packets(SECOND)
    assert b"hello" in half.peer.open(0, packet, 0)
    half.sending.on_ack(AckFrame(((0, 0),), 0), SECOND + 20 * MILLISECOND)
    assert list(half.events) == [MessageAcknowledged(connection=HANDLE, message_id=3)]
    assert half.sending.rtt.latest_rtt == 20 * MILLISECOND


def lossy() -> Half:
    """A half with a round trip of 20 ms that has seen packet 0 lost."""
    half = Half()
    for number in range(5):
        half.push(bytes([number]), message_id=number)
        assert len(half.packets(0)) == 1
    half.sending.on_ack(AckFrame(((1, 4),), 0), 20 * MILLISECOND)
    half.packets(20 * MILLISECOND)
    half.sending.on_ack(AckFrame(((1, 5),), 0), 40 * MILLISECOND)
    # So that the round trip is sure.
    for number in range(6, 30):
        half.push(bytes([number]), message_id=number)
        half.packets(number * 20 * MILLISECOND)
        half.sending.on_ack(AckFrame(((1, number),), 0), (number + 1) * 20 * MILLISECOND)
    assert not half.sending.recovery.bytes_in_flight
    return half


def test_where_the_path_loses_a_small_message_is_sent_again_when_its_answer_is_overdue() -> None:
    half = lossy()
    half.push(b"hello", message_id=30)
    half.packets(SECOND)
    due = half.sending.next_timeout()
    assert due is not None
    assert SECOND + 20 * MILLISECOND < due < SECOND + half.sending.rtt.computed_rto()
    assert half.sending.handle_timeout(due)
    (packet,) = half.packets(due)
    assert b"hello" in half.peer.open(31, packet, due)
    assert half.sending.stats.packets_retransmitted["probe"] == 1
    # Once; then the probes of every path have their turn.
    assert half.sending.next_timeout() == due + half.sending.rtt.computed_rto()


@pytest.mark.must("M58")
def test_what_is_overdue_keeps_to_the_window() -> None:
    half = lossy()
    half.push(b"hello", message_id=30)
    half.packets(SECOND)
    half.sending.controller.congestion_window = half.sending.recovery.bytes_in_flight
    due = half.sending.next_timeout()
    assert due is not None
    half.sending.handle_timeout(due)
    assert not half.packets(due)


@pytest.mark.must("M54")
def test_where_the_path_loses_nothing_only_the_computed_rto_asks_again() -> None:
    half = Half()
    half.push(b"hello")
    half.packets(0)
    assert half.sending.next_timeout() == half.sending.rtt.computed_rto()


@pytest.mark.must("M58")
def test_the_congestion_window_holds_packets_back() -> None:
    half = Half()
    half.push(bytes(1 << 20))
    sent = sum(map(len, half.packets(0)))
    window = half.sending.controller.congestion_window
    assert window - half.sending.packet_bytes < sent <= window


def test_a_window_smaller_than_a_packet_still_lets_one_go() -> None:
    half = Half(TransportSettings(congestion="newreno"))
    half.push(b"first")
    half.packets(0)
    half.sending.on_ack(AckFrame(((0, 0),), 0), 20 * MILLISECOND)
    half.push(b"second", message_id=1)
    half.sending.controller.congestion_window = half.sending.packet_bytes - 1
    assert len(half.packets(SECOND)) == 1


@pytest.mark.must("M58")
def test_an_acknowledgement_leaves_though_the_window_is_full() -> None:
    half = Half()
    half.push(bytes(1 << 20))
    count = len(half.packets(0))
    half.acks.on_received(0, is_ack_eliciting=True, now=0)
    (packet,) = half.packets(0)
    (frame,) = parse_frames(half.peer.open(count, packet, 0))
    assert frame == AckFrame(((0, 0),), 0)


def test_the_smaller_of_both_packet_sizes_is_used() -> None:
    peer = Parameters(
        connection_id=ConnectionId(7), max_data=1 << 20, max_ack_delay=0, max_datagram=1200, dial_number=0
    )
    half = Half(TransportSettings(mtu=1400), peer)
    half.push(bytes(5_000))
    assert max(map(len, half.packets(0))) == half.sending.packet_bytes == 1200


def test_silence_brings_probes_and_at_last_the_end() -> None:
    half = Half(TransportSettings(min_rto=25 * MILLISECOND, max_retries=1))
    half.push(b"hello")
    half.packets(0)
    counts = []
    for _ in range(10):
        due = half.sending.next_timeout()
        assert due is not None
        if not half.sending.handle_timeout(due):
            break
        counts.append(len(half.packets(due)))
    assert counts == [2, 2, 2]
    assert half.sending.stats.probes == 2
    assert half.sending.stats.rto_expirations == 2


def test_a_message_past_its_deadline_is_withdrawn() -> None:
    half = Half()
    half.push(b"late", message_id=9, deadline=MILLISECOND)
    half.packets(0)
    assert half.sending.handle_timeout(MILLISECOND)
    assert list(half.events) == [MessageFailed(connection=HANDLE, message_id=9, expired=True)]


def test_the_last_packet_ends_with_the_close() -> None:
    half = Half()
    frame = CloseFrame(1, "enough")
    assert parse_frames(half.peer.open(0, half.sending.close_packet(frame, 0), 0))[-1] == frame
