from __future__ import annotations

from node.peers.buckets import Buckets
from node.types import NodeId

ANN, BEN, CAT = (NodeId(bytes([number]) * 32) for number in range(3))


def test_nodes_are_found_in_their_bucket_and_in_the_order_in_which_they_came() -> None:
    table: Buckets[str] = Buckets()
    for node_id, number in ((CAT, 1), (ANN, 0), (BEN, 1)):
        table.put(node_id, number, f"in {number}")
    assert table.all() == [CAT, ANN, BEN]
    assert list(table.bucket(1).items()) == [(CAT, "in 1"), (BEN, "in 1")]
    assert ANN in table
    assert len(table) == 3


def test_a_node_that_is_removed_is_nowhere_and_one_that_is_not_there_may_be_removed() -> None:
    table: Buckets[None] = Buckets()
    table.put(ANN, 7, None)
    table.remove(ANN)
    table.remove(BEN)
    assert (ANN in table, len(table), dict(table.bucket(7)), dict(table.bucket(8))) == (False, 0, {}, {})
