"""Nodes, groups, and the table of links."""

from __future__ import annotations

import pytest

from node.impairment.link import LinkSettings
from node.testnet.scenario.topology import LinkRule, Topology, TopologyError, link_table
from node.types import MILLISECOND

SLOW = LinkSettings(delay=10 * MILLISECOND)


def test_the_seed_is_one_of_the_nodes() -> None:
    assert Topology(nodes=3).names == ("seed", "node-1", "node-2")


def test_groups_take_nodes_in_order() -> None:
    topology = Topology(nodes=5, groups={"us": 2, "eu": 2})
    assert topology.members("us") == ("seed", "node-1")
    assert topology.members("eu") == ("node-2", "node-3")
    assert topology.group_of("node-3") == "eu"
    assert topology.group_of("node-4") == ""


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(TopologyError, match=r"'node-9'; there are all, seed, node-1 to node-2, us"):
        Topology(nodes=3, groups={"us": 1}).members("node-9")


def test_groups_cannot_have_more_nodes_than_there_are() -> None:
    with pytest.raises(TopologyError, match="5 nodes, and there are 3"):
        Topology(nodes=3, groups={"us": 5})


def test_every_link_is_there_once_in_each_direction() -> None:
    table = link_table(Topology(nodes=4), SLOW, [])
    assert len(table) == 12
    assert set(table.values()) == {SLOW}


def test_a_rule_for_one_way_leaves_the_way_back_alone() -> None:
    rule = LinkRule(source="seed", target="node-1", both=False, settings=LinkSettings(loss=0.5))
    table = link_table(Topology(nodes=3), SLOW, [rule])
    assert table["seed", "node-1"].loss == 0.5
    assert table["seed", "node-1"].delay == SLOW.delay
    assert table["node-1", "seed"].loss == 0.0
    assert table["seed", "node-2"].loss == 0.0


def test_two_rules_on_one_link_add_up() -> None:
    rules = [LinkRule(target="node-1", settings=LinkSettings(loss=0.5)), LinkRule(settings=LinkSettings(loss=0.5))]
    table = link_table(Topology(nodes=3), SLOW, rules)
    assert table["seed", "node-1"].loss == pytest.approx(0.75)


def test_groups_named_after_regions_stand_there() -> None:
    table = link_table(Topology(nodes=4, groups={"us-east": 2, "eu-west": 2}), SLOW, [])
    assert table["seed", "node-2"].delay == 47 * MILLISECOND
    assert table["seed", "node-1"].delay == 11 * MILLISECOND
