"""Each channel of ordered messages keeps to a credit of its own, and one that stands still holds up nobody else."""

from __future__ import annotations

from random import Random

import pytest

from node.errors import Code, ProtocolViolation, QueueFull
from node.impairment.link import LinkSettings
from node.transport.events import Delivery
from node.transport.flow_control import ReceiveCredit
from node.transport.fragments import Part, SendQueue
from node.transport.packet import Message, Priority
from node.transport.pool import ReassemblyPool
from node.transport.reassembly import Reassembly
from node.types import MILLISECOND
from node.wire.frames import MaxDataFrame, MessageFrame, WithdrawFrame, append_max_data, append_withdraw
from node.wire.limits import CHANNEL_WINDOW_MAX, CHANNELS_MAX, SEND_QUEUE_BYTES_MAX, SEND_QUEUE_MESSAGES_MAX
from tests.pair import Pair
from tests.transport.hostile import connected, inject, next_number
from tests.transport.queues import SPACE, make_queue, push, push_ordered, take_all, whole
from tests.wire.messages import append_message

WINDOW = 20_000
RTT = 40 * MILLISECOND


def make_receiver(window: int = WINDOW, connection: int = 1 << 40) -> Reassembly:
    """Whose channels begin with `window`, and whose connection has credit for all of them."""
    reassembly = Reassembly(ReceiveCredit(window), ReassemblyPool(1 << 40))
    reassembly.credit.window = reassembly.credit.limit = connection
    return reassembly


def part_of(number: int, sequence: int, total: int, size: int, channel: int = 0, offset: int = 0) -> MessageFrame:
    return MessageFrame(number, total, offset, bytes(size), channel, sequence)


def sizes(parts: list[Part]) -> dict[int, int]:
    """Bytes that went, by message."""
    found: dict[int, int] = {}
    for part in parts:
        found[part.message.message_id] = found.get(part.message.message_id, 0) + part.size
    return found


# --- sending


def open_channels(limit: int) -> SendQueue:
    """A queue with more credit for the connection than for its channels."""
    queue = make_queue(limit)
    queue.raise_limit(MaxDataFrame(1 << 40))
    return queue


@pytest.mark.must("M83")
def test_the_credit_of_a_channel_ends_its_sending_to_the_byte_and_nobody_elses() -> None:
    queue = open_channels(2_000)
    push_ordered(queue, 0, bytes(5_000), channel=3)
    push_ordered(queue, 1, bytes(100), channel=3)
    push_ordered(queue, 2, bytes(1_500), channel=4)
    push(queue, 3, bytes(9_000))
    assert sizes(take_all(queue)) == {0: 2_000, 2: 1_500, 3: 9_000}
    assert not queue.has_sendable()
    assert queue.raise_limit(MaxDataFrame(5_050, 3))
    assert queue.has_sendable()
    assert sizes(take_all(queue)) == {0: 3_000, 1: 50}
    assert queue.raise_limit(MaxDataFrame(6_000, 3))
    assert sizes(take_all(queue)) == {1: 50}
    assert not queue.raise_limit(MaxDataFrame(7_000, 3)), "it had not been used up"


def test_messages_of_a_channel_that_waited_go_before_those_that_came_after_them() -> None:
    queue = open_channels(1_000)
    for number in range(4):
        push_ordered(queue, number, bytes(800), channel=3)
    take_all(queue)
    push(queue, 4, bytes(100))
    push_ordered(queue, 5, bytes(100), channel=3)
    queue.raise_limit(MaxDataFrame(1 << 30, 3))
    assert list(sizes(take_all(queue))) == [1, 2, 3, 4, 5]


def test_empty_messages_of_a_channel_need_no_credit_but_their_turn() -> None:
    queue = open_channels(1_000)
    for number, size in enumerate((0, 1_500, 0)):
        push_ordered(queue, number, bytes(size))
    assert sizes(take_all(queue)) == {0: 0, 1: 1_000}
    queue.raise_limit(MaxDataFrame(1_500, 0))
    assert sizes(take_all(queue)) == {1: 500, 2: 0}


def test_an_older_limit_of_a_channel_changes_nothing() -> None:
    queue = open_channels(1_000)
    push_ordered(queue, 0, bytes(3_000))
    take_all(queue)
    assert not queue.raise_limit(MaxDataFrame(900, 0))
    assert not queue.has_sendable()


@pytest.mark.must("M84")
def test_bytes_of_a_channel_go_in_its_order_whatever_the_priorities() -> None:
    queue = open_channels(2_000)
    queue.push(0, Message(bytes(60_000), Delivery.ORDERED, None, 3, Priority.CONTROL))
    # It is behind the urgent one in its channel, but its lane would have a turn before that is through.
    queue.push(1, Message(bytes(60_000), Delivery.ORDERED, None, 3, Priority.BULK))
    sent: list[int] = []
    for limit in range(2_000, 120_001, 2_000):
        queue.raise_limit(MaxDataFrame(limit, 3))
        sent += [part.message.message_id for part in take_all(queue)]
    assert sent == sorted(sent)
    assert set(sent) == {0, 1}
    assert all(message.sent == 60_000 for message in queue.messages.values())


def test_lost_parts_of_a_channel_without_credit_go_again() -> None:
    queue = open_channels(2_000)
    push_ordered(queue, 0, bytes(5_000))
    first, *_ = take_all(queue)
    queue.on_lost(first, "reordering")
    again = queue.next_part(SPACE)
    assert again is not None
    assert (again.offset, again.size) == (first.offset, first.size)


def test_credit_for_a_channel_that_is_not_used_breaks_the_protocol() -> None:
    queue = open_channels(1_000)
    push_ordered(queue, 0, b"m", channel=3)
    with pytest.raises(ProtocolViolation, match="channel 4") as caught:
        queue.raise_limit(MaxDataFrame(9, 4))
    assert caught.value.code is Code.PROTOCOL_VIOLATION


@pytest.mark.must("M85")
@pytest.mark.parametrize("size", [0, 10_000])
def test_a_channel_without_credit_leaves_half_of_the_queue_to_the_others(size: int) -> None:
    queue = open_channels(1_000)
    push_ordered(queue, 0, bytes(1_001), channel=3)
    take_all(queue)
    full = SEND_QUEUE_BYTES_MAX // 2 // size + 1 if size else SEND_QUEUE_MESSAGES_MAX // 2
    for number in range(1, full):
        push_ordered(queue, number, bytes(size), channel=3)
        take_all(queue)
    number = full
    with pytest.raises(QueueFull, match="channel 3"):
        push_ordered(queue, number, bytes(size), channel=3)
    assert len(queue.messages) <= SEND_QUEUE_MESSAGES_MAX // 2 + 1
    assert queue.bytes_queued <= SEND_QUEUE_BYTES_MAX // 2 + 1_001
    push(queue, number, bytes(SEND_QUEUE_BYTES_MAX // 4))
    push_ordered(queue, number + 1, bytes(1_000), channel=4)
    assert sizes(take_all(queue)) == {number: SEND_QUEUE_BYTES_MAX // 4, number + 1: 1_000}


def test_a_channel_that_is_sent_may_fill_the_queue() -> None:
    queue = open_channels(1 << 30)
    for number in range(SEND_QUEUE_BYTES_MAX >> 20):
        push_ordered(queue, number, bytes(1 << 20))
        take_all(queue)
    assert queue.bytes_queued == SEND_QUEUE_BYTES_MAX


# --- receiving


def violation(reassembly: Reassembly, frame: MessageFrame) -> ProtocolViolation:
    with pytest.raises(ProtocolViolation) as caught:
        reassembly.receive(frame)
    return caught.value


@pytest.mark.must("M83")
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_channel_may_use_its_credit_to_the_last_byte_and_no_further(*, is_whole: bool) -> None:
    reassembly = make_receiver(window=1_000)
    reassembly.receive(whole(1, bytes(1_000), channel=3, sequence=1))
    reassembly.receive(whole(2, bytes(1_000), channel=4, sequence=1))
    reassembly.receive(whole(3, bytes(9_000)))
    size = 1 if is_whole else 2
    error = violation(reassembly, part_of(4, 2, size, 1, channel=3))
    assert error.code is Code.FLOW_CONTROL
    assert error.reason == "1001 bytes received of channel 3, 1000 allowed"


def test_repeated_bytes_use_up_no_credit_of_a_channel() -> None:
    reassembly = make_receiver(window=1_000)
    for _ in range(3):
        reassembly.receive(part_of(1, 1, 1_000, 600))
    reassembly.receive(part_of(1, 1, 1_000, 600, offset=400))
    assert violation(reassembly, part_of(2, 2, 1, 1)).code is Code.FLOW_CONTROL


@pytest.mark.must("M83")
def test_what_waits_in_a_channel_is_given_no_more_credit_and_what_it_waits_for_is() -> None:
    reassembly = make_receiver()
    reassembly.receive(whole(1, bytes(WINDOW), channel=3, sequence=1))
    assert reassembly.next_limits(0, RTT) == []
    # The large message that it waits for has begun: its rest must not lack credit.
    reassembly = make_receiver()
    reassembly.receive(part_of(0, 0, 300_000, WINDOW, channel=3))
    assert reassembly.next_limits(0, RTT) == [MaxDataFrame(WINDOW + 300_000, 3)]


def test_a_channel_is_given_credit_for_what_it_delivers() -> None:
    reassembly = make_receiver()
    reassembly.receive(whole(1, bytes(6_000), channel=3, sequence=1))
    assert reassembly.next_limits(0, RTT) == []
    reassembly.receive(whole(0, bytes(4_000), channel=3, sequence=0))
    assert reassembly.next_limits(0, RTT) == [MaxDataFrame(WINDOW + 10_000, 3)]
    assert reassembly.next_limits(0, RTT) == []


@pytest.mark.must("M45")
def test_the_window_of_a_channel_grows_with_use_and_no_further_than_its_bound() -> None:
    reassembly = make_receiver()
    limits, number, delivered = [], 0, 0
    for now in range(400):
        size = min(500_000, reassembly._channels[3].credit.window // 2 if number else WINDOW // 2)
        reassembly.receive(whole(number, bytes(size), channel=3, sequence=number))
        number, delivered = number + 1, delivered + size
        limits += [frame.limit - delivered for frame in reassembly.next_limits(now, RTT)]
    assert max(limits) == CHANNEL_WINDOW_MAX
    assert limits[0] == WINDOW


@pytest.mark.must("M84")
@pytest.mark.parametrize("received", [0, 500])
def test_an_ordered_message_cannot_be_withdrawn(received: int) -> None:
    reassembly = make_receiver()
    reassembly.receive(part_of(0, received // 500, 900, 500))
    with pytest.raises(ProtocolViolation, match="ordered message 0 withdrawn"):
        reassembly.withdraw(WithdrawFrame(0, 900))


def test_two_messages_in_one_place_are_refused_before_they_are_complete() -> None:
    reassembly = make_receiver()
    reassembly.receive(part_of(0, 5, 900, 500))
    assert violation(reassembly, part_of(1, 5, 900, 500)).code is Code.PROTOCOL_VIOLATION


@pytest.mark.must("M85")
def test_channels_are_bounded_though_nothing_of_them_is_complete() -> None:
    reassembly = make_receiver()
    for channel in range(CHANNELS_MAX):
        reassembly.receive(part_of(channel, 7, 900, 500, channel=channel))
    error = violation(reassembly, part_of(CHANNELS_MAX, 7, 900, 500, channel=CHANNELS_MAX))
    assert error.code is Code.PROTOCOL_VIOLATION
    assert len(reassembly._channels) == CHANNELS_MAX


# --- connections


def send_ordered(pair: Pair, data: bytes, channel: int, priority: Priority = Priority.OWN) -> None:
    client = pair.client
    assert client.handle is not None
    client.endpoint.send(client.handle, Message(data, Delivery.ORDERED, None, channel, priority), client.now)


def fill(pair: Pair, channel: int) -> None:
    """Sends in a channel until there is no more room."""
    while True:
        try:
            send_ordered(pair, bytes(9_000), channel)
        except QueueFull:
            return
        pair.client.drain()
        pair.run(0.01)


@pytest.mark.must("M39")
def test_a_channel_that_stands_still_holds_up_nobody_else() -> None:
    pair = Pair(link=LinkSettings(delay=10 * MILLISECOND))
    pair.connect()
    pair.client.send(b"", Delivery.ORDERED, channel=3)
    pair.run(0.2)
    # The receiver of this channel grants nothing more, as if what it waits for were lost for good.
    channel = pair.server.connection._receiving._reassembly._channels[3]  # type: ignore[union-attr]
    channel.credit._released = -(1 << 30)
    fill(pair, 3)
    before = len(pair.server.received())
    for number in range(100):
        send_ordered(pair, bytes([number]) * 9_000, 4)
        pair.client.send(bytes([number]) * 9_001)
        send_ordered(pair, bytes([number]) * 9_002, 5, Priority.CONTROL)
        pair.client.drain()
        pair.run(0.05)
    assert len(pair.server.received()) == before + 300
    assert pair.client.connection.stats.channel_credit_used_up == 0
    # Its turn comes as soon as there is credit again.
    channel.credit._released += 1 << 30
    pair.client.send(b"", Delivery.ORDERED, channel=4)
    send_ordered(pair, b"", 5)
    pair.server.connection._receiving._reassembly._touched = {3: channel}  # type: ignore[union-attr]
    assert pair.run_until(lambda: not pair.client.connection.sending.outbox.queue.messages, 20)
    assert pair.client.connection.stats.channel_credit_used_up > 0


@pytest.mark.must("M83")
def test_a_peer_that_sends_more_than_a_channel_may_hold_is_cut() -> None:
    pair = connected()
    for number in range(1, 40):
        buffer = bytearray()
        # The first of the channel never comes; what waits gives the connection credit, and the channel none.
        append_message(buffer, MessageFrame(number, 1_000, 0, bytes(1_000), 9, number))
        inject(pair, bytes(buffer), next_number(pair))
        pair.run(0.05)
        if pair.server.closed() is not None:
            break
    closed = pair.server.closed()
    assert closed is not None
    assert closed.code is Code.FLOW_CONTROL
    assert "channel 9" in closed.reason
    assert number == 21


@pytest.mark.must("M85")
def test_a_peer_that_opens_thousands_of_channels_is_cut() -> None:
    pair = connected()
    for number in range(3_000):
        buffer = bytearray()
        append_message(buffer, MessageFrame(number, 2, 0, b"m", number << 20, 1))
        inject(pair, bytes(buffer), next_number(pair))
        pair.run(0.002)
        if pair.server.closed() is not None:
            break
    closed = pair.server.closed()
    assert closed is not None
    assert closed.code is Code.PROTOCOL_VIOLATION
    assert closed.reason == f"more than {CHANNELS_MAX} channels"


@pytest.mark.must("M85")
def test_a_peer_that_gives_credit_for_channels_of_nobody_is_cut() -> None:
    pair = connected()
    buffer = bytearray()
    append_max_data(buffer, MaxDataFrame(1 << 40, 1 << 40))
    inject(pair, bytes(buffer), next_number(pair))
    pair.run(0.1)
    closed = pair.server.closed()
    assert closed is not None
    assert closed.code is Code.PROTOCOL_VIOLATION


@pytest.mark.must("M84")
def test_a_peer_that_withdraws_an_ordered_message_is_cut() -> None:
    pair = connected()
    buffer = bytearray()
    append_message(buffer, part_of(0, 0, 900, 500))
    append_withdraw(buffer, WithdrawFrame(0, 500))
    inject(pair, bytes(buffer), next_number(pair))
    pair.run(0.1)
    closed = pair.server.closed()
    assert closed is not None
    assert closed.code is Code.PROTOCOL_VIOLATION


@pytest.mark.must("M38")
@pytest.mark.parametrize("seed", range(6))
def test_channels_with_little_credit_deliver_everything_through_loss(seed: int) -> None:
    random = Random(seed)
    link = LinkSettings(delay=20 * MILLISECOND, jitter=10 * MILLISECOND, loss=0.15)
    pair = Pair(seed=seed, link=link)
    pair.connect(30)
    sent: dict[int, list[bytes]] = {channel: [] for channel in range(4)}
    for number in range(200):
        channel = random.randrange(4)
        data = number.to_bytes(2, "big") + bytes(random.choice((0, 10, 5_000, 40_000)))
        sent[channel].append(data)
        send_ordered(pair, data, channel, random.choice(list(Priority)))
    pair.client.drain()
    assert pair.run_until(lambda: len(pair.server.received()) == 200, 120)
    for data_of_channel in sent.values():
        mine = set(data_of_channel)
        assert [data for data in pair.server.received() if data in mine] == data_of_channel
