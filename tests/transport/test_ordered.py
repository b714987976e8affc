"""Ordered messages that wait for an earlier one of their channel: they hold up nobody else, and nobody is cut."""

from __future__ import annotations

import pytest

from node.errors import QueueFull
from node.impairment.link import LinkSettings
from node.transport.events import Delivery
from node.transport.flow_control import ReceiveCredit
from node.transport.fragments import SendQueue
from node.transport.packet import Message, Priority
from node.transport.pool import NoRoom, ReassemblyPool
from node.transport.reassembly import Reassembly
from node.transport.settings import TransportSettings
from node.types import MILLISECOND
from node.wire.frames import MessageFrame
from node.wire.limits import REASSEMBLY_MESSAGES_MAX
from tests.pair import Pair, Side

DELAY = 100 * MILLISECOND


def push(side: Side, data: bytes, priority: Priority = Priority.OWN, channel: int = 0) -> None:
    assert side.handle is not None
    side.endpoint.send(side.handle, Message(data, Delivery.ORDERED, None, channel, priority), side.now)


def make_queue() -> SendQueue:
    queue = SendQueue()
    queue.open_credit(1 << 40)
    return queue


def ordered(number: int, sequence: int, size: int = 1, offset: int = 0, total: int | None = None) -> MessageFrame:
    return MessageFrame(number, size if total is None else total, offset, bytes(size), 0, sequence)


# --- credit


@pytest.mark.must("M38")
@pytest.mark.parametrize("window", [2_800, 65_535])
@pytest.mark.parametrize("size", [100, 1_000, 400_000])
def test_what_urgent_messages_of_a_channel_wait_for_gets_through(window: int, size: int) -> None:
    settings = TransportSettings(initial_window=window)
    pair = Pair(link=LinkSettings(delay=MILLISECOND), client_settings=settings)
    pair.connect()
    push(pair.client, bytes(size), Priority.BULK)
    for _ in range(400):
        push(pair.client, bytes(1_000), Priority.CONTROL)
    pair.client.drain()
    assert pair.run_until(lambda: len(pair.server.received()) == 401, 30)


# --- priorities


@pytest.mark.must("M46")
def test_what_an_urgent_message_has_to_wait_for_is_as_urgent() -> None:
    queue = make_queue()
    for number, (channel, priority) in enumerate(
        [(7, Priority.BULK), (3, Priority.BULK), (3, Priority.RELAY), (3, Priority.CONTROL), (3, Priority.BULK)]
    ):
        queue.push(number, Message(b"m", Delivery.ORDERED, None, channel, priority))
    order = []
    while (part := queue.next_part(1_000)) is not None:
        order.append(part.message.message_id)
    # The one behind the urgent one waits for its turn, as does the other channel.
    assert order == [1, 2, 3, 0, 4]


@pytest.mark.must("M46")
def test_lost_parts_and_those_under_way_of_such_a_message_are_as_urgent() -> None:
    queue = make_queue()
    queue.push(0, Message(bytes(3_000), Delivery.ORDERED, None, 3, Priority.BULK))
    lost, flying = queue.next_part(1_000), queue.next_part(1_000)
    assert lost is not None
    assert flying is not None
    queue.on_lost(lost, "reordering")
    queue.push(1, Message(bytes(3_000), Delivery.RELIABLE, priority=Priority.OWN))
    queue.push(2, Message(b"urgent", Delivery.ORDERED, None, 3, Priority.CONTROL))
    queue.on_lost(flying, "reordering")
    order = []
    while (part := queue.next_part(1_000)) is not None:
        order.append((part.message.message_id, part.cause))
    assert [number for number, _ in order[:4]] == [0, 0, 0, 0]
    assert next(number for number, _ in order if number != 0) == 2
    assert {number for number, _ in order} == {0, 1, 2}


# --- number


@pytest.mark.must("M38")
def test_no_more_ordered_messages_are_under_way_than_may_wait_at_the_peer() -> None:
    queue = make_queue()
    parts = []
    for number in range(REASSEMBLY_MESSAGES_MAX + 10):
        # What was acknowledged leaves the queue, though the peer can deliver nothing before the first.
        queue.push(number, Message(b"m", Delivery.ORDERED))
        part = queue.next_part(1_000)
        if number < REASSEMBLY_MESSAGES_MAX:
            assert part is not None
            parts.append(part)
            if number:
                queue.on_acked(part)
        else:
            assert part is None
            assert not queue.has_sendable()
    queue.on_lost(parts[0], "reordering")
    first = queue.next_part(1_000)
    assert first is not None
    assert first.message is parts[0].message
    queue.on_acked(first)
    assert queue.has_sendable()


@pytest.mark.must("M80")
def test_what_a_channel_waits_for_needs_no_memory() -> None:
    pool = ReassemblyPool(100)
    reassembly = Reassembly(ReceiveCredit(1 << 30), pool)
    assert reassembly.receive(ordered(1, 1, size=100)) == []
    with pytest.raises(NoRoom):
        reassembly.receive(ordered(2, 2, size=100))
    assert reassembly.receive(ordered(0, 0, size=100)) == [bytes(100), bytes(100)]
    assert pool.used == reassembly.bytes_taken == 0


@pytest.mark.must("M38")
def test_many_small_messages_behind_a_lost_one_end_no_connection() -> None:
    pair = Pair(link=LinkSettings(delay=DELAY, loss=0.2), seed=3)
    pair.connect(20)
    sent = 0
    while sent < 30_000:
        try:
            push(pair.client, sent.to_bytes(4, "big"))
            sent += 1
        except QueueFull:
            pair.client.drain()
            pair.run(0.1)
            assert pair.client.closed() is None
    pair.client.drain()
    assert pair.run_until(lambda: len(pair.server.received()) == sent, 120)
    assert pair.server.received() == [number.to_bytes(4, "big") for number in range(sent)]
