"""A partition that lasts for longer than anybody is remembered by default, with no address in common but the peers'."""

from __future__ import annotations

import pytest

from node.peers import members
from node.sim.cheap import cheap_crypto
from node.sim.network import Network, NetworkSettings
from node.types import SECOND


def test_a_partition_heals_though_everybody_was_gone_for_longer_than_the_gone_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(members, "DEAD_MEMORY", 20 * SECOND)
    with cheap_crypto():
        network = Network(NetworkSettings(nodes=7, has_trace=False))
        network.start_all()
        network.run(5)
        network.stop(0)  # the only bootstrap address
        cut = network.partition([[1, 2, 3], [4, 5, 6]])
        network.run(60)
        network.heal(cut)
        everybody = {node.node_id for node in network.alive()}
        assert network.run_until(
            lambda: all(
                {member.node_id for member in node.machine.peers.members.present()} == everybody - {node.node_id}
                for node in network.alive()
            ),
            10,
        )
