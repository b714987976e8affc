"""Figures say what the history and the counters say."""

from __future__ import annotations

from node.sim.figures import Propagation, percentile
from node.sim.network import Network, NetworkSettings


def test_percentile_of_ordered_values() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([1, 2, 3, 4], 0.5) == 3
    assert percentile(range(1, 101), 0.99) == 100


def test_latency_and_copies_of_a_small_network() -> None:
    network = Network(NetworkSettings(nodes=4))
    network.start_all()
    network.run(3)
    propagation = Propagation(network)
    assert propagation.figures().delivered == 0
    for _ in range(5):
        network.publish(1)
        network.run(1)
    figures = propagation.figures()
    assert (figures.published, figures.delivered) == (5, 15)
    assert 0.022 <= figures.p50 <= figures.full <= figures.full_max < 0.1
    assert figures.p50 <= figures.p99 <= figures.full_max
    assert 0 <= figures.duplicates <= 3


def test_copies_of_large_bodies_are_counted_by_themselves() -> None:
    network = Network(NetworkSettings(nodes=20, has_met=True))
    network.start_all()
    network.run(6)
    propagation = Propagation(network)
    network.publish(1)
    network.run(1)
    assert propagation.figures().duplicates > 0
    assert propagation.figures().duplicates_large == 0
    network.publish(1, size=4000)
    network.run(1)
    figures = propagation.figures()
    assert 0 < figures.duplicates_large < figures.duplicates
