"""Who takes part and over which links: names, groups, and the settings of every link in each direction.

Nodes are named `seed`, `node-1`, `node-2` ... as in containers. Groups take nodes in this order, and one that has the
name of a region stands there. Knows nothing of faults and runners.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from node.impairment.combination import combined
from node.impairment.link import LinkSettings
from node.testnet.scenario.regions import REGIONS, delay_between

__all__ = ["ALL", "SEED", "LinkRule", "Topology", "TopologyError", "link_table"]

SEED = "seed"
ALL = "all"

NODES_MAX = 1000


class TopologyError(ValueError):
    """A name that belongs to nobody, or groups that cannot be; the text says which ones there are, or why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRule:
    """Settings for the links from some nodes to others; a later rule adds to an earlier one.

    source, target: a node, a group or `all`. both: whether the way back gets the same.
    """

    source: str = ALL
    target: str = ALL
    both: bool = True
    settings: LinkSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The nodes of a testnet. nodes: all of them, the seed included. groups: sizes by name, in order."""

    nodes: int
    groups: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if sum(self.groups.values()) > self.nodes:
            raise TopologyError(f"groups have {sum(self.groups.values())} nodes, and there are {self.nodes}")
        for name in self.groups:
            if re.fullmatch(rf"{ALL}|{SEED}|node-\d+", name):
                raise TopologyError(f"a group {name!r}: allowed is a name that stands for nobody else")

    @property
    def names(self) -> tuple[str, ...]:
        """Every node, the seed first."""
        return (SEED, *(f"node-{number}" for number in range(1, self.nodes)))

    def members(self, name: str) -> tuple[str, ...]:
        """The nodes that a name stands for: a node, a group, or `all`; TopologyError for any other."""
        if name == ALL:
            return self.names
        if name in self.names:
            return (name,)
        first = 0
        for group, size in self.groups.items():
            if group == name:
                return self.names[first : first + size]
            first += size
        known = ", ".join((ALL, SEED, *([f"node-1 to node-{self.nodes - 1}"] if self.nodes > 1 else []), *self.groups))
        raise TopologyError(f"no node or group {name!r}; there are {known}")

    def group_of(self, node: str) -> str:
        """The group of a node, or ""."""
        return next((group for group in self.groups if node in self.members(group)), "")


def link_table(
    topology: Topology, base: LinkSettings, rules: Sequence[LinkRule]
) -> dict[tuple[str, str], LinkSettings]:
    """The settings of every link, by sender and receiver: the base, the way between regions, then the rules."""
    regions = {name: group for name in topology.names if (group := topology.group_of(name)) in REGIONS}
    table = {}
    for source in topology.names:
        for target in topology.names:
            if source != target:
                settings = base
                if source in regions and target in regions:
                    settings = combined(settings, LinkSettings(delay=delay_between(regions[source], regions[target])))
                table[source, target] = settings
    for rule in rules:
        for source, target in _links_of(topology, rule):
            table[source, target] = combined(table[source, target], rule.settings)
    return table


def _links_of(topology: Topology, rule: LinkRule) -> list[tuple[str, str]]:
    sources, targets = topology.members(rule.source), topology.members(rule.target)
    links = {(source, target): None for source in sources for target in targets if source != target}
    if rule.both:
        links.update({(target, source): None for source, target in list(links)})
    return list(links)
