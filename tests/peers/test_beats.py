"""The frames by which nodes show that they live, and the clocks that they compare."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.peers.beats import Act, Beat, Clockwork, Question, parse_beat
from node.types import MILLISECOND, SECOND, NodeId
from node.wire.limits import PEERS_KNOWN_MAX

KEY = NodeId(b"k" * 32)


def test_every_frame_is_read_as_it_was_written() -> None:
    assert parse_beat([0, b"digest 8", 7, 8, 9]) == Beat(b"digest 8", 7, 8, 9)
    assert parse_beat([1, 5]) == Question(Act.PING, 5)
    assert parse_beat([2, 5]) == Question(Act.ACK, 5)
    assert parse_beat([3, 5, KEY]) == Question(Act.RELAY, 5, KEY)
    assert parse_beat([4, 5]) == Question(Act.NACK, 5)


@pytest.mark.parametrize(
    "fields", [[], [0], [0, b"", -1, 0, 0], [0, b"", 1 << 63, 0, 0], [3, 5], [3, 5, b"short"], [-1, 1]]
)
def test_a_frame_of_another_shape_is_malformed(fields: list[Any]) -> None:
    with pytest.raises(DecodeError, match="malformed"):
        parse_beat(fields)


def test_a_later_action_is_unknown() -> None:
    with pytest.raises(DecodeError, match="unknown_kind"):
        parse_beat([5, 1])


@given(st.lists(st.integers() | st.binary(max_size=33) | st.none(), max_size=6))
def test_any_fields_give_a_frame_or_a_decode_error(fields: list[Any]) -> None:
    with suppress(DecodeError):
        parse_beat(fields)


def test_two_heartbeats_and_their_echo_tell_four_instants() -> None:
    # The other clock is five seconds ahead; 20 ms there, 100 ms held, 30 ms back.
    near, far = Clockwork(1000 * SECOND), Clockwork(1005 * SECOND)
    first = parse_beat(list(near.fields(KEY, b"", 0)))
    assert isinstance(first, Beat)
    assert far.heard(KEY, first, 20 * MILLISECOND) is None
    second = parse_beat(list(far.fields(KEY, b"", 120 * MILLISECOND)))
    assert isinstance(second, Beat)
    sample = near.heard(KEY, second, 150 * MILLISECOND)
    assert sample is not None
    assert sample.sent == 1000 * SECOND
    assert sample.received_there == 1005 * SECOND + 20 * MILLISECOND
    assert sample.sent_there == 1005 * SECOND + 120 * MILLISECOND
    assert sample.received == 1000 * SECOND + 150 * MILLISECOND


def test_echoes_are_bounded_and_forgotten_with_the_peer() -> None:
    clockwork = Clockwork(0)
    for number in range(PEERS_KNOWN_MAX + 5):
        clockwork.heard(NodeId(number.to_bytes(32, "big")), Beat(b"", 1, 0, 0), 0)
    assert len(clockwork._heard) == PEERS_KNOWN_MAX
    clockwork.heard(KEY, Beat(b"", 1, 0, 0), 0)
    clockwork.forget(KEY)
    assert clockwork.fields(KEY, b"", 0)[3] == 0
