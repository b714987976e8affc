"""What an earlier life of a node may have delivered is not delivered again, and nothing waits for long."""

from __future__ import annotations

import pytest

from node.gossip.lives import HELD_TIME, Held, Lives
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer
from node.messages.skew import Clocks
from node.types import MILLISECOND, SECOND, Duration, NodeId
from node.wire.limits import HELD_BYTES_MAX, HELD_MESSAGES_MAX, PAYLOAD_BYTES_MAX

WALL = 1_700_000_000 * SECOND
"""When this life began."""

AUTHOR = Identity(b"a" * 32)
PEER = NodeId(b"p" * 32)


def lives(*, has_past: bool = True, skew: Duration | None = None) -> tuple[Lives, Clocks]:
    clocks = Clocks()
    made = Lives(clocks, lambda timestamp: timestamp >= WALL // MILLISECOND)
    made.has_past = has_past
    if skew is not None:
        know(clocks, skew)
    return made, clocks


def know(clocks: Clocks, skew: Duration) -> None:
    at = WALL + skew
    clocks.observe(AUTHOR.public_key, sent=WALL, received_there=at, sent_there=at, received=WALL)


def message(at: Duration, author: Identity = AUTHOR) -> Envelope:
    return Sealer(author, network_id="net", epoch=1).seal(6, b"", WALL + at)


@pytest.mark.parametrize(
    ("at", "skew", "was_missed", "expected"),
    [
        (SECOND, None, False, True),
        (-SECOND, None, False, False),
        (-SECOND, None, True, False),
        (-SECOND, 0, False, False),
        (-SECOND, -5 * SECOND, False, True),
        (SECOND, 5 * SECOND, False, False),
    ],
)
def test_its_time_by_the_authors_clock_tells(
    at: Duration, skew: Duration | None, was_missed: bool, expected: bool
) -> None:
    made, _ = lives(skew=skew)
    assert made.is_of_this(message(at), was_missed=was_missed) is expected


def test_a_node_without_a_past_has_nothing_to_wait_for() -> None:
    made, _ = lives(has_past=False)
    assert made.is_of_this(message(-SECOND), was_missed=False) is True


def test_what_follows_a_message_of_this_life_is_of_it_whatever_its_time() -> None:
    made, _ = lives()
    sealer = Sealer(AUTHOR, network_id="net", epoch=1)
    assert made.is_of_this(sealer.seal(6, b"", WALL), was_missed=False)
    assert made.is_of_this(sealer.seal(6, b"", WALL - 60 * SECOND), was_missed=False)


def held(envelope: Envelope, *, was_missed: bool = False) -> Held:
    return Held(envelope, PEER, 2, HELD_TIME, was_missed)


def test_an_author_that_was_started_again_with_another_clock_is_not_judged_by_the_one_before() -> None:
    made, _ = lives(skew=0)
    assert made.is_of_this(message(SECOND), was_missed=False)
    later = Sealer(AUTHOR, network_id="net", epoch=2).seal(6, b"", WALL - 60 * SECOND)
    assert made.is_of_this(later, was_missed=False) is True
    assert made.is_of_this(message(-60 * SECOND), was_missed=False) is False


@pytest.mark.parametrize(("skew", "expected"), [(0, False), (-60 * SECOND, True)])
def test_a_held_message_is_judged_once_its_authors_clock_is_known(skew: Duration, expected: bool) -> None:
    made, clocks = lives()
    assert made.hold(held(message(-SECOND))) == []
    assert made.decided(HELD_TIME - 1) == []
    know(clocks, skew)
    assert made.decided(HELD_TIME - 1 if expected else HELD_TIME) == [(held(message(-SECOND)), expected)]
    assert len(made) == 0


def test_a_clock_that_was_set_since_it_was_compared_costs_no_message() -> None:
    made, clocks = lives(has_past=False, skew=0)
    assert made.is_of_this(message(-60 * SECOND), was_missed=False) is False
    made.hold(held(message(-60 * SECOND)))
    know(clocks, -70 * SECOND)
    assert made.decided(0) == [(held(message(-60 * SECOND)), True)]


def test_an_author_whose_clock_stays_unknown_is_believed_after_a_moment() -> None:
    made, _ = lives()
    made.hold(held(message(-SECOND)))
    assert [verdict for _, verdict in made.decided(HELD_TIME)] == [True]


@pytest.mark.parametrize("skew", [30 * SECOND, -30 * SECOND])
@pytest.mark.parametrize("is_peer", [True, False])
def test_a_clock_that_was_set_between_two_lives_neither_repeats_nor_loses(skew: Duration, is_peer: bool) -> None:
    made, clocks = lives()
    made.may_repeat = True
    author = AUTHOR if is_peer else Identity(b"n" * 32)
    before, after = message(skew - SECOND, author), message(skew + SECOND, author)
    for one in (before, after):
        assert made.is_of_this(one, was_missed=True) is False
        assert made.hold(held(one, was_missed=True)) == []
    know(clocks, skew)
    assert [verdict for _, verdict in sorted(made.decided(HELD_TIME), key=lambda pair: pair[1])] == [False, True]


@pytest.mark.parametrize(("has_past", "expected"), [(True, False), (False, True)])
def test_what_a_node_without_a_past_missed_is_believed_after_a_moment(has_past: bool, expected: bool) -> None:
    made, _ = lives(has_past=has_past)
    assert made.is_of_this(message(-SECOND), was_missed=True) is False
    made.hold(held(message(-SECOND), was_missed=True))
    assert [verdict for _, verdict in made.decided(HELD_TIME)] == [expected]


def test_a_node_that_remembers_all_that_it_delivered_waits_for_nothing_that_it_missed() -> None:
    made, _ = lives()
    assert made.is_of_this(message(SECOND), was_missed=True) is True


def test_what_is_held_is_bounded_and_the_oldest_is_believed_first() -> None:
    made, _ = lives()
    messages = [message(-SECOND, Identity(number.to_bytes(32, "big"))) for number in range(HELD_MESSAGES_MAX + 1)]
    crowded_out = [pair for one in messages for pair in made.hold(held(one))]
    assert crowded_out == [(held(messages[0]), True)]
    assert len(made) == HELD_MESSAGES_MAX


def test_what_is_held_is_bounded_in_bytes() -> None:
    made, _ = lives()
    large = Sealer(AUTHOR, network_id="net", epoch=1)
    size = PAYLOAD_BYTES_MAX
    crowded_out = [made.hold(held(large.seal(6, bytes(size), WALL))) for _ in range(HELD_BYTES_MAX // size + 1)]
    assert any(crowded_out)
    assert len(made) <= HELD_BYTES_MAX // size
