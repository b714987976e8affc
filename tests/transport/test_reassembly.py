"""Parts become messages again, whole and once, whatever happens to them on their way; and their memory is bounded."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import Code, ProtocolViolation
from node.transport.flow_control import ReceiveCredit
from node.transport.pool import ReassemblyPool
from node.transport.reassembly import Reassembly
from node.wire.frames import MessageFrame, WithdrawFrame
from node.wire.limits import (
    CHANNELS_MAX,
    MESSAGE_BYTES_MAX,
    MESSAGE_ID_RANGES_MAX,
    REASSEMBLY_BYTES_MAX,
    REASSEMBLY_MESSAGES_MAX,
    SEND_QUEUE_MESSAGES_MAX,
)
from tests.transport.queues import frame_of, make_queue, make_reassembly, push, push_ordered, take_all, whole

WINDOW = 65_535


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
        for frame in reassembly.next_limits(now, None):
            queue.raise_limit(frame)
    assert sorted(received) == sorted(expected)
    assert [data for data in received if data in ordered] == ordered
    assert queue.messages == {}
    assert reassembly.bytes_announced == 0
    assert queue.credit.used == sum(len(data) for data in expected)
