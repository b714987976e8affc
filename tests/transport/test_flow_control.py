"""Credit is given and kept to, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Code, ProtocolViolation
from node.transport.flow_control import ReceiveCredit, SendCredit
from node.wire.limits import REASSEMBLY_BYTES_MAX

WINDOW = 10_000


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


def test_new_credit_is_announced_when_half_a_window_is_free_again() -> None:
    credit = ReceiveCredit(WINDOW)
    credit.on_received(6_000)
    credit.on_released(4_999)
    assert credit.next_limit(0) is None
    credit.on_released(1)
    assert credit.next_limit(0) == WINDOW + 5_000
    assert credit.next_limit(0) is None


def test_a_message_larger_than_the_window_gets_credit_for_its_rest() -> None:
    credit = ReceiveCredit(WINDOW)
    credit.on_received(WINDOW)
    limit = credit.next_limit(1_000_000)
    assert limit is not None
    assert limit >= 1_000_000


def test_credit_for_announced_messages_is_bounded() -> None:
    assert ReceiveCredit(WINDOW).next_limit(1 << 60) == WINDOW + REASSEMBLY_BYTES_MAX


@given(st.lists(st.integers(1, 3_000), max_size=50))
def test_a_sender_that_keeps_to_the_limit_is_never_stuck_and_never_in_breach(sizes: list[int]) -> None:
    sender, receiver = SendCredit(), ReceiveCredit(WINDOW)
    sender.raise_limit(WINDOW)
    for size in sizes:
        assert sender.available >= size, "a receiver that releases everything must keep the sender going"
        sender.used += size
        receiver.on_received(size)
        receiver.on_released(size)
        limit = receiver.next_limit(0)
        if limit is not None:
            sender.raise_limit(limit)
