"""When a TCP link says what it has received."""

from __future__ import annotations

import pytest

from node.transport.stream_acks import StreamAcks
from node.types import MILLISECOND
from node.wire.limits import STREAM_ACK_DELAY

NOW = 10**12


def take_turns(acks: StreamAcks, turns: int) -> None:
    """Messages that come one by one, each answered at once."""
    for _ in range(turns):
        acks.on_received(NOW)
        acks.on_sent()
        assert acks.take() == acks.messages


@pytest.mark.parametrize("turns", [0, 1, 7])
def test_a_message_is_acknowledged_at_once(turns: int) -> None:
    acks = StreamAcks()
    take_turns(acks, turns)
    acks.on_received(NOW)
    assert acks.is_due
    assert acks.take() == turns + 1
    assert not acks.is_due
    assert acks.take() is None


def test_the_acknowledgement_waits_where_both_ends_take_turns() -> None:
    acks = StreamAcks()
    take_turns(acks, 8)
    acks.on_received(NOW)
    assert not acks.is_due
    assert acks.next_timeout() == NOW + STREAM_ACK_DELAY
    assert not acks.expire(NOW + STREAM_ACK_DELAY - 1)
    assert acks.take() == 9
    assert acks.next_timeout() is None
    assert not acks.expire(NOW + STREAM_ACK_DELAY)


def test_a_turn_that_is_not_taken_ends_the_conversation() -> None:
    acks = StreamAcks()
    take_turns(acks, 8)
    acks.on_received(NOW)
    assert acks.expire(NOW + STREAM_ACK_DELAY)
    assert acks.is_due
    assert acks.take() == 9
    acks.on_sent()
    acks.on_received(NOW + 6 * MILLISECOND)
    assert acks.is_due


def test_a_second_message_before_the_answer_is_acknowledged_at_once() -> None:
    acks = StreamAcks()
    take_turns(acks, 8)
    acks.on_received(NOW)
    acks.on_received(NOW)
    assert acks.is_due
    assert acks.take() == 10
    assert acks.next_timeout() is None
