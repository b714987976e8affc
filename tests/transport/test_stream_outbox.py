"""The send queue of one TCP link."""

from __future__ import annotations

import pytest

from node.errors import Code, ProtocolViolation
from node.transport.events import Delivery
from node.transport.packet import Message
from node.transport.stream_outbox import StreamOutbox
from node.transport.stream_records import PART_BYTES_MAX, MessageRecord, parse_record


@pytest.fixture
def outbox() -> StreamOutbox:
    return StreamOutbox()


def reliable(data: bytes, deadline: int | None = None) -> Message:
    return Message(data, Delivery.RELIABLE, deadline)


def parts(outbox: StreamOutbox) -> list[MessageRecord]:
    found = []
    while outbox.has_parts():
        record = parse_record(outbox.next_part())
        assert isinstance(record, MessageRecord)
        found.append(record)
    return found


def test_a_large_message_is_cut_into_full_records(outbox: StreamOutbox) -> None:
    outbox.push(0, reliable(bytes(2 * PART_BYTES_MAX + 5)))
    cut = parts(outbox)
    assert [(len(part.data), part.is_last) for part in cut] == [
        (PART_BYTES_MAX, False),
        (PART_BYTES_MAX, False),
        (5, True),
    ]


def test_a_count_acknowledges_the_oldest_messages(outbox: StreamOutbox) -> None:
    for number in range(3):
        outbox.push(number, reliable(b"abc"))
    parts(outbox)
    assert outbox.on_ack(2) == [0, 1]
    assert (outbox.unfinished(), outbox.bytes_queued, len(outbox)) == ([2], 3, 1)


def test_a_count_that_falls_or_leads_is_a_violation(outbox: StreamOutbox) -> None:
    outbox.push(0, reliable(b"abc"))
    parts(outbox)
    outbox.on_ack(1)
    for impossible in (0, 2):
        with pytest.raises(ProtocolViolation) as caught:
            outbox.on_ack(impossible)
        assert caught.value.code is Code.ACK_OF_UNSENT


def test_bytes_are_counted_until_they_are_acknowledged(outbox: StreamOutbox) -> None:
    outbox.push(0, reliable(bytes(100)))
    parts(outbox)
    assert outbox.bytes_queued == 100
    outbox.on_ack(1)
    assert outbox.bytes_queued == 0


def test_what_was_not_begun_is_withdrawn_at_its_deadline(outbox: StreamOutbox) -> None:
    outbox.push(0, reliable(b"late", 10))
    outbox.push(1, reliable(b"later", 20))
    assert outbox.next_deadline() == 10
    assert outbox.expire(10) == [0]
    assert [part.data for part in parts(outbox)] == [b"later"]
    assert outbox.bytes_queued == 5


def test_what_was_begun_is_finished_but_no_longer_reported(outbox: StreamOutbox) -> None:
    outbox.push(0, reliable(bytes(PART_BYTES_MAX + 1), 10))
    outbox.next_part()
    assert outbox.expire(10) == [0]
    assert [part.is_last for part in parts(outbox)] == [True]
    assert outbox.on_ack(1) == []
    assert (outbox.bytes_queued, outbox.unfinished()) == (0, [])


def test_deadlines_pass_in_their_own_order(outbox: StreamOutbox) -> None:
    for number, deadline in enumerate((30, 10, 20)):
        outbox.push(number, reliable(b"", deadline))
    assert outbox.expire(20) == [1, 2]
    assert outbox.next_deadline() == 30


def test_an_acknowledged_message_does_not_expire(outbox: StreamOutbox) -> None:
    outbox.push(0, reliable(b"", 10))
    parts(outbox)
    outbox.on_ack(1)
    assert outbox.expire(10) == []


def test_an_unreliable_message_is_forgotten_when_it_is_acknowledged(outbox: StreamOutbox) -> None:
    outbox.push(0, Message(b"x", Delivery.UNRELIABLE))
    parts(outbox)
    assert outbox.unfinished() == []
    assert outbox.on_ack(1) == []
    assert outbox.bytes_queued == 0
