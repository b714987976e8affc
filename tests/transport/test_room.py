"""What a full send queue still takes, and what the peer's reassembly makes of that."""

from __future__ import annotations

import pytest

from node.errors import QueueFull
from node.transport.events import Delivery
from node.transport.fragments import SendQueue
from node.transport.packet import Message, Priority
from node.transport.room import check_room
from node.transport.stream_outbox import StreamOutbox
from node.wire.limits import (
    CONTROL_RESERVE_BYTES,
    CONTROL_RESERVE_MESSAGES,
    REASSEMBLY_BYTES_MAX,
    REASSEMBLY_MESSAGES_MAX,
    SEND_QUEUE_BYTES_MAX,
    SEND_QUEUE_MESSAGES_MAX,
)
from tests.transport.queues import frame_of, make_queue, make_reassembly, take_all


def message(size: int, priority: Priority) -> Message:
    return Message(bytes(size), Delivery.RELIABLE, priority=priority)


def fill(queue: SendQueue | StreamOutbox, size: int, priority: Priority, begin: int = 0) -> int:
    """Messages that it took."""
    number = begin
    while True:
        try:
            queue.push(number, message(size, priority))
        except QueueFull:
            return number - begin
        number += 1


@pytest.mark.must("M86")
@pytest.mark.parametrize("make", [make_queue, StreamOutbox])
@pytest.mark.parametrize("priority", [Priority.OWN, Priority.RELAY, Priority.BULK])
@pytest.mark.parametrize("size", [0, 1_000, 1 << 20])
def test_a_queue_full_of_others_takes_control_messages(
    make: type[SendQueue] | type[StreamOutbox], priority: Priority, size: int
) -> None:
    queue = make()
    count = fill(queue, size, priority)

    taken = fill(queue, 512, Priority.CONTROL, begin=count)

    assert taken >= min(CONTROL_RESERVE_MESSAGES, CONTROL_RESERVE_BYTES // 512)


@pytest.mark.must("M86")
@pytest.mark.parametrize("size", [160, 1_400, 70_000])
def test_the_peer_can_hold_a_full_queue_of_which_each_message_lacks_a_part(size: int) -> None:
    queue = make_queue()
    count = fill(queue, size, Priority.BULK)
    fill(queue, 1_000, Priority.CONTROL, begin=count)
    reassembly = make_reassembly()

    parts = [frame_of(part, 256) for part in take_all(queue, 256)]
    for frame in parts:
        if frame.offset or len(frame.data) == frame.total:
            reassembly.receive(frame)

    assert reassembly.bytes_announced <= SEND_QUEUE_BYTES_MAX + CONTROL_RESERVE_BYTES
    assert sum(len(reassembly.receive(frame)) for frame in parts if not frame.offset) > 0


def test_what_may_be_outstanding_fits_what_a_peer_holds() -> None:
    assert SEND_QUEUE_BYTES_MAX + CONTROL_RESERVE_BYTES <= REASSEMBLY_BYTES_MAX
    assert SEND_QUEUE_MESSAGES_MAX <= REASSEMBLY_MESSAGES_MAX


def test_the_error_names_what_is_allowed() -> None:
    with pytest.raises(QueueFull, match=r"4096 messages of 100 bytes .* 4096 of 1262144 bytes"):
        check_room(message(1, Priority.CONTROL), 4096, 100, 1_000_000)
    with pytest.raises(QueueFull, match="3840 of 100 bytes"):
        check_room(message(1, Priority.OWN), 0, 100, 100)
