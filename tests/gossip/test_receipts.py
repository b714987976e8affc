"""Following broadcasts."""

from __future__ import annotations

from node.gossip.receipts import Receipts
from node.types import NodeId
from node.wire.limits import RECEIPTS_MAX

ANN, BEN = NodeId(b"a" * 32), NodeId(b"b" * 32)
ID = b"i" * 16


def test_each_peer_counts_once_and_an_acknowledgement_does_not_say_that_it_was_accepted() -> None:
    receipts = Receipts()
    receipts.follow(ID)
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
    receipts.follow(ID)
    receipts.forget(ID)
    assert not receipts.holds(ANN, ID)
    assert len(receipts) == 0


def test_what_is_followed_is_bounded() -> None:
    receipts = Receipts()
    for number in range(RECEIPTS_MAX + 3):
        receipts.follow(number.to_bytes(16, "big"))
    assert len(receipts) == RECEIPTS_MAX
    assert receipts.get((0).to_bytes(16, "big")) is None
