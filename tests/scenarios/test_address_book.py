"""Attackers who flood peer exchange own neither a node's address book nor its next life."""

from __future__ import annotations

import pytest

from node.sim.cheap import cheap_crypto
from node.sim.hostile import SYBIL
from node.sim.network import Network, NetworkSettings
from node.wire.limits import HEARSAY_PER_BUCKET, HEARSAY_REACH

HONEST = 8
ATTACKERS = 4
VICTIM = 3


def attacked() -> Network:
    """Eight nodes, and four that tell everybody of a crowd that does not exist."""
    network = Network(NetworkSettings(nodes=HONEST, has_trace=False, keeps_history=False))
    for _ in range(ATTACKERS):
        network.add_node(SYBIL)
    network.start_all()
    network.run(20)
    return network


@pytest.mark.slow
def test_a_flood_of_peer_exchange_fills_a_bounded_share_and_the_next_life_finds_honest_nodes() -> None:
    with cheap_crypto():
        network = attacked()
        machine = network.nodes[VICTIM].machine
        honest = {node.node_id for node in network.nodes[:HONEST]} - {network.nodes[VICTIM].node_id}
        assert machine.peers.stats.addresses_learned > 1000
        assert len(machine.peers.membership.hearsay) <= HEARSAY_REACH * HEARSAY_PER_BUCKET
        assert all(node_id in machine.peers.book.tried for node_id in honest)
        # Its only bootstrap address is gone when it returns: what it finds, it finds by its book.
        network.crash(0)
        network.restart(VICTIM, after=1.0)
        network.run(10)
        active = {peer.node_id for peer in network.nodes[VICTIM].machine.peers.table.active()}
        assert len(active & honest) >= HONEST // 2
        message = network.publish(1)
        network.run(3)
        assert network.nodes[VICTIM].machine.gossip.stats.delivered >= 1, message
