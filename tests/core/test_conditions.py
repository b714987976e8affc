"""What a node's connections say about the network."""

from __future__ import annotations

import pytest

from node.core.conditions import Conditions
from node.types import MILLISECOND
from tests.core.network import Network, link, meshed

pytestmark = pytest.mark.simulator


def conditions(network: Network) -> Conditions:
    return Conditions(network.machine(0).udp)


def test_the_round_trip_time_of_a_peer_is_known_and_of_a_stranger_is_not() -> None:
    network = meshed(2, default=link(delay=0.02))
    network.world.run(5)
    rtt = conditions(network).rtt(network.identities[1].public_key)
    assert rtt is not None
    assert 40 * MILLISECOND <= rtt <= 70 * MILLISECOND
    assert conditions(network).rtt(network.identities[0].public_key) is None
    assert Conditions(None).rtt(network.identities[1].public_key) is None


@pytest.mark.parametrize(("loss", "least", "most"), [(0.0, 0.0, 0.0), (0.2, 0.08, 0.3)])
def test_the_share_of_lost_packets_is_measured(loss: float, least: float, most: float) -> None:
    network = meshed(4, default=link(loss=loss))
    network.world.run(60)
    assert least <= conditions(network).read() <= most


def test_too_few_packets_say_nothing() -> None:
    assert Conditions(None).read() == 0.0
    assert conditions(Network(1)).read() == 0.0


def test_what_is_here_of_a_message_in_part_is_known_over_either_carrier() -> None:
    network = meshed(2, default=link(delay=0.02), enable_tcp=True)
    machine = network.machine(0)
    reader = Conditions(machine.udp, machine.tcp)
    author = network.identities[1].public_key

    def arriving() -> int:
        return reader.arriving(author, network.world.now)

    assert arriving() == 0
    network.streams.is_blocked = True
    network.broadcast(1, {"blob": bytes(250_000)})
    assert network.world.run_until(lambda: arriving() > 10_000, 2, every=0.005)
    network.world.run(5)
    assert arriving() == 0
    assert Conditions(None).arriving(author, 0) == 0
