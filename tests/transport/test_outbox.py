"""Packets are filled in order of urgency, never over their size, and lost frames come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import MessageTooLarge, ProtocolViolation
from node.transport.ack import AckTracker
from node.transport.events import Delivery
from node.transport.outbox import Outbox
from node.transport.packet import Message, SentPacket
from node.types import MILLISECOND
from node.wire.frames import (
    AckFrame,
    CloseFrame,
    ConfirmedFrame,
    DatagramFrame,
    Frame,
    MaxDataFrame,
    MessageFrame,
    PingFrame,
    WithdrawFrame,
    parse_frames,
)
from node.wire.limits import CLOSE_REASON_BYTES_MAX, CONTROL_QUEUE_MAX, DATAGRAM_QUEUE_MAX

PAYLOAD = 1_368


class Packer:
    """An outbox and the packets that were made of it."""

    def __init__(self, payload: int = PAYLOAD) -> None:
        self.acks = AckTracker(10 * MILLISECOND)
        self.outbox = Outbox(self.acks, payload)
        self.outbox.queue.open_credit(1 << 40)
        self.number = 0
        self.message_id = 0

    def push(self, data: bytes, delivery: Delivery = Delivery.RELIABLE) -> None:
        self.outbox.push(self.message_id, Message(data, delivery))
        self.message_id += 1

    def receive(self, number: int) -> None:
        self.acks.on_received(number, is_ack_eliciting=True, now=0)

    def new_packet(self) -> SentPacket:
        self.number += 1
        return SentPacket(self.number, 0, 0, is_ack_eliciting=False)

    def fill(self, *, may_elicit: bool = True) -> tuple[SentPacket, list[Frame]]:
        packet = self.new_packet()
        buffer = self.outbox.fill(packet, 0, may_elicit)
        assert len(buffer) <= self.outbox.packet_payload
        return packet, parse_frames(bytes(buffer)) if buffer else []


def kinds(frames: list[Frame]) -> list[type]:
    return [type(frame) for frame in frames]


def test_order_is_ack_control_unreliable_reliable() -> None:
    packer = Packer()
    packer.push(b"reliable")
    packer.push(b"unreliable", Delivery.UNRELIABLE)
    packer.outbox.push_control(MaxDataFrame(5))
    packer.receive(0)
    _, frames = packer.fill()
    assert kinds(frames) == [AckFrame, MaxDataFrame, DatagramFrame, MessageFrame]


def test_without_leave_only_the_acknowledgement_goes() -> None:
    packer = Packer()
    packer.push(b"reliable")
    packer.receive(0)
    packet, frames = packer.fill(may_elicit=False)
    assert kinds(frames) == [AckFrame]
    assert not packet.is_ack_eliciting
    assert packer.outbox.has_eliciting()


def test_a_packet_with_room_has_taken_everything() -> None:
    packer = Packer()
    packer.push(b"x" * 256)
    packer.fill()
    assert packer.outbox.is_drained


@pytest.mark.parametrize("size", [PAYLOAD - 100, 10 * PAYLOAD])
def test_a_packet_without_room_may_have_left_something(size: int) -> None:
    packer = Packer()
    packer.push(b"x" * size)
    packer.push(b"y" * 1_000)
    packer.fill()
    assert not packer.outbox.is_drained
    assert packer.outbox.has_eliciting()


def test_a_packet_that_may_not_elicit_leaves_everything() -> None:
    packer = Packer()
    packer.push(b"x")
    packer.receive(0)
    packer.fill(may_elicit=False)
    assert not packer.outbox.is_drained


@given(st.lists(st.integers(0, 3_000), max_size=12), st.integers(200, PAYLOAD))
def test_nothing_is_left_of_what_counts_as_drained(sizes: list[int], payload: int) -> None:
    packer = Packer(payload)
    for size in sizes:
        packer.push(bytes(size))
    for _ in range(300):
        packer.fill()
        assert not (packer.outbox.is_drained and packer.outbox.has_eliciting())
        if not packer.outbox.has_eliciting():
            return
    raise AssertionError("it never ends")


def test_nothing_to_say_makes_no_frame() -> None:
    packer = Packer()
    assert not packer.outbox.has_eliciting()
    assert packer.fill()[1] == []


def test_lost_control_frames_come_back() -> None:
    packer = Packer()
    packer.outbox.push_control(WithdrawFrame(3, 100))
    packer.outbox.push_control(ConfirmedFrame())
    packet, _ = packer.fill()
    assert packet.is_ack_eliciting
    packer.outbox.on_packet_lost(packet, "timeout")
    assert packer.fill()[1] == [WithdrawFrame(3, 100), ConfirmedFrame()]


def test_of_several_limits_only_the_highest_is_sent() -> None:
    packer = Packer()
    packer.outbox.push_control(MaxDataFrame(5))
    packet, _ = packer.fill()
    packer.outbox.push_control(MaxDataFrame(9))
    packer.outbox.on_packet_lost(packet, "timeout")
    assert packer.fill()[1] == [MaxDataFrame(9)]


def test_limits_of_different_channels_do_not_replace_each_other() -> None:
    packer = Packer()
    limits = [MaxDataFrame(5), MaxDataFrame(7, 0), MaxDataFrame(6, 3)]
    for limit in limits:
        packer.outbox.push_control(limit)
    packer.outbox.push_control(MaxDataFrame(9, 0))
    assert packer.fill()[1] == [MaxDataFrame(5), MaxDataFrame(9, 0), MaxDataFrame(6, 3)]


def test_a_lost_limit_is_not_sent_again_after_a_newer_one() -> None:
    packer = Packer()
    lost = []
    for limit in (5, 9):
        packer.outbox.push_control(MaxDataFrame(limit, 3))
        packer.outbox.push_control(MaxDataFrame(limit))
        lost.append(packer.fill()[0])
    packer.outbox.on_packet_lost(lost[0], "reordering")
    assert not packer.outbox.has_eliciting()
    probe = packer.new_packet()
    buffer = bytearray()
    packer.outbox.fill_probe(buffer, probe, lost[0])
    assert parse_frames(bytes(buffer)) == [PingFrame()]
    packer.outbox.on_packet_lost(lost[1], "reordering")
    assert packer.fill()[1] == [MaxDataFrame(9, 3), MaxDataFrame(9)]


def test_control_queue_is_bounded() -> None:
    packer = Packer()
    for number in range(CONTROL_QUEUE_MAX):
        packer.outbox.push_control(WithdrawFrame(number, 0))
    with pytest.raises(ProtocolViolation):
        packer.outbox.push_control(WithdrawFrame(CONTROL_QUEUE_MAX, 0))


def test_a_limit_has_room_in_a_full_control_queue() -> None:
    packer = Packer()
    for number in range(CONTROL_QUEUE_MAX):
        packer.outbox.push_control(WithdrawFrame(number, 0))
    # It is wanted while packets are built, where no connection could be ended.
    packer.outbox.push_control(MaxDataFrame(5))
    packer.outbox.push_control(MaxDataFrame(6))
    assert packer.outbox._control[CONTROL_QUEUE_MAX:] == [MaxDataFrame(6)]


def test_of_too_many_unreliable_messages_the_newest_are_kept() -> None:
    packer = Packer()
    for number in range(DATAGRAM_QUEUE_MAX + 5):
        packer.push(number.to_bytes(2, "big"), Delivery.UNRELIABLE)
    frames = packer.fill()[1]
    assert frames[0] == DatagramFrame((5).to_bytes(2, "big"))
    assert len(frames) == DATAGRAM_QUEUE_MAX
    assert packer.outbox.datagrams_dropped == 5


def test_unreliable_message_that_fits_when_queued_and_not_when_sent_is_dropped_and_counted() -> None:
    packer = Packer()
    packer.push(bytes(1_300), Delivery.UNRELIABLE)
    packer.outbox.packet_payload = packer.outbox.possible_payload = 1_168
    assert packer.fill()[1] == []
    assert packer.outbox.datagrams_dropped == 1
    assert not packer.outbox.has_eliciting()


def test_an_unreliable_message_waits_for_a_path_that_may_carry_it() -> None:
    packer = Packer()
    packer.outbox.packet_payload = 1_168
    packer.push(bytes(1_300), Delivery.UNRELIABLE)
    assert packer.outbox.is_held_back()
    assert packer.fill()[1] == []
    packer.outbox.packet_payload = packer.outbox.possible_payload
    assert not packer.outbox.is_held_back()
    assert packer.fill()[1] == [DatagramFrame(bytes(1_300))]
    assert packer.outbox.datagrams_dropped == 0


def test_the_largest_unreliable_message_fills_a_packet() -> None:
    packer = Packer()
    packer.push(bytes(PAYLOAD - 3), Delivery.UNRELIABLE)
    assert packer.fill()[1] == [DatagramFrame(bytes(PAYLOAD - 3))]
    with pytest.raises(MessageTooLarge):
        packer.push(bytes(PAYLOAD - 2), Delivery.UNRELIABLE)


def test_probe_repeats_the_oldest_data() -> None:
    packer = Packer()
    packer.push(b"oldest")
    oldest, frames = packer.fill()
    probe = packer.new_packet()
    buffer = bytearray()
    packer.outbox.fill_probe(buffer, probe, oldest)
    assert parse_frames(bytes(buffer)) == frames
    assert probe.is_ack_eliciting
    assert [part.cause for part in probe.parts] == ["probe"]


def test_probe_with_nothing_to_repeat_is_a_ping() -> None:
    packer = Packer()
    probe = packer.new_packet()
    buffer = bytearray()
    packer.outbox.fill_probe(buffer, probe, None)
    assert parse_frames(bytes(buffer)) == [PingFrame()]
    assert probe.is_ack_eliciting


def test_probe_does_not_repeat_what_nobody_wants_any_more() -> None:
    packer = Packer()
    packer.push(b"done")
    oldest, _ = packer.fill()
    packer.outbox.on_packet_acked(oldest)
    probe = packer.new_packet()
    buffer = bytearray()
    packer.outbox.fill_probe(buffer, probe, oldest)
    assert parse_frames(bytes(buffer)) == [PingFrame()]


def test_a_side_that_only_receives_asks_for_an_answer_now_and_then() -> None:
    packer = Packer()
    pings = 0
    for number in range(0, 200, 2):
        packer.receive(number)
        pings += kinds(packer.fill(may_elicit=False)[1]).count(PingFrame)
    assert 1 <= pings <= 20


def test_acknowledged_acknowledgements_are_not_repeated() -> None:
    packer = Packer()
    for number in range(0, 20, 2):
        packer.receive(number)
    packet, _ = packer.fill()
    packer.outbox.on_packet_acked(packet)
    packer.receive(20)
    _, frames = packer.fill()
    assert frames[0] == AckFrame(((20, 20), (18, 18)), 0)


@pytest.mark.parametrize("payload", [256, PAYLOAD])
def test_close_fits_beside_or_without_the_acknowledgement(payload: int) -> None:
    packer = Packer(payload)
    for number in range(0, 300, 2):
        packer.receive(number)
    frame = CloseFrame(3, "x" * CLOSE_REASON_BYTES_MAX)
    buffer = packer.outbox.close_packet(packer.new_packet(), 0, frame)
    assert len(buffer) <= payload
    assert parse_frames(bytes(buffer))[-1] == frame


@given(
    payload=st.integers(256, 9_000),
    sizes=st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from(Delivery)), max_size=30),
    numbers=st.lists(st.integers(0, 1 << 40), max_size=100, unique=True),
)
def test_no_packet_exceeds_its_payload_and_everything_gets_out(
    payload: int, sizes: list[tuple[int, Delivery]], numbers: list[int]
) -> None:
    packer = Packer(payload)
    for number in numbers:
        packer.receive(number)
    expected = 0
    for size, delivery in sizes:
        if delivery is Delivery.UNRELIABLE:
            size = min(size, payload - 10)
        packer.push(bytes(size), delivery)
        expected += size
    sent = 0
    for _ in range(1_000):
        _, frames = packer.fill()
        sent += sum(len(frame.data) for frame in frames if isinstance(frame, MessageFrame | DatagramFrame))
        if not packer.outbox.has_eliciting():
            break
    assert sent == expected


def carried(packer: Packer) -> list[int]:
    """The first byte of each message in the next packet."""
    return [frame.data[0] for frame in packer.fill()[1] if isinstance(frame, MessageFrame)]


def test_on_a_path_that_loses_a_small_message_goes_along_with_the_next_three_packets() -> None:
    packer = Packer()
    packer.outbox.watch(is_lossy=True)
    packets = []
    for number in range(6):
        packer.push(bytes([number]) * 100)
        packets.append(carried(packer))
    assert packets == [[0], [1, 0], [2, 1, 0], [3, 2, 1, 0], [4, 3, 2, 1], [5, 4, 3, 2]]
    assert packer.outbox.parts_repeated == 12


def test_what_is_overdue_has_a_packet_of_its_own_once() -> None:
    packer = Packer()
    packer.outbox.watch(is_lossy=True)
    packer.push(bytes(100))
    packer.fill()
    assert not packer.outbox.has_eliciting()
    assert packer.outbox.repeats is not None
    packer.outbox.repeats.handle_timeout(0, 0)
    assert packer.outbox.has_eliciting()
    packet, _ = packer.fill()
    assert [part.cause for part in packet.parts] == ["probe"]
    assert not packer.outbox.has_eliciting()


@pytest.mark.must("M47")
def test_nothing_is_repeated_once_it_has_arrived_or_where_there_is_no_room() -> None:
    packer = Packer()
    packer.outbox.watch(is_lossy=True)
    packer.push(bytes(100))
    packet, _ = packer.fill()
    assert packer.outbox.repeats is not None
    packer.outbox.repeats.handle_timeout(0, 0)
    packer.outbox.on_packet_acked(packet)
    assert not packer.fill()[1]
    packer.push(bytes(100))
    packer.fill()
    packer.push(bytes(5_000))
    while packer.fill()[1]:
        pass
    assert packer.outbox.parts_repeated == 0


def test_a_path_that_stopped_losing_is_sent_nothing_twice() -> None:
    packer = Packer()
    packer.outbox.watch(is_lossy=True)
    packer.push(bytes([1]) * 100)
    packer.fill()
    packer.outbox.watch(is_lossy=False)
    packer.push(bytes([2]) * 100)
    assert carried(packer) == [2]
    packer.outbox.watch(is_lossy=True)
    packer.push(bytes([3]) * 100)
    assert carried(packer) == [3]


@pytest.mark.must("M47")
def test_a_path_that_loses_nothing_is_sent_nothing_twice() -> None:
    packer = Packer()
    for _ in range(4):
        packer.push(bytes(100))
        packer.fill()
    assert packer.outbox.parts_repeated == 0


@pytest.mark.parametrize("size", [PAYLOAD - 3, PAYLOAD - 4, PAYLOAD - 40])
@pytest.mark.parametrize("has_oldest", [False, True])
def test_a_probe_with_an_unreliable_message_is_never_too_long(size: int, has_oldest: bool) -> None:
    packer = Packer()
    packer.push(bytes(2 * PAYLOAD))
    oldest, _ = packer.fill()
    packer.fill()
    packer.fill()
    packer.push(bytes(size), Delivery.UNRELIABLE)
    probe = packer.new_packet()
    buffer = packer.outbox.fill(probe, 0, may_elicit=True)
    packer.outbox.fill_probe(buffer, probe, oldest if has_oldest else None)
    assert len(buffer) <= PAYLOAD
    assert probe.is_ack_eliciting
