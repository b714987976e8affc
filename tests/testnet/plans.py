"""Testnets to be brought up by tests."""

from __future__ import annotations

from node.impairment.link import LinkSettings
from node.testnet.runners.base import Plan
from node.testnet.scenario.topology import Topology, link_table


def plan_of(nodes: int, base: LinkSettings | None = None, *, seed: int = 1, **settings: object) -> Plan:
    """So many nodes, all links alike."""
    topology = Topology(nodes=nodes, settings=settings)
    return Plan(topology=topology, links=link_table(topology, base or LinkSettings(), ()), seed=seed)
