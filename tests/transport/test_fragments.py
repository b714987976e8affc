"""Messages cut into parts arrive whole and once, whatever happens to the parts."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import Code, MessageTooLarge, ProtocolViolation, QueueFull, UsageError
from node.transport.events import Delivery
from node.transport.flow_control import ReceiveCredit, SendCredit
from node.transport.fragments import Part, Reassembly, SendQueue
from node.transport.packet import Message, Priority
from node.transport.pool import ReassemblyPool
from node.types import SECOND, Instant
from node.wire.frames import MessageFrame, WithdrawFrame, parse_frames
from node.wire.limits import (
    CHANNELS_MAX,
    MESSAGE_BYTES_MAX,
    MESSAGE_ID_RANGES_MAX,
    REASSEMBLY_BYTES_MAX,
    REASSEMBLY_MESSAGES_MAX,
    SEND_QUEUE_BYTES_MAX,
    SEND_QUEUE_MESSAGES_MAX,
    STARVATION_BYTES_MAX,
)

SPACE = 1_368
WINDOW = 65_535


def make_queue(limit: int = 1 << 40) -> SendQueue:
    credit = SendCredit()
    credit.raise_limit(limit)
    return SendQueue(credit)


def push(queue: SendQueue, number: int, data: bytes, deadline: Instant | None = None) -> None:
    queue.push(number, Message(data, Delivery.RELIABLE, deadline))


def push_ordered(queue: SendQueue, number: int, data: bytes, channel: int = 0) -> None:
    queue.push(number, Message(data, Delivery.ORDERED, None, channel))


def take_all(queue: SendQueue, space: int = SPACE) -> list[Part]:
    parts = []
    while (part := queue.next_part(space)) is not None:
        parts.append(part)
    return parts


def frame_of(part: Part, space: int = SPACE) -> MessageFrame:
    """The frame as it comes out of a packet, which it must fit."""
    buffer = bytearray()
    part.append_to(buffer)
    assert len(buffer) <= space
    (frame,) = parse_frames(bytes(buffer))
    assert isinstance(frame, MessageFrame)
    return frame


def whole(number: int, data: bytes, channel: int | None = None, sequence: int = 0) -> MessageFrame:
    return MessageFrame(number, len(data), 0, data, channel, sequence)


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
    queue.credit.raise_limit(5_000)
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
    for number in range(SEND_QUEUE_MESSAGES_MAX):
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


# --- receiving


def make_reassembly(window: int = 1 << 40) -> Reassembly:
    return Reassembly(ReceiveCredit(window), ReassemblyPool(1 << 40))


def violation(reassembly: Reassembly, frame: MessageFrame) -> Code:
    with pytest.raises(ProtocolViolation) as caught:
        reassembly.receive(frame)
    return caught.value.code


def test_parts_in_any_order_with_overlaps_and_repeats_give_the_message_once() -> None:
    reassembly = make_reassembly()
    data = bytes(range(100))
    got = []
    for start, end in [(50, 80), (0, 30), (0, 30), (20, 60), (79, 100), (10, 90)]:
        got += reassembly.receive(MessageFrame(0, 100, start, data[start:end]))
    assert got == [data]
    assert reassembly.receive(whole(0, data)) == []


def test_whole_message_supersedes_its_parts() -> None:
    reassembly = make_reassembly()
    data = bytes(range(100))
    reassembly.receive(MessageFrame(0, 100, 0, data[:50]))
    assert reassembly.receive(whole(0, data)) == [data]
    assert reassembly.bytes_announced == 0


@pytest.mark.parametrize("other", [(101, None, 0), (100, 1, 0), (100, None, 3)])
@pytest.mark.must("M36")
def test_a_part_that_contradicts_an_earlier_one_breaks_the_protocol(other: tuple[int, int | None, int]) -> None:
    reassembly = make_reassembly()
    reassembly.receive(MessageFrame(0, 100, 0, bytes(50)))
    total, channel, sequence = other
    assert violation(reassembly, MessageFrame(0, total, 50, bytes(10), channel, sequence)) is Code.PROTOCOL_VIOLATION


def test_more_bytes_than_the_credit_break_the_protocol() -> None:
    assert violation(make_reassembly(window=99), whole(0, bytes(100))) is Code.FLOW_CONTROL


def test_repeated_bytes_use_up_no_credit() -> None:
    credit = ReceiveCredit(100)
    reassembly = Reassembly(credit, ReassemblyPool(1 << 40))
    for _ in range(10):
        reassembly.receive(MessageFrame(0, 100, 0, bytes(60)))
    reassembly.receive(MessageFrame(0, 100, 40, bytes(60)))


@pytest.mark.must("M35")
def test_memory_that_parts_may_announce_is_bounded() -> None:
    reassembly = make_reassembly()
    for number in range(REASSEMBLY_BYTES_MAX // MESSAGE_BYTES_MAX):
        reassembly.receive(MessageFrame(number, MESSAGE_BYTES_MAX, 0, b"x"))
    assert violation(reassembly, MessageFrame(99, MESSAGE_BYTES_MAX, 0, b"x")) is Code.REASSEMBLY_LIMIT


@pytest.mark.must("M35")
def test_number_of_open_messages_is_bounded() -> None:
    reassembly = make_reassembly()
    for number in range(REASSEMBLY_MESSAGES_MAX):
        reassembly.receive(MessageFrame(number, 2, 0, b"x"))
    assert violation(reassembly, MessageFrame(REASSEMBLY_MESSAGES_MAX, 2, 0, b"x")) is Code.REASSEMBLY_LIMIT


def test_gaps_in_the_message_ids_are_bounded() -> None:
    reassembly = make_reassembly()
    for number in range(MESSAGE_ID_RANGES_MAX):
        reassembly.receive(whole(2 * number, b""))
    assert violation(reassembly, whole(2 * MESSAGE_ID_RANGES_MAX, b"")) is Code.PROTOCOL_VIOLATION


@pytest.mark.must("M39")
def test_ordered_messages_wait_for_the_earlier_ones_of_their_channel_alone() -> None:
    reassembly = make_reassembly()
    assert reassembly.receive(whole(1, b"b", channel=0, sequence=1)) == []
    assert reassembly.receive(whole(5, b"other", channel=7, sequence=0)) == [b"other"]
    assert reassembly.receive(whole(2, b"c", channel=0, sequence=2)) == []
    assert reassembly.receive(whole(0, b"a", channel=0, sequence=0)) == [b"a", b"b", b"c"]


def test_one_place_in_a_channel_cannot_be_taken_twice() -> None:
    reassembly = make_reassembly()
    reassembly.receive(whole(0, b"a", channel=0, sequence=0))
    assert violation(reassembly, whole(1, b"again", channel=0, sequence=0)) is Code.PROTOCOL_VIOLATION
    reassembly.receive(whole(2, b"c", channel=0, sequence=2))
    assert violation(reassembly, whole(3, b"again", channel=0, sequence=2)) is Code.PROTOCOL_VIOLATION


def test_channels_of_a_peer_are_bounded() -> None:
    reassembly = make_reassembly()
    for channel in range(CHANNELS_MAX):
        reassembly.receive(whole(channel, b"", channel=channel))
    frame = whole(CHANNELS_MAX, b"", channel=CHANNELS_MAX)
    assert violation(reassembly, frame) is Code.PROTOCOL_VIOLATION


def test_as_many_ordered_messages_may_wait_as_a_sender_may_have_outstanding() -> None:
    reassembly = make_reassembly()
    for number in range(1, SEND_QUEUE_MESSAGES_MAX):
        assert reassembly.receive(whole(number, b"x", channel=0, sequence=number)) == []
    assert len(reassembly.receive(whole(0, b"x", channel=0, sequence=0))) == SEND_QUEUE_MESSAGES_MAX


def test_withdrawal_frees_memory_and_credit_and_what_comes_late_is_ignored() -> None:
    credit = ReceiveCredit(10_000)
    reassembly = Reassembly(credit, ReassemblyPool(1 << 40))
    reassembly.receive(MessageFrame(0, 9_000, 0, bytes(1_000)))
    reassembly.withdraw(WithdrawFrame(0, 4_000))
    assert reassembly.bytes_announced == 0
    assert reassembly.receive(MessageFrame(0, 9_000, 1_000, bytes(1_000))) == []
    reassembly.withdraw(WithdrawFrame(0, 4_000))
    assert reassembly.receive(whole(1, bytes(6_000))) == [bytes(6_000)]
    assert violation(reassembly, whole(2, bytes(1))) is Code.FLOW_CONTROL


def test_withdrawal_of_a_finished_message_changes_nothing() -> None:
    reassembly = make_reassembly()
    reassembly.receive(whole(0, b"done"))
    reassembly.withdraw(WithdrawFrame(0, 4))
    assert reassembly.receive(whole(0, b"done")) == []


@pytest.mark.parametrize("sent", [999, MESSAGE_BYTES_MAX + 1])
def test_withdrawal_that_contradicts_what_arrived_breaks_the_protocol(sent: int) -> None:
    reassembly = make_reassembly()
    reassembly.receive(MessageFrame(0, 9_000, 0, bytes(1_000)))
    with pytest.raises(ProtocolViolation):
        reassembly.withdraw(WithdrawFrame(0, sent))


# --- both ends


@given(
    seed=st.integers(0, 1 << 32),
    sizes=st.lists(st.sampled_from((0, 1, 100, 1_300, 5_000, 70_000)), min_size=1, max_size=12),
    loss=st.floats(0, 0.6),
)
@settings(max_examples=40)
@pytest.mark.must("M38")
def test_through_any_loss_every_message_arrives_once_and_all_credit_returns(
    seed: int, sizes: list[int], loss: float
) -> None:
    random = Random(seed)
    credit = ReceiveCredit(WINDOW)
    queue, reassembly = make_queue(WINDOW), Reassembly(credit, ReassemblyPool(1 << 40))
    expected, ordered = [], []
    for number, size in enumerate(sizes):
        data = number.to_bytes(2, "big") + bytes(size)
        expected.append(data)
        if random.random() < 0.4:
            ordered.append(data)
            push_ordered(queue, number, data)
        else:
            push(queue, number, data)
    received: list[bytes] = []
    now = 0
    for _ in range(100_000):
        now += 1
        space = random.randrange(200, 1_500)
        parts = take_all(queue, space)
        if not parts:
            break
        random.shuffle(parts)
        for part in parts:
            if random.random() < loss:
                queue.on_lost(part, "reordering")
                continue
            received += reassembly.receive(frame_of(part, space))
            if random.random() < loss:
                queue.on_lost(part, "timeout")
            else:
                queue.on_acked(part)
        limit = credit.next_limit(reassembly.bytes_announced, now, None)
        if limit is not None:
            queue.credit.raise_limit(limit)
    assert sorted(received) == sorted(expected)
    assert [data for data in received if data in ordered] == ordered
    assert queue.messages == {}
    assert reassembly.bytes_announced == 0
    assert queue.credit.used == sum(len(data) for data in expected)


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
