"""The bucket of statements that each peer may bring."""

from __future__ import annotations

from node.trust.allowance import Allowance
from node.types import SECOND, NodeId
from node.wire.limits import PEERS_KNOWN_MAX, STATEMENTS_BURST_MAX, STATEMENTS_PER_SECOND_MAX

PEER, OTHER = NodeId(b"p" * 32), NodeId(b"q" * 32)


def taken(allowance: Allowance, peer: NodeId, now: int) -> int:
    count = 0
    while allowance.take(peer, now):
        count += 1
    return count


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    allowance = Allowance()
    assert taken(allowance, PEER, 0) == STATEMENTS_BURST_MAX
    assert taken(allowance, PEER, SECOND) == STATEMENTS_PER_SECOND_MAX
    assert taken(allowance, PEER, 3 * SECOND) == 2 * STATEMENTS_PER_SECOND_MAX


def test_one_peer_does_not_use_up_what_belongs_to_another() -> None:
    allowance = Allowance()
    taken(allowance, PEER, 0)
    assert taken(allowance, OTHER, 0) == STATEMENTS_BURST_MAX


def test_rest_never_saves_up_more_than_a_burst() -> None:
    allowance = Allowance()
    allowance.take(PEER, 0)
    assert taken(allowance, PEER, 10**6 * SECOND) == STATEMENTS_BURST_MAX


def test_the_table_of_buckets_is_bounded() -> None:
    allowance = Allowance()
    for number in range(PEERS_KNOWN_MAX + 5):
        allowance.take(NodeId(number.to_bytes(32, "big")), 0)
    assert len(allowance) == PEERS_KNOWN_MAX
