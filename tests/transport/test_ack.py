"""Replays are refused, and acknowledgements are sent when RFC 9000 §13.2 says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.transport.ack import AckTracker
from node.types import MILLISECOND, SECOND
from node.wire.frames import AckFrame, append_ack
from node.wire.limits import ACK_RANGES_MAX, RECEIVED_RANGES_MAX, REPLAY_WINDOW, UNHURRIED_ACK_DELAY

MAX_ACK_DELAY = 10 * MILLISECOND
SPACE = 1368


def received(*numbers: int, now: int = 0) -> AckTracker:
    tracker = AckTracker(MAX_ACK_DELAY)
    for number in numbers:
        tracker.on_received(number, is_ack_eliciting=True, now=now)
    return tracker


def take(tracker: AckTracker, now: int = 0, space: int = SPACE) -> AckFrame:
    frame = tracker.take_frame(now, space)
    assert frame is not None
    return frame


def settled() -> AckTracker:
    """A tracker that has had and acknowledged its first 100 packets."""
    tracker = AckTracker(MAX_ACK_DELAY)
    for number in range(100):
        tracker.on_received(number, is_ack_eliciting=True, now=0)
        tracker.take_frame(0, SPACE)
    return tracker


def test_first_packets_are_acknowledged_at_once_so_that_their_round_trip_shows() -> None:
    assert received(0, now=5).ack_at == 5


def test_of_unreliable_messages_half_as_many_are_acknowledged_at_once() -> None:
    tracker = AckTracker(MAX_ACK_DELAY)
    prompt = 0
    for number in range(8):
        tracker.on_received(number, is_ack_eliciting=True, now=number * SECOND, is_unhurried=True)
        prompt += tracker.ack_at == number * SECOND
        tracker.take_frame(number * SECOND, SPACE)
    assert prompt == 4


@pytest.mark.must("M56")
def test_later_a_single_packet_may_wait_for_half_of_the_promised_delay() -> None:
    tracker = settled()
    tracker.on_received(100, is_ack_eliciting=True, now=5)
    assert tracker.ack_at == 5 + MAX_ACK_DELAY // 2


@pytest.mark.must("M56")
def test_an_unreliable_message_alone_waits_for_a_packet_to_ride_on() -> None:
    tracker = settled()
    tracker.on_received(100, is_ack_eliciting=True, now=5, is_unhurried=True)
    assert tracker.ack_at == 5 + UNHURRIED_ACK_DELAY
    tracker.on_received(101, is_ack_eliciting=True, now=6, is_unhurried=True)
    assert tracker.ack_at == 6


@pytest.mark.must("M56")
def test_every_second_packet_is_acknowledged_at_once() -> None:
    tracker = settled()
    tracker.on_received(100, is_ack_eliciting=True, now=5)
    tracker.on_received(101, is_ack_eliciting=True, now=6)
    assert tracker.ack_at == 6


@pytest.mark.must("M56")
def test_a_gap_is_acknowledged_at_once() -> None:
    tracker = settled()
    tracker.on_received(101, is_ack_eliciting=True, now=5)
    assert tracker.ack_at == 5


@pytest.mark.must("M56")
def test_for_ten_seconds_after_a_gap_packets_that_come_one_by_one_are_acknowledged_at_once() -> None:
    tracker = settled()
    tracker.on_received(101, is_ack_eliciting=True, now=0)
    take(tracker)
    for number, now, is_prompt in [(102, 5, True), (103, 6, False), (104, 9_999, True), (105, 10_005, False)]:
        tracker.on_received(number, is_ack_eliciting=True, now=now * MILLISECOND)
        assert (tracker.ack_at == now * MILLISECOND) is is_prompt
        take(tracker)


def test_a_packet_that_fills_a_gap_is_acknowledged_at_once() -> None:
    tracker = received(0, 2)
    take(tracker)
    tracker.on_received(1, is_ack_eliciting=True, now=7)
    assert tracker.ack_at == 7


@pytest.mark.must("M57")
def test_packets_that_elicit_nothing_are_not_acknowledged_on_their_own() -> None:
    tracker = AckTracker(MAX_ACK_DELAY)
    for number in (0, 5, 3):
        tracker.on_received(number, is_ack_eliciting=False, now=0)
    assert tracker.ack_at is None
    assert tracker.take_frame(0, SPACE) is None


def test_an_acknowledgement_is_taken_once() -> None:
    tracker = received(0, 1)
    take(tracker)
    assert tracker.ack_at is None
    assert tracker.take_frame(0, SPACE) is None


def test_the_delay_is_counted_from_the_arrival_of_the_largest() -> None:
    tracker = received(4, now=100)
    tracker.on_received(2, is_ack_eliciting=True, now=2_000)
    assert take(tracker, now=5_100).delay == 5_000


def test_ranges_are_descending_and_complete() -> None:
    assert take(received(0, 1, 5, 3, 9, 6)).ranges == ((9, 9), (5, 6), (3, 3), (0, 1))


def test_no_more_ranges_than_a_frame_may_have_and_the_newest_of_them() -> None:
    frame = take(received(*range(0, 400, 2)))
    assert len(frame.ranges) == ACK_RANGES_MAX
    assert frame.ranges[0] == (398, 398)


def test_a_small_packet_gets_the_newest_ranges_only() -> None:
    assert take(received(*range(0, 100, 2)), space=40).ranges == ((98, 98), (96, 96))


def test_ranges_that_the_peer_knows_are_not_repeated() -> None:
    tracker = received(*range(0, 20, 2))
    tracker.on_ack_acknowledged(take(tracker).ranges[0][1])
    tracker.on_received(20, is_ack_eliciting=True, now=0)
    assert take(tracker).ranges == ((20, 20), (18, 18))


def test_a_straggler_below_what_the_peer_knows_is_still_reported() -> None:
    tracker = received(0, 1, 2, 8, 9)
    tracker.on_ack_acknowledged(take(tracker).ranges[0][1])
    tracker.on_received(5, is_ack_eliciting=True, now=0)
    assert (5, 5) in take(tracker).ranges


def test_the_replay_window_has_2048_numbers_even_if_every_other_one_was_lost() -> None:
    assert REPLAY_WINDOW >= 2_048
    tracker = received(*range(0, 4 * REPLAY_WINDOW, 2))
    newest = 4 * REPLAY_WINDOW - 2
    for number in range(newest - REPLAY_WINDOW + 1, newest + 1):
        assert tracker.is_duplicate(number) == (number % 2 == 0)


@pytest.mark.must("M4")
def test_numbers_too_old_to_be_remembered_count_as_replays() -> None:
    tracker = received(*range(0, 2 * (RECEIVED_RANGES_MAX + 10), 2))
    assert tracker.is_duplicate(1)
    assert not tracker.is_duplicate(2 * (RECEIVED_RANGES_MAX + 10) - 3)


@given(st.lists(st.integers(0, 2_000), max_size=400))
@pytest.mark.must("M4")
def test_no_number_is_accepted_twice_and_memory_is_bounded(numbers: list[int]) -> None:
    tracker = AckTracker(MAX_ACK_DELAY)
    accepted: set[int] = set()
    for number in numbers:
        if tracker.is_duplicate(number):
            continue
        assert number not in accepted
        accepted.add(number)
        tracker.on_received(number, is_ack_eliciting=True, now=0)
        frame = take(tracker)
        assert len(frame.ranges) <= ACK_RANGES_MAX
        assert all(value in accepted for first, last in frame.ranges for value in range(first, last + 1))


@given(st.permutations(range(40)))
def test_whatever_the_order_every_number_is_acknowledged(order: list[int]) -> None:
    tracker = AckTracker(MAX_ACK_DELAY)
    acknowledged: set[int] = set()
    for number in order:
        tracker.on_received(number, is_ack_eliciting=True, now=0)
        for first, last in take(tracker).ranges:
            acknowledged.update(range(first, last + 1))
        tracker.on_ack_acknowledged(max(acknowledged))
    assert acknowledged == set(order)


@given(st.integers(256, 2_000), st.integers(2, 1 << 40), st.integers(0, 1 << 47))
def test_frame_fits_its_space_whatever_the_numbers(space: int, step: int, first: int) -> None:
    # The peer chooses the numbers, so gaps may need eight bytes each.
    frame = take(received(*range(first, first + 80 * step, step)), now=1 << 62, space=space)
    buffer = bytearray()
    append_ack(buffer, frame)
    assert len(buffer) <= space
