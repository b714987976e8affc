"""Both ends of two connections choose the same one."""

from __future__ import annotations

import pytest

from node.transport.duplicates import DUPLICATE_WINDOW, Claim, is_newer_kept
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
        survivor = new if is_newer_kept(own, peer, old=old, new=new) else old
        kept.append(own if survivor.is_initiator else peer)
    assert kept == [SMALL, SMALL]


@pytest.mark.parametrize(("own", "peer"), ENDS)
@pytest.mark.parametrize("is_initiator", [True, False])
def test_of_two_dials_of_one_node_the_later_stays_in_whatever_order_they_arrive(
    own: NodeId, peer: NodeId, is_initiator: bool
) -> None:
    first = claim(is_initiator=is_initiator, dial_number=4)
    second = claim(is_initiator=is_initiator, dial_number=7)
    assert is_newer_kept(own, peer, old=first, new=second)
    assert not is_newer_kept(own, peer, old=second, new=first)


@pytest.mark.parametrize(("own", "peer"), ENDS)
@pytest.mark.parametrize("is_initiator", [True, False])
def test_a_new_process_of_the_peer_always_wins(own: NodeId, peer: NodeId, is_initiator: bool) -> None:
    old = claim(is_initiator=not is_initiator, dial_number=9)
    new = claim(is_initiator=is_initiator, process=b"after the restart")
    assert is_newer_kept(own, peer, old=old, new=new)


@pytest.mark.parametrize(("own", "peer"), ENDS)
@pytest.mark.parametrize("is_initiator", [True, False])
def test_a_peer_that_dials_again_long_after_has_lost_the_old_connection(
    own: NodeId, peer: NodeId, is_initiator: bool
) -> None:
    old = claim(is_initiator=not is_initiator)
    assert is_newer_kept(own, peer, old=old, new=claim(is_initiator=is_initiator, at=DUPLICATE_WINDOW))
    still_crossing = claim(is_initiator=is_initiator, at=DUPLICATE_WINDOW - 1)
    assert is_newer_kept(own, peer, old=old, new=still_crossing) == (is_initiator == (own < peer))
