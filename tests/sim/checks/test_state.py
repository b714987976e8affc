"""A look into the nodes: tables over their bounds, counters that lie, payloads in clear."""

from __future__ import annotations

import pytest

from node.gossip.settings import GossipSettings
from node.sim.checks.suite import Suite
from node.sim.network import Network, NetworkSettings


@pytest.fixture
def watched() -> tuple[Network, Suite]:
    network = Network(NetworkSettings(nodes=3))
    suite = Suite(network)
    network.start_all()
    network.run(3)
    return network, suite


def found(suite: Suite) -> list[str]:
    suite.finish()
    return [f"{one.invariant} {one.node} {one.subject}" for one in suite.violations]


def test_network_that_does_nothing_wrong_breaks_nothing(watched: tuple[Network, Suite]) -> None:
    network, suite = watched
    network.publish(1)
    network.run(15)
    assert found(suite) == []


def test_table_over_its_bound_is_found(watched: tuple[Network, Suite], monkeypatch: pytest.MonkeyPatch) -> None:
    _, suite = watched
    monkeypatch.setattr("node.sim.checks.state.PEERS_KNOWN_MAX", 1)
    assert found(suite)[0] == "tables-are-bounded 0 table peers"


def test_counter_that_lies_is_found(watched: tuple[Network, Suite]) -> None:
    network, suite = watched
    network.nodes[1].machine.gossip.stats.delivered += 1
    assert found(suite) == ["counters-tell-the-truth 1 counter delivered"]


def test_payload_in_clear_is_found(watched: tuple[Network, Suite]) -> None:
    network, suite = watched
    sealed = b"?" * 30 + b"\xc4\x94sing-a-song-of-sixpence"
    network.world.inject(network.nodes[0].address, network.nodes[1].address, sealed)
    assert found(suite) == [f"nothing-in-clear 0 {len(sealed)} bytes to 10.0.0.1"]


def test_blame_of_an_honest_peer_is_found(watched: tuple[Network, Suite]) -> None:
    network, suite = watched
    next(iter(network.nodes[1].machine.peers.table)).violations = 1
    assert [line.split()[0] for line in found(suite)] == ["honest-stay-blameless"]


def test_evidence_against_an_honest_peer_is_found(watched: tuple[Network, Suite]) -> None:
    network, suite = watched
    network.nodes[2].machine.trust.blame(network.nodes[0].node_id, "broken_promise", 0)
    assert found(suite) == ["honest-stay-blameless 2 node-0"]


def test_mesh_of_a_small_network_that_lacks_anybody_is_found(watched: tuple[Network, Suite]) -> None:
    network, suite = watched
    network.run(6)
    network.nodes[1].machine.gossip.mesh._links[network.nodes[2].node_id].asked = None
    assert "mesh-is-sound 1 mesh" in found(suite)


def test_mesh_over_its_degree_or_without_links_of_its_own_is_found(
    watched: tuple[Network, Suite], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, suite = watched
    network.run(6)
    monkeypatch.setattr("node.sim.checks.state.FULL_MESH_MAX", 1)
    monkeypatch.setattr(GossipSettings, "degree_max", 1)
    monkeypatch.setattr(GossipSettings, "degree_min", 0)
    assert "mesh-is-sound 0 mesh" in found(suite)
