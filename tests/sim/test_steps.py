"""Each action does to the network what its name says, and ends by itself."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from node.impairment.link import LinkSettings
from node.sim import steps
from node.sim.network import Network, NetworkSettings


@pytest.fixture
def network() -> Network:
    network = Network(NetworkSettings(nodes=6))
    network.start_all()
    network.run(3)
    return network


def after(network: Network, action: steps.Action, seconds: float) -> Counter[str]:
    before = len(network.history)
    action(network, Random(1))
    network.run(seconds)
    return Counter(record.kind for record in list(network.history)[before:])


def test_partition_heals_after_its_time(network: Network) -> None:
    assert after(network, steps.partition(5), 4)["cut"] == 1
    assert network.world.cuts
    network.run(2)
    assert not network.world.cuts


def test_share_of_a_partition_is_cut_off_from_the_rest(network: Network) -> None:
    after(network, steps.partition(5, share=1 / 3), 1)
    groups = network.history.of("cut")[0].facts["groups"]
    assert isinstance(groups, list)
    assert sorted(len(group) for group in groups if isinstance(group, list)) == [2, 4]


def test_ring_leaves_two_neighbours_and_heals(network: Network) -> None:
    kinds = after(network, steps.cut_ring(3), 4)
    assert kinds["cut"] == kinds["healed"] == 9


def test_deaf_node_is_cut_one_way(network: Network) -> None:
    after(network, steps.one_way(3), 4)
    facts = network.history.of("cut")[0].facts
    assert len(facts["targets"]) == 1  # type: ignore[arg-type]
    assert not network.world.cuts


def test_crashed_nodes_come_back_or_do_not(network: Network) -> None:
    kinds = after(network, steps.crash(2, back_after=1), 2)
    assert (kinds["crashed"], kinds["started"]) == (2, 2)
    kinds = after(network, steps.crash(2), 2)
    assert (kinds["crashed"], kinds["started"]) == (2, 0)
    assert network.nodes[0].is_alive


def test_nodes_leave_and_come_back(network: Network) -> None:
    kinds = after(network, steps.leave(2, back_after=1), 2)
    assert (kinds["stopped"], kinds["started"]) == (2, 2)


def test_churn_kills_one_after_the_other(network: Network) -> None:
    kinds = after(network, steps.churn(6, every=2, away=1), 8)
    assert (kinds["crashed"], kinds["started"]) == (3, 3)


def test_pauses_end(network: Network) -> None:
    kinds = after(network, steps.random_pauses(4, every=2, length=0.5), 6)
    assert (kinds["paused"], kinds["resumed"]) == (2, 2)


def test_links_change_for_all(network: Network) -> None:
    after(network, steps.links(LinkSettings(loss=0.25)), 0.1)
    assert {link.settings.loss for link in network.world.links.values()} == {0.25}


def test_wrong_clocks_begin_with_a_restart(network: Network) -> None:
    kinds = after(network, steps.wrong_clocks(0.5, 60.0), 3)
    assert (kinds["clock"], kinds["crashed"], kinds["started"]) == (3, 3, 3)
    assert sorted({abs(node.skew) for node in network.nodes}) == [0, 60_000_000_000]
