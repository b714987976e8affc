"""Syncs that carry what the mesh should, and what excuses them."""

from __future__ import annotations

import pytest

from node.sim.checks.spread import SYNCED_FEW
from node.sim.checks.suite import Suite
from node.sim.network import Network, NetworkSettings


def found(*, disturbance: str = "", synced: int = SYNCED_FEW + 10) -> list[str]:
    network = Network(NetworkSettings(nodes=3))
    suite = Suite(network)
    network.start_all()
    network.run(3)
    network.publish(1)
    match disturbance:
        case "pause":
            network.pause(2, 0.5)
        case "cut":
            network.heal(network.partition([[0], [1, 2]]))
        case "restart":
            network.restart(2, after=0.1)
        case _:
            pass
    network.run(12)
    network.nodes[1].machine.gossip.stats.repaired["sync"] += synced
    suite.finish()
    return [f"{one.invariant} {one.subject}" for one in suite.violations]


def test_messages_that_syncs_alone_bring_are_found() -> None:
    assert found() == ["spread-by-mesh mesh"]


def test_a_few_of_them_say_nothing() -> None:
    assert found(synced=SYNCED_FEW) == []


@pytest.mark.parametrize("disturbance", ["pause", "cut", "restart"])
def test_after_a_disturbance_they_are_what_syncs_are_for(disturbance: str) -> None:
    assert found(disturbance=disturbance) == []
