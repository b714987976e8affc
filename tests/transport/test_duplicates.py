"""Both ends of two connections choose the same one."""

from __future__ import annotations

import pytest

from node.transport.duplicates import CROSSING_TIME, DUPLICATE_WINDOW, Choice, Claim, choose
from node.types import Instant, NodeId

SMALL, LARGE = NodeId(bytes(32)), NodeId(b"\xff" * 32)
ENDS = [(SMALL, LARGE), (LARGE, SMALL)]


def claim(*, is_initiator: bool, dial_number: int = 1, process: bytes = b"same", at: Instant = 0) -> Claim:
    return Claim(is_initiator=is_initiator, dial_number=dial_number, peer_static=process, established_at=at)


@pytest.mark.parametrize("is_ours_first", [True, False])
@pytest.mark.must("M22")
def test_of_two_crossing_dials_both_ends_keep_that_of_the_smaller_key(is_ours_first: bool) -> None:
    kept = []
    for own, peer in ENDS:
        ours, theirs = claim(is_initiator=True), claim(is_initiator=False)
        old, new = (ours, theirs) if is_ours_first else (theirs, ours)
        survivor = new if choose(own, peer, old=old, new=new) is Choice.STAYS else old
        kept.append(own if survivor.is_initiator else peer)
    assert kept == [SMALL, SMALL]


@pytest.mark.parametrize(("own", "peer"), ENDS)
@pytest.mark.parametrize("is_initiator", [True, False])
def test_of_two_dials_of_one_node_the_later_stays_in_whatever_order_they_arrive(
    own: NodeId, peer: NodeId, is_initiator: bool
) -> None:
    first = claim(is_initiator=is_initiator, dial_number=4)
    second = claim(is_initiator=is_initiator, dial_number=7)
    assert choose(own, peer, old=first, new=second) is Choice.STAYS
    assert choose(own, peer, old=second, new=first) is Choice.GOES


@pytest.mark.parametrize(("own", "peer"), ENDS)
@pytest.mark.parametrize("is_initiator", [True, False])
def test_a_new_process_of_the_peer_always_wins(own: NodeId, peer: NodeId, is_initiator: bool) -> None:
    old = claim(is_initiator=not is_initiator, dial_number=9)
    new = claim(is_initiator=is_initiator, process=b"after the restart")
    assert choose(own, peer, old=old, new=new) is Choice.STAYS


@pytest.mark.parametrize(("own", "peer"), ENDS)
@pytest.mark.parametrize("is_initiator", [True, False])
def test_a_peer_that_dials_again_long_after_has_lost_the_old_connection(
    own: NodeId, peer: NodeId, is_initiator: bool
) -> None:
    old = claim(is_initiator=not is_initiator)
    assert choose(own, peer, old=old, new=claim(is_initiator=is_initiator, at=DUPLICATE_WINDOW)) is Choice.STAYS
    perhaps_crossing = choose(own, peer, old=old, new=claim(is_initiator=is_initiator, at=DUPLICATE_WINDOW - 1))
    assert (perhaps_crossing is Choice.STAYS) == (is_initiator == (own < peer))


@pytest.mark.must("M22")
@pytest.mark.parametrize(("own", "peer"), ENDS)
@pytest.mark.parametrize("lead", [1, CROSSING_TIME, 2 * CROSSING_TIME])
@pytest.mark.parametrize("age", [0, CROSSING_TIME - 1, CROSSING_TIME, DUPLICATE_WINDOW - 1, DUPLICATE_WINDOW])
def test_the_end_that_has_the_old_one_for_longer_decides_alike_or_is_not_asked(
    own: NodeId, peer: NodeId, age: int, lead: int
) -> None:
    """The peer dials the new one, and has the old one, which we dialled, for `age`; we for `lead` more."""
    theirs = choose(peer, own, old=claim(is_initiator=False), new=claim(is_initiator=True, at=age))
    ours = choose(own, peer, old=claim(is_initiator=True), new=claim(is_initiator=False, at=age + lead))
    assert theirs is Choice.IS_WITHHELD or ours is theirs
