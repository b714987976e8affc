"""Credit is given and kept to, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Code, ProtocolViolation
from node.transport.flow_control import ReceiveCredit, SendCredit
from node.types import MILLISECOND, Duration, Instant
from node.wire.limits import REASSEMBLY_BYTES_MAX, RECEIVE_WINDOW_MAX

WINDOW = 10_000
RTT = 40 * MILLISECOND


def test_sender_has_what_the_limit_leaves() -> None:
    credit = SendCredit()
    assert credit.available == 0
    credit.raise_limit(WINDOW)
    credit.used += 4_000
    assert credit.available == 6_000


def test_an_older_limit_that_arrives_late_takes_nothing_away() -> None:
    credit = SendCredit()
    credit.raise_limit(WINDOW)
    credit.raise_limit(WINDOW // 2)
    assert credit.available == WINDOW


def test_a_peer_may_use_its_credit_to_the_last_byte_and_no_further() -> None:
    credit = ReceiveCredit(WINDOW)
    credit.on_received(WINDOW)
    with pytest.raises(ProtocolViolation) as caught:
        credit.on_received(1)
    assert caught.value.code is Code.FLOW_CONTROL


def test_new_credit_is_announced_when_a_quarter_of_a_window_is_free_again() -> None:
    credit = ReceiveCredit(WINDOW)
    credit.on_received(6_000)
    credit.on_released(2_499)
    assert credit.next_limit(0, 0, None) is None
    credit.on_released(1)
    assert credit.next_limit(0, 0, None) == WINDOW + 2_500
    assert credit.next_limit(0, 0, None) is None


@pytest.mark.must("M44")
def test_a_message_larger_than_the_window_gets_credit_for_its_rest() -> None:
    credit = ReceiveCredit(WINDOW)
    credit.on_received(WINDOW)
    limit = credit.next_limit(1_000_000, 0, None)
    assert limit is not None
    assert limit >= 1_000_000


def test_credit_for_announced_messages_is_bounded() -> None:
    assert ReceiveCredit(WINDOW).next_limit(1 << 60, 0, None) == WINDOW + REASSEMBLY_BYTES_MAX


def use_half(credit: ReceiveCredit, now: Instant, smoothed_rtt: Duration | None) -> None:
    """The peer sends half a window, which is delivered and announced again."""
    size = credit.window // 2
    credit.on_received(size)
    credit.on_released(size)
    assert credit.next_limit(0, now, smoothed_rtt) is not None


@pytest.mark.must("M45")
def test_window_doubles_when_half_of_it_is_used_within_two_round_trips() -> None:
    credit = ReceiveCredit(WINDOW)
    use_half(credit, 0, 40 * MILLISECOND)
    assert credit.window == WINDOW
    use_half(credit, 79 * MILLISECOND, 40 * MILLISECOND)
    assert credit.window == 2 * WINDOW
    assert credit.limit == 2 * WINDOW + WINDOW


@pytest.mark.must("M45")
@pytest.mark.parametrize(("received", "doublings"), [(WINDOW * 7 // 8, 0), (WINDOW * 7 // 8 + 1, 1)])
def test_window_doubles_within_eight_round_trips_where_it_was_used_up(received: int, doublings: int) -> None:
    credit = ReceiveCredit(WINDOW)
    credit.on_received(received)
    assert credit.next_limit(0, 0, RTT) is None
    # What all of it waited for is there; by the time of the next count the credit is far from being used up again.
    credit.on_released(received)
    assert credit.next_limit(0, 4 * RTT, RTT) is not None
    credit.on_received(WINDOW // 2)
    credit.on_released(WINDOW // 2)
    assert credit.next_limit(0, 7 * RTT, RTT) is not None
    assert credit.window == WINDOW << doublings


def test_window_stays_when_the_path_is_what_limits_the_peer() -> None:
    credit = ReceiveCredit(WINDOW)
    for index in range(10):
        use_half(credit, index * 80 * MILLISECOND, 40 * MILLISECOND)
    assert credit.window == WINDOW


@pytest.mark.must("M45")
def test_window_grows_no_further_than_its_bound() -> None:
    credit = ReceiveCredit(WINDOW)
    for index in range(60):
        use_half(credit, index, 40 * MILLISECOND)
    assert credit.window == RECEIVE_WINDOW_MAX


def test_a_window_above_the_bound_by_choice_stays() -> None:
    credit = ReceiveCredit(2 * RECEIVE_WINDOW_MAX)
    use_half(credit, 0, 40 * MILLISECOND)
    use_half(credit, 1, 40 * MILLISECOND)
    assert credit.window == 2 * RECEIVE_WINDOW_MAX


def test_announcing_alone_grows_no_window() -> None:
    credit = ReceiveCredit(WINDOW)
    for index in range(1, 10):
        credit.next_limit(index * WINDOW, index, 40 * MILLISECOND)
    assert credit.window == WINDOW


@given(st.lists(st.integers(1, 3_000), max_size=50))
def test_a_sender_that_keeps_to_the_limit_is_never_stuck_and_never_in_breach(sizes: list[int]) -> None:
    sender, receiver = SendCredit(), ReceiveCredit(WINDOW)
    sender.raise_limit(WINDOW)
    for size in sizes:
        assert sender.available >= size, "a receiver that releases everything must keep the sender going"
        sender.used += size
        receiver.on_received(size)
        receiver.on_released(size)
        limit = receiver.next_limit(0, 0, None)
        if limit is not None:
            sender.raise_limit(limit)


def test_the_window_doubles_when_it_is_what_limits_the_peer() -> None:
    credit = ReceiveCredit(WINDOW)
    for now in (0, RTT):
        credit.on_received(WINDOW // 2)
        credit.on_released(WINDOW // 2)
        credit.next_limit(0, now, RTT)
    assert credit.window == 2 * WINDOW
    assert credit.limit == WINDOW + 2 * WINDOW


def test_the_window_stays_when_the_peer_takes_its_time() -> None:
    credit = ReceiveCredit(WINDOW)
    for now in (0, 2 * RTT):
        credit.on_received(WINDOW // 2)
        credit.on_released(WINDOW // 2)
        credit.next_limit(0, now, RTT)
    assert credit.window == WINDOW


def test_the_window_never_grows_past_its_bound() -> None:
    credit = ReceiveCredit(WINDOW)
    for turn in range(40):
        credit.on_received(credit.window // 2)
        credit.on_released(credit.window // 2)
        credit.next_limit(0, turn, RTT)
    assert credit.window == RECEIVE_WINDOW_MAX
