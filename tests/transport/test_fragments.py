"""Messages are cut into parts that fit, within the credit, and a part is sent again until it is known to be there."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import MessageTooLarge, QueueFull, UsageError
from node.transport.events import Delivery
from node.transport.fragments import SendQueue
from node.transport.packet import Message, Priority
from node.types import SECOND
from node.wire.frames import MaxDataFrame, WithdrawFrame
from node.wire.limits import (
    CHANNELS_MAX,
    CONTROL_RESERVE_MESSAGES,
    MESSAGE_BYTES_MAX,
    SEND_QUEUE_BYTES_MAX,
    SEND_QUEUE_MESSAGES_MAX,
    STARVATION_BYTES_MAX,
)
from tests.transport.queues import SPACE, frame_of, make_queue, push, push_ordered, take_all

# --- sending


@pytest.mark.parametrize("size", [0, 1, 255, 256, SPACE - 6, SPACE, 10_000, MESSAGE_BYTES_MAX])
def test_parts_of_a_message_cover_it_once_and_in_order(size: int) -> None:
    queue = make_queue()
    data = Random(size).randbytes(size)
    push(queue, 0, data)
    parts = take_all(queue)
    assert b"".join(frame_of(part).data for part in parts) == data
    assert [part.offset for part in parts] == [sum(part.size for part in parts[:index]) for index in range(len(parts))]


@given(st.integers(40, 9_000), st.lists(st.integers(0, 5_000), min_size=1, max_size=10))
def test_every_part_fits_the_space_it_was_cut_for(space: int, sizes: list[int]) -> None:
    queue = make_queue()
    for number, size in enumerate(sizes):
        push(queue, number, bytes(size))
    for part in take_all(queue, space):
        frame_of(part, space)


def test_small_messages_share_what_is_left_of_a_packet() -> None:
    queue = make_queue()
    for number in range(20):
        push(queue, number, bytes(100))
    space, taken = SPACE, 0
    while (part := queue.next_part(space)) is not None:
        buffer = bytearray()
        part.append_to(buffer)
        space -= len(buffer)
        taken += 1
    assert taken == 13


def test_a_message_is_not_cut_for_a_few_bytes() -> None:
    queue = make_queue()
    push(queue, 0, bytes(5_000))
    assert queue.next_part(100) is None
    assert queue.next_part(SPACE) is not None


@pytest.mark.must("M43")
def test_credit_ends_the_sending_to_the_byte() -> None:
    queue = make_queue(limit=2_000)
    push(queue, 0, bytes(5_000))
    assert sum(part.size for part in take_all(queue)) == 2_000
    assert not queue.has_sendable()
    assert queue.raise_limit(MaxDataFrame(5_000))
    assert queue.has_sendable()
    assert sum(part.size for part in take_all(queue)) == 3_000


def test_empty_messages_need_no_credit() -> None:
    queue = make_queue(limit=0)
    push(queue, 0, b"")
    assert queue.has_sendable()
    assert len(take_all(queue)) == 1


def test_lost_parts_go_first_and_need_no_credit() -> None:
    queue = make_queue(limit=2_000)
    push(queue, 0, bytes(5_000))
    first, *_ = take_all(queue)
    queue.on_lost(first, "reordering")
    again = queue.next_part(SPACE)
    assert again is not None
    assert (again.offset, again.size, again.cause) == (first.offset, first.size, "reordering")


@pytest.mark.must("M42")
def test_a_lost_part_is_cut_again_where_less_fits() -> None:
    queue = make_queue()
    push(queue, 0, bytes(1_300))
    (part,) = take_all(queue)
    queue.on_lost(part, "timeout")
    pieces = take_all(queue, 500)
    assert [piece.offset for piece in pieces] == [0, pieces[0].size, pieces[0].size + pieces[1].size]
    assert sum(piece.size for piece in pieces) == 1_300
    for piece in pieces:
        frame_of(piece, 500)


def test_what_was_acknowledged_meanwhile_is_not_sent_again() -> None:
    queue = make_queue()
    push(queue, 0, bytes(3_000))
    first, *rest = take_all(queue)
    queue.on_lost(first, "timeout")
    queue.on_acked(first)
    assert not queue.has_sendable()
    queue.on_lost(rest[0], "timeout")
    assert queue.has_sendable()


def test_a_message_is_complete_when_its_last_part_is_acknowledged_and_only_once() -> None:
    queue = make_queue()
    push(queue, 7, bytes(3_000))
    *others, last = take_all(queue)
    assert [queue.on_acked(part) for part in others] == [None] * len(others)
    complete = queue.on_acked(last)
    assert complete is not None
    assert complete.message_id == 7
    assert queue.on_acked(last) is None
    assert queue.bytes_queued == 0
    assert queue.messages == {}


@pytest.mark.must("M49")
def test_messages_over_the_limit_are_refused_with_both_sizes() -> None:
    queue = make_queue()
    with pytest.raises(MessageTooLarge, match=f"{MESSAGE_BYTES_MAX + 1}.*{MESSAGE_BYTES_MAX}"):
        push(queue, 0, bytes(MESSAGE_BYTES_MAX + 1))


def test_queue_is_bounded_in_bytes_and_in_messages() -> None:
    queue = make_queue()
    for number in range(SEND_QUEUE_BYTES_MAX // MESSAGE_BYTES_MAX):
        push(queue, number, bytes(MESSAGE_BYTES_MAX))
    with pytest.raises(QueueFull):
        push(queue, 99, b"x")
    queue = make_queue()
    for number in range(SEND_QUEUE_MESSAGES_MAX - CONTROL_RESERVE_MESSAGES):
        push(queue, number, b"")
    with pytest.raises(QueueFull):
        push(queue, SEND_QUEUE_MESSAGES_MAX, b"")


def test_ordered_messages_cannot_have_a_deadline_and_channels_are_bounded() -> None:
    queue = make_queue()
    with pytest.raises(UsageError, match="deadline"):
        queue.push(0, Message(b"x", Delivery.ORDERED, SECOND))
    for channel in range(CHANNELS_MAX):
        push_ordered(queue, channel, b"x", channel)
    with pytest.raises(UsageError, match="channel"):
        push_ordered(queue, CHANNELS_MAX, b"x", CHANNELS_MAX)
    assert len(queue.messages) == CHANNELS_MAX


# --- deadlines


def test_a_message_that_was_never_sent_is_withdrawn_without_a_trace() -> None:
    queue = make_queue()
    push(queue, 0, b"late", deadline=5)
    ((message, frame),) = queue.expire(5)
    assert message.message_id == 0
    assert frame is None
    push(queue, 1, b"next")
    (part,) = take_all(queue)
    assert frame_of(part).message_id == 0, "the wire must not show a gap"


def test_a_message_that_was_partly_sent_is_withdrawn_with_what_it_used() -> None:
    queue = make_queue(limit=2_000)
    push(queue, 0, bytes(5_000), deadline=5)
    parts = take_all(queue)
    assert queue.expire(4) == []
    ((_, frame),) = queue.expire(5)
    assert frame == WithdrawFrame(0, 2_000)
    queue.on_lost(parts[0], "timeout")
    assert not queue.has_sendable()
    assert queue.on_acked(parts[0]) is None
    assert queue.bytes_queued == 0


def test_the_next_deadline_is_that_of_a_message_still_waiting() -> None:
    queue = make_queue()
    push(queue, 0, b"a", deadline=5)
    push(queue, 1, b"b", deadline=9)
    push(queue, 2, b"c")
    queue.on_acked(take_all(queue)[0])
    assert queue.next_deadline() == 9
    assert [message.message_id for message, _ in queue.expire(100)] == [1]
    assert queue.next_deadline() is None


# --- priorities


def push_with(queue: SendQueue, number: int, size: int, priority: Priority) -> None:
    queue.push(number, Message(bytes(size), Delivery.RELIABLE, priority=priority))


@pytest.mark.must("M46")
def test_more_urgent_messages_go_first_and_equal_ones_in_order() -> None:
    queue = make_queue()
    for number, priority in enumerate((Priority.BULK, Priority.RELAY, Priority.OWN, Priority.CONTROL, Priority.OWN)):
        push_with(queue, number, 100, priority)
    assert [part.message.message_id for part in take_all(queue)] == [3, 2, 4, 1, 0]


@pytest.mark.must("M46")
def test_an_urgent_message_interrupts_a_large_one() -> None:
    queue = make_queue()
    push_with(queue, 1, 10_000, Priority.BULK)
    assert queue.next_part(SPACE) is not None
    push_with(queue, 2, 100, Priority.CONTROL)
    following = [part.message.message_id for part in take_all(queue)]
    assert following[0] == 2
    assert set(following[1:]) == {1}


def test_what_was_lost_keeps_its_priority() -> None:
    queue = make_queue()
    push_with(queue, 1, 1_000, Priority.BULK)
    (part,) = take_all(queue)
    queue.on_lost(part, "reordering")
    push_with(queue, 2, 100, Priority.OWN)
    assert [part.message.message_id for part in take_all(queue)] == [2, 1]


@pytest.mark.must("M46")
def test_nobody_starves() -> None:
    queue = make_queue()
    push_with(queue, 0, 100_000, Priority.BULK)
    for number in range(1, 2_000):
        push_with(queue, number, 1_300, Priority.CONTROL)
    waited = longest = 0
    for _ in range(1_000):
        part = queue.next_part(SPACE)
        assert part is not None
        waited = 0 if part.message.priority is Priority.BULK else waited + part.size
        longest = max(longest, waited)
    assert STARVATION_BYTES_MAX <= longest <= STARVATION_BYTES_MAX + SPACE
