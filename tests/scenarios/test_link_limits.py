"""Networks whose nodes may have few links: they come together, stay whole, and keep to what they may have."""

from __future__ import annotations

import pytest

from node.sim.cheap import cheap_crypto
from node.sim.network import Network, NetworkSettings


@pytest.mark.parametrize(("nodes", "peers_max"), [(10, 2), (10, 4), (30, 4), (30, 8)])
def test_nodes_that_may_have_few_links_find_each_other_soon_and_keep_to_their_number(
    nodes: int, peers_max: int
) -> None:
    with cheap_crypto():
        network = Network(NetworkSettings(nodes=nodes, core={"peers_max": peers_max}, has_trace=False))
        network.start_all()
        assert network.run_until(lambda: all(known(network, number) for number in range(nodes)), 6)
        network.run(25)
        assert network.is_connected()
        sent_away = [one for one in network.history.of("peer_down") if one.facts["reason"] == "connection_limit"]
        samples = []
        for _ in range(20):
            network.run(0.5)
            samples += [len(node.machine.peers.table.active()) for node in network.nodes]
    assert sum(links > peers_max for links in samples) <= 0.03 * len(samples)
    assert min(samples) >= 1
    assert len(sent_away) <= 6 * nodes


def known(network: Network, number: int) -> bool:
    """Whether that node knows everybody."""
    return network.nodes[number].machine.peers.members.population == len(network.nodes)
