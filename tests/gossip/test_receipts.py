"""Following broadcasts."""

from __future__ import annotations

from node.gossip.receipts import VISIT_INTERVAL, Receipts
from node.types import SECOND, NodeId
from node.wire.limits import RECEIPTS_MAX

ANN, BEN, CID = (NodeId(name * 32) for name in (b"a", b"b", b"c"))
ID = b"i" * 16


def test_each_peer_counts_once_and_an_acknowledgement_does_not_say_that_it_was_accepted() -> None:
    receipts = Receipts()
    receipts.follow(ID, (ANN, BEN), None)
    assert receipts.acked(ANN, ID)
    assert not receipts.acked(ANN, ID)
    assert receipts.holds(BEN, ID)
    assert not receipts.holds(BEN, ID)
    receipt = receipts.get(ID)
    assert receipt is not None
    assert (list(receipt.acked), list(receipt.holders)) == ([ANN], [BEN])


def test_what_is_not_followed_is_nobodys_concern() -> None:
    receipts = Receipts()
    assert not receipts.acked(ANN, ID)
    receipts.follow(ID, (), None)
    receipts.forget(ID)
    assert not receipts.holds(ANN, ID)
    assert len(receipts) == 0


def test_what_is_followed_is_bounded() -> None:
    receipts = Receipts()
    for number in range(RECEIPTS_MAX + 3):
        receipts.follow(number.to_bytes(16, "big"), (), None)
    assert len(receipts) == RECEIPTS_MAX
    assert receipts.get((0).to_bytes(16, "big")) is None


def test_only_those_to_whom_it_was_sent_are_told_of_and_who_has_it_from_others_counts_as_well() -> None:
    receipts = Receipts()
    receipts.follow(ID, (ANN, BEN), None)
    receipts.acked(ANN, ID)
    receipts.holds(BEN, ID)
    receipts.holds(CID, ID)
    receipt = receipts.get(ID)
    assert receipt is not None
    report = receipt.report(ID, ())
    assert (report.acked, report.holders, report.others) == (3, (BEN,), (ANN,))


def test_who_is_not_linked_is_visited_until_it_shows_that_it_has_the_message() -> None:
    receipts = Receipts()
    receipts.follow(ID, (ANN, BEN, CID), 5 * SECOND)
    receipt = receipts.get(ID)
    assert receipt is not None
    assert receipt.visits([ANN], 5 * SECOND) == (BEN, CID)
    assert receipt.visits([ANN], 5 * SECOND + VISIT_INTERVAL - 1) == ()
    receipts.holds(CID, ID)
    assert receipt.visits([], 5 * SECOND + VISIT_INTERVAL) == (ANN, BEN)


def test_who_need_not_be_asked_is_not_visited() -> None:
    receipts = Receipts()
    receipts.follow(ID, (ANN,), None)
    receipt = receipts.get(ID)
    assert receipt is not None
    assert receipt.visits([], 5 * SECOND) == ()
