"""When a bad network is over, what quiet links say of it is over soon."""

from __future__ import annotations

from node.impairment.link import LinkSettings
from node.sim.network import Network, NetworkSettings
from node.transport.stats import ConnectionSnapshot
from node.types import MILLISECOND

NODES = 10
"""More than have each other as neighbours: some links have one heartbeat in two seconds."""

CLEAN = LinkSettings(delay=1 * MILLISECOND)
FAULT = LinkSettings(delay=81 * MILLISECOND, loss=0.2)
BASE_RTT = 2 * MILLISECOND


def links(network: Network) -> list[ConnectionSnapshot]:
    found = [
        link.connection
        for node in network.nodes
        for link in node.machine.snapshot(network.world.now).links
        if link.connection.transport == "udp"
    ]
    assert len(found) == len(network.nodes) * (len(network.nodes) - 1)
    return found


def has_healed(link: ConnectionSnapshot) -> bool:
    assert link.smoothed_rtt is not None
    return link.smoothed_rtt < 1.5 * BASE_RTT and link.computed_rto < 20 * MILLISECOND and not link.rto_backoff


def retransmitted(network: Network) -> int:
    return sum(sum(link.stats.packets_retransmitted.values()) for link in links(network))


def test_links_that_were_slow_from_the_start_learn_that_their_path_has_become_faster() -> None:
    network = Network(NetworkSettings(nodes=4, link=FAULT, keeps_history=False, has_trace=False))
    network.start_all()
    network.run(60)
    before = links(network)
    assert min(link.min_rtt or 0 for link in before) == 162 * MILLISECOND
    sent = sum(link.stats.packets_sent for link in before)

    network.set_links(CLEAN)
    network.run(30)

    assert all(map(has_healed, links(network)))
    # Two a second for heartbeats, and few more for what is asked to be sure.
    assert sum(link.stats.packets_sent for link in links(network)) - sent < 12 * 30 * 2.4


def test_quiet_links_are_back_at_base_within_thirty_seconds_of_a_fault() -> None:
    network = Network(NetworkSettings(nodes=NODES, link=CLEAN, keeps_history=False, has_trace=False))
    network.start_all()
    network.run(30)
    assert all(map(has_healed, links(network)))
    network.set_links(FAULT)
    network.publish(0)
    network.run(30)
    assert not any(map(has_healed, links(network)))
    assert retransmitted(network) > 0

    network.set_links(CLEAN)
    network.run(1)
    before = retransmitted(network)
    network.run(14)
    assert sum(map(has_healed, links(network))) > NODES * (NODES - 1) / 2
    network.run(15)

    assert all(map(has_healed, links(network)))
    assert retransmitted(network) == before
