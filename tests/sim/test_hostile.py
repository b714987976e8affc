"""Each hostile role does what it is named for, and the honest keep their promises all the same."""

from __future__ import annotations

import pytest

from node.core.mouth import Mouth
from node.sim.checks.suite import Suite
from node.sim.hostile import (
    DROPPER,
    ECLIPSER,
    EQUIVOCATOR,
    FORGER,
    HOSTILE,
    REPLAYER,
    SLANDERER,
    SPAMMER,
    SYBIL,
)
from node.sim.network import Network, NetworkSettings
from node.sim.nodes import Role
from node.wire.limits import HEARSAY_PER_BUCKET, HEARSAY_REACH

VILLAIN = 4


def attacked(role: Role, seconds: float = 8.0) -> tuple[Network, Mouth]:
    """Five nodes, the last of which is hostile, with some messages of the honest."""
    network = Network(NetworkSettings(nodes=5))
    network.nodes[VILLAIN].role = role
    suite = Suite(network, within=10)
    network.start_all()
    network.run(3)
    for _ in range(int(seconds)):
        network.publish(1, size=100)
        network.run(1)
    suite.tick()
    assert [str(one) for one in suite.violations] == []
    mouth = network.nodes[VILLAIN].bag["villain"].mouth
    assert isinstance(mouth, Mouth)
    return network, mouth


def rejected(network: Network, reason: str) -> int:
    return sum(node.machine.gossip.stats.rejected[reason] for node in network.nodes[:VILLAIN] if node.is_alive)


def test_every_role_is_hostile_and_has_a_name_of_its_own() -> None:
    assert len({role.name for role in HOSTILE}) == len(HOSTILE)
    assert not any(role.is_honest for role in HOSTILE)


def test_dropper_passes_nothing_on_but_its_own() -> None:
    network, mouth = attacked(DROPPER)
    assert mouth.withheld + len(mouth.heard) > 0
    message = network.publish(VILLAIN)
    network.run(1)
    assert sum(record.facts["message"] == message for record in network.history.of("delivered")) == 4


def test_spammer_is_held_to_its_rate() -> None:
    network, mouth = attacked(SPAMMER, 3)
    assert mouth.said > 1_000
    stats = [node.machine.gossip.stats for node in network.nodes[:VILLAIN]]
    assert sum(one.rate_limited + one.rejected["rate_limited"] for one in stats) > 0


def test_replayer_is_told_apart_by_a_hash() -> None:
    network, mouth = attacked(REPLAYER)
    assert mouth.said > 20
    assert sum(node.machine.gossip.stats.duplicates for node in network.nodes[:VILLAIN]) >= 20


def test_forger_is_refused_for_each_of_its_lies() -> None:
    network, mouth = attacked(FORGER, 20)
    assert mouth.said > 10
    for reason in ("bad_signature", "wrong_network"):
        assert rejected(network, reason) > 0, reason
    assert rejected(network, "stale") + rejected(network, "future") > 0


def test_equivocator_is_caught_with_both_of_its_messages() -> None:
    network, _ = attacked(EQUIVOCATOR)
    assert network.history.of("equivocated")
    assert rejected(network, "equivocating") > 0


def test_eclipser_asks_to_be_in_every_mesh() -> None:
    _, mouth = attacked(ECLIPSER)
    assert mouth.said > 20


def test_sybils_cost_few_dials_and_no_link_between_the_honest() -> None:
    network, _ = attacked(SYBIL, 12)
    network.run(20)
    honest = network.nodes[:VILLAIN]
    before = [node.machine.peers.stats.dials for node in honest]
    network.run(40)
    for node, dials in zip(honest, before, strict=True):
        peers = node.machine.peers
        assert sum(member.incarnation > 0 for member in peers.members.all()) > 100
        assert peers.stats.dials - dials <= 12
        linked = {peer.node_id for peer in peers.table.active()}
        assert {other.node_id for other in honest if other is not node} <= linked


def test_sybil_fills_no_table() -> None:
    network, mouth = attacked(SYBIL)
    assert mouth.said > 20
    for node in network.nodes[:VILLAIN]:
        assert len(node.machine.peers.table) <= HEARSAY_REACH * HEARSAY_PER_BUCKET + 4


@pytest.mark.parametrize("role", HOSTILE, ids=lambda role: role.name)
def test_role_ends_with_the_life_of_its_node(role: Role) -> None:
    network = Network(NetworkSettings(nodes=3))
    network.nodes[2].role = role
    network.start_all()
    network.run(2)
    network.crash(2)
    said = network.nodes[2].bag["villain"].mouth.said
    network.run(2)
    assert network.nodes[2].bag["villain"].mouth.said == said


def test_slanderer_is_heard_and_moves_nobody() -> None:
    network, _ = attacked(SLANDERER, 8)
    for node in network.nodes[:VILLAIN]:
        trust = node.machine.trust
        assert trust.stats.statements_accepted > 0
        assert all(entry.score >= 0 for entry in trust.overview(0).entries)
