"""When two nodes compare what they have."""

from __future__ import annotations

from node.gossip.sync import BARREN_ENOUGH, SYNC_INTERVAL, SYNC_INTERVAL_MAX, SYNC_QUIET, Syncs
from node.types import SECOND, NodeId

PEER = NodeId(b"p" * 32)
LATER = 100 * SECOND


def linked() -> Syncs:
    syncs = Syncs()
    syncs.add(PEER, 0)
    return syncs


def test_a_digest_does_not_depend_on_the_order_of_arrival() -> None:
    first, second = Syncs(), Syncs()
    for message_id in (b"a" * 16, b"b" * 16, b"c" * 16):
        first.accepted(message_id, 0)
    for message_id in (b"c" * 16, b"a" * 16, b"b" * 16):
        second.accepted(message_id, 0)
    assert first.digest() == second.digest() != Syncs().digest()


def test_a_difference_that_was_agreed_is_none() -> None:
    syncs = linked()
    assert syncs.heard(PEER, 42, LATER)
    syncs.begin(PEER, 1, LATER)
    syncs.finish(PEER, 42, LATER)
    assert not syncs.heard(PEER, 42, 2 * LATER)
    # The same message at both ends changes both digests and not their difference.
    syncs.accepted(b"m" * 16, 2 * LATER)
    assert not syncs.heard(PEER, 42 ^ int.from_bytes(b"m" * 8, "big"), 3 * LATER)
    assert syncs.heard(PEER, 42, 3 * LATER)


def test_a_message_that_may_be_under_way_is_waited_for_once() -> None:
    syncs = linked()
    syncs.accepted(b"m" * 16, LATER)
    assert not syncs.heard(PEER, 42, LATER + SYNC_QUIET - 1)
    assert syncs.heard(PEER, 42, LATER + SYNC_QUIET - 1)


def test_exchanges_that_find_nothing_become_rarer_and_one_that_does_resets_that() -> None:
    syncs, state = linked(), None
    for expected in (2, 4, 4):
        syncs.begin(PEER, 1, 0)
        syncs.finish(PEER, 42, 0)
        state = syncs.get(PEER)
        assert state is not None
        assert state.pause == expected * SYNC_INTERVAL <= SYNC_INTERVAL_MAX
    assert state is not None
    syncs.begin(PEER, 1, 0)
    state.found = 1
    syncs.finish(PEER, 43, 0)
    assert state.pause == SYNC_INTERVAL
    assert syncs.differs(PEER)


def test_a_difference_that_the_peer_cannot_fill_is_agreed_the_second_time() -> None:
    syncs = linked()
    state = syncs.get(PEER)
    assert state is not None
    for turn in range(BARREN_ENOUGH):
        assert state.agreed is None, turn
        syncs.begin(PEER, 1, 0)
        state.is_behind = True
        syncs.finish(PEER, 42, 0)
    assert state.agreed == 42


def test_a_stranger_is_never_asked() -> None:
    syncs = Syncs()
    assert not syncs.heard(PEER, 42, LATER)
    assert not syncs.differs(PEER)
