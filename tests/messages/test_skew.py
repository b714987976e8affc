"""Clocks of peers: measured from echoes, tolerated within bounds."""

from __future__ import annotations

import pytest

from node.errors import DecodeError
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer
from node.messages.skew import Clocks, check_freshness
from node.types import MILLISECOND, SECOND, Duration, NodeId
from node.wire.limits import CLOCK_AHEAD_MAX, CLOCK_SKEW_MAX, MESSAGE_AGE_MAX, PEERS_KNOWN_MAX

WALL = 1_700_000_000 * SECOND
DELAY = 20 * MILLISECOND


def peer(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def exchange(clocks: Clocks, who: NodeId, ahead: Duration, out: Duration = DELAY, back: Duration = DELAY) -> None:
    held = 5 * MILLISECOND
    arrived = WALL + out + ahead
    clocks.observe(who, sent=WALL, received_there=arrived, sent_there=arrived + held, received=WALL + out + held + back)


def message(at: Duration) -> Envelope:
    return Sealer(Identity(b"a" * 32), network_id="net", epoch=1).seal(6, b"", WALL + at)


@pytest.mark.parametrize("ahead", [0, 30 * SECOND, -45 * SECOND])
def test_a_symmetric_way_gives_the_exact_difference(ahead: Duration) -> None:
    clocks = Clocks()
    exchange(clocks, peer(1), ahead)
    assert clocks.of(peer(1)) == ahead


def test_the_error_is_at_most_half_of_the_round_trip_and_the_shortest_one_counts() -> None:
    clocks = Clocks()
    exchange(clocks, peer(1), 0, out=400 * MILLISECOND, back=0)
    assert clocks.of(peer(1)) == 200 * MILLISECOND
    exchange(clocks, peer(1), 0, out=2 * MILLISECOND, back=0)
    assert clocks.of(peer(1)) == MILLISECOND
    exchange(clocks, peer(1), 0, out=400 * MILLISECOND, back=0)
    assert clocks.of(peer(1)) == MILLISECOND


@pytest.mark.parametrize(
    ("received_there", "sent_there", "received"),
    [(0, 0, -1), (0, -1, 10), (0, 100, 10), (0, 0, 11 * SECOND)],
)
def test_an_echo_that_cannot_be_is_ignored(received_there: int, sent_there: int, received: int) -> None:
    clocks = Clocks()
    clocks.observe(
        peer(1), sent=WALL, received_there=WALL + received_there, sent_there=WALL + sent_there, received=WALL + received
    )
    assert clocks.of(peer(1)) is None


def test_one_liar_among_three_peers_changes_nothing_that_matters() -> None:
    clocks = Clocks()
    for number, ahead in enumerate([0, MILLISECOND, 1000 * SECOND]):
        exchange(clocks, peer(number), ahead)
    assert clocks.skew() == MILLISECOND
    assert not clocks.is_doubtful()


def test_a_clock_that_is_far_behind_its_peers_widens_the_future_within_the_limit() -> None:
    clocks = Clocks()
    exchange(clocks, peer(1), 1000 * SECOND)
    assert clocks.is_doubtful()
    assert clocks.ahead_max() == CLOCK_AHEAD_MAX + CLOCK_SKEW_MAX
    assert clocks.age_max() == MESSAGE_AGE_MAX


def test_a_clock_that_is_ahead_of_its_peers_widens_the_age() -> None:
    clocks = Clocks()
    exchange(clocks, peer(1), -30 * SECOND)
    assert clocks.age_max() == MESSAGE_AGE_MAX + 30 * SECOND
    assert clocks.ahead_max() == CLOCK_AHEAD_MAX


@pytest.mark.parametrize("ahead", [60 * SECOND, -60 * SECOND])
def test_a_clock_that_was_set_is_known_from_the_next_echo_on(ahead: Duration) -> None:
    clocks = Clocks()
    exchange(clocks, peer(1), 0)
    exchange(clocks, peer(1), ahead, out=300 * MILLISECOND, back=300 * MILLISECOND)
    assert clocks.of(peer(1)) == ahead


def strays(clocks: Clocks, who: NodeId, ahead: Duration) -> bool:
    clocks.forget(who)
    exchange(clocks, who, ahead)
    return clocks.strays(who)


@pytest.mark.parametrize("side", [1, -1])
def test_a_peer_whose_clock_is_far_off_is_told_of_once_until_it_was_right_again(side: int) -> None:
    clocks = Clocks()
    for number in range(1, 4):
        exchange(clocks, peer(number), 0)
    assert not strays(clocks, peer(9), side * CLOCK_SKEW_MAX)
    assert strays(clocks, peer(9), side * (CLOCK_SKEW_MAX + SECOND))
    assert not clocks.strays(peer(9))
    assert not strays(clocks, peer(9), side * 2 * CLOCK_SKEW_MAX)
    assert not strays(clocks, peer(9), side * (CLOCK_SKEW_MAX - SECOND))
    assert not strays(clocks, peer(9), side * 2 * CLOCK_SKEW_MAX)
    assert not strays(clocks, peer(9), 0)
    assert strays(clocks, peer(9), side * 2 * CLOCK_SKEW_MAX)


def test_a_node_whose_own_clock_is_wrong_accuses_no_other() -> None:
    clocks = Clocks()
    assert not any(strays(clocks, peer(number), 2 * CLOCK_SKEW_MAX) for number in range(1, 4))
    assert clocks.is_doubtful()


def test_peers_that_strayed_are_remembered_within_a_bound() -> None:
    clocks = Clocks()
    for number in range(1, 4):
        exchange(clocks, peer(number), 0)
    for number in range(10, PEERS_KNOWN_MAX + 20):
        assert strays(clocks, peer(number), 2 * CLOCK_SKEW_MAX)
        clocks.forget(peer(number))
    assert len(clocks._strayed) == PEERS_KNOWN_MAX


def test_a_peer_that_is_gone_no_longer_counts() -> None:
    clocks = Clocks()
    exchange(clocks, peer(1), 30 * SECOND)
    clocks.forget(peer(1))
    assert clocks.skew() == 0


def test_the_table_of_clocks_is_bounded() -> None:
    clocks = Clocks()
    for number in range(PEERS_KNOWN_MAX + 1):
        exchange(clocks, peer(number), 0)
    assert len(clocks) == PEERS_KNOWN_MAX


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (0, None),
        (CLOCK_AHEAD_MAX, None),
        (CLOCK_AHEAD_MAX + SECOND, "future"),
        (-MESSAGE_AGE_MAX, None),
        (-MESSAGE_AGE_MAX - SECOND, "stale"),
    ],
)
def test_a_message_is_fresh_within_the_bounds(at: Duration, reason: str | None) -> None:
    assert freshness(message(at), Clocks()) == reason


def test_a_node_whose_clock_is_a_minute_behind_accepts_a_peer_that_is_a_minute_ahead() -> None:
    clocks = Clocks()
    for number in range(3):
        exchange(clocks, peer(number), 60 * SECOND)
    assert freshness(message(120 * SECOND), clocks) is None
    assert freshness(message(151 * SECOND), clocks) == "future"


def freshness(envelope: Envelope, clocks: Clocks) -> str | None:
    try:
        check_freshness(envelope, WALL, clocks)
    except DecodeError as error:
        return error.reason
    return None
