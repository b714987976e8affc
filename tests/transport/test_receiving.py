"""The receiving half: frames become events, credit and acknowledgements."""

from __future__ import annotations

from collections import deque

import pytest

from node.errors import DecodeError, ProtocolViolation
from node.transport.ack import AckTracker
from node.transport.events import Delivery, Event, MessageReceived
from node.transport.flow_control import ReceiveCredit
from node.transport.packet import SentPacket
from node.transport.pool import NoRoom, ReassemblyPool
from node.transport.reassembly import Reassembly
from node.transport.receiving import ConnectionFrame, Receiving
from node.transport.sending import Sending
from node.transport.settings import TransportSettings
from node.types import NodeId
from node.wire.frames import (
    AckFrame,
    CloseFrame,
    DatagramFrame,
    MaxDataFrame,
    MessageFrame,
    PathChallengeFrame,
    PathResponseFrame,
    append_ack,
    append_close,
    append_datagram,
    append_max_data,
    append_path,
    append_ping,
)
from tests.wire.messages import append_message

HANDLE = 5
PEER_ID = NodeId(bytes([3]) * 32)
WINDOW = 10_000


class Half:
    """A receiving half without its connection."""

    def __init__(self) -> None:
        settings = TransportSettings()
        self.events: deque[Event] = deque()
        self.acks = AckTracker(settings.max_ack_delay)
        self.sending = Sending(HANDLE, settings, self.acks, self.events)
        self.pool = ReassemblyPool(1 << 30)
        reassembly = Reassembly(ReceiveCredit(WINDOW), self.pool)
        self.receiving = Receiving(HANDLE, PEER_ID, reassembly, self.acks, self.sending, self.events)

    def receive(self, payload: bytes, number: int = 0) -> list[ConnectionFrame]:
        try:
            return self.receiving.receive(number, payload, 0)
        finally:
            self.receiving.grant_credit(0)

    def messages(self) -> list[tuple[bytes, Delivery]]:
        return [(event.data, event.delivery) for event in self.events if isinstance(event, MessageReceived)]


@pytest.fixture
def half() -> Half:
    return Half()


def message(message_id: int, data: bytes, total: int | None = None, offset: int = 0) -> bytes:
    buffer = bytearray()
    append_message(buffer, MessageFrame(message_id, len(data) if total is None else total, offset, data))
    return bytes(buffer)


def test_messages_of_every_class_become_events(half: Half) -> None:
    buffer = bytearray(message(0, b"reliable"))
    append_datagram(buffer, DatagramFrame(b"unreliable"))
    append_message(buffer, MessageFrame(1, 7, 0, b"ordered", channel=2))
    assert half.receive(bytes(buffer)) == []
    assert half.messages() == [
        (b"reliable", Delivery.RELIABLE),
        (b"ordered", Delivery.ORDERED),
        (b"unreliable", Delivery.UNRELIABLE),
    ]
    assert half.sending.stats.messages_received == 3
    channels = [event.channel for event in half.events if isinstance(event, MessageReceived)]
    assert channels == [None, 2, None]


def test_a_message_in_two_packets_is_delivered_once_it_is_whole(half: Half) -> None:
    half.receive(message(0, b"wor", total=5), number=0)
    assert half.messages() == []
    half.receive(message(0, b"ld", total=5, offset=3), number=1)
    assert half.messages() == [(b"world", Delivery.RELIABLE)]


def test_only_what_asks_for_it_is_acknowledged(half: Half) -> None:
    ack, ping = bytearray(), bytearray()
    half.sending.recovery.on_sent(SentPacket(0, 0, 100, is_ack_eliciting=True))
    append_ack(ack, AckFrame(((0, 0),), 0))
    half.receive(bytes(ack), number=0)
    assert half.acks.ack_at is None
    append_ping(ping)
    half.receive(bytes(ping), number=1)
    assert half.acks.ack_at is not None


def test_credit_of_the_peer_is_taken(half: Half) -> None:
    buffer = bytearray()
    append_max_data(buffer, MaxDataFrame(123))
    half.receive(bytes(buffer))
    assert half.sending.outbox.queue.credit.limit == 123


def test_more_credit_is_granted_when_half_of_it_is_used(half: Half) -> None:
    half.receive(message(0, bytes(1_000)), number=0)
    assert not half.sending.outbox.has_eliciting()
    half.receive(message(1, bytes(WINDOW // 2)), number=1)
    assert half.sending.outbox.has_eliciting()


@pytest.mark.must("M39")
def test_a_channel_that_waits_takes_no_credit_from_others(half: Half) -> None:
    buffer = bytearray()
    append_message(buffer, MessageFrame(1, 6_000, 0, bytes(6_000), channel=0, sequence=1))
    half.receive(bytes(buffer))
    assert half.sending.outbox._control == [MaxDataFrame(WINDOW + 6_000)]


@pytest.mark.must("M40")
def test_an_unreliable_message_of_a_packet_that_had_no_room_comes_once(half: Half) -> None:
    buffer = bytearray()
    append_datagram(buffer, DatagramFrame(b"unreliable"))
    append_message(buffer, MessageFrame(0, 100, 0, b"part"))
    half.pool.take(half.pool.size)
    for _ in range(3):
        with pytest.raises(NoRoom):
            half.receive(bytes(buffer))
    half.pool.give(half.pool.size)
    half.receive(bytes(buffer))
    assert half.messages() == [(b"unreliable", Delivery.UNRELIABLE)]


@pytest.mark.must("M38")
def test_a_message_behind_one_without_room_is_taken(half: Half) -> None:
    buffer = bytearray()
    append_message(buffer, MessageFrame(0, 100, 0, b"part"))
    append_message(buffer, MessageFrame(1, 5, 0, b"whole"))
    half.pool.take(half.pool.size)
    with pytest.raises(NoRoom):
        half.receive(bytes(buffer))
    assert half.messages() == [(b"whole", Delivery.RELIABLE)]
    assert half.acks.ack_at is None


def test_more_than_the_credit_is_a_violation(half: Half) -> None:
    with pytest.raises(ProtocolViolation):
        half.receive(message(0, bytes(WINDOW + 1)))


def test_what_concerns_the_connection_is_returned(half: Half) -> None:
    buffer = bytearray()
    append_path(buffer, PathChallengeFrame(b"question"))
    append_path(buffer, PathResponseFrame(b"response"))
    assert half.receive(bytes(buffer)) == [PathChallengeFrame(b"question"), PathResponseFrame(b"response")]


def test_close_is_returned(half: Half) -> None:
    buffer = bytearray(message(0, b"last words"))
    append_close(buffer, CloseFrame(4, "done"))
    assert half.receive(bytes(buffer)) == [CloseFrame(4, "done")]
    assert half.messages() == [(b"last words", Delivery.RELIABLE)]


def test_malformed_frames_are_no_event(half: Half) -> None:
    with pytest.raises(DecodeError):
        half.receive(b"\xff")
    assert not half.events
