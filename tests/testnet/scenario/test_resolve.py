"""What a scenario comes to when nothing is left to chance."""

from __future__ import annotations

import pytest

from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.resolve import LinkFault, NodeFault, Schedule, resolve
from node.testnet.scenario.source import SourceError
from node.types import SECOND


def schedule(*entries: str, nodes: int = 9, seed: int = 7) -> Schedule:
    lines = [f"  - {{{entry}}}" for entry in entries]
    text = f"schema: 1\ntitle: t\nseed: {seed}\ntopology: {{nodes: {nodes}}}\ntimeline:\n" + "\n".join(lines)
    return resolve(parse_scenario(text, file="s.yaml", name="s"))


def link_fault(result: Schedule) -> LinkFault:
    (fault,) = result.faults
    assert isinstance(fault, LinkFault)
    return fault


def nodes_hit(result: Schedule) -> list[str]:
    return [fault.node for fault in result.faults if isinstance(fault, NodeFault)]


def test_the_same_seed_gives_the_same_schedule_and_another_one_does_not() -> None:
    entries = ("at: 1s, churn: 1s, for: 60s", "at: 1s, partition: halves, for: 5s")
    assert schedule(*entries) == schedule(*entries)
    assert schedule(*entries) != schedule(*entries, seed=8)


def test_leaving_out_a_later_fault_does_not_change_the_earlier_ones() -> None:
    first = "at: 1s, kill: , target: {pick: 2}, for: 5s"
    both = schedule(first, "at: 10s, pause: , target: {pick: 2}, for: 5s")
    assert both.faults[:2] == schedule(first).faults


def test_a_majority_partition_cuts_the_larger_part_from_the_smaller_both_ways() -> None:
    links = link_fault(schedule("at: 1s, partition: majority, for: 5s")).links
    assert len(links) == 2 * 4 * 5
    assert {(b, a) for a, b in links} == set(links)


def test_a_third_a_half_and_one_are_cut_off_as_named() -> None:
    assert len(link_fault(schedule("at: 1s, partition: third, for: 5s")).links) == 2 * 3 * 6
    assert len(link_fault(schedule("at: 1s, partition: halves, for: 5s", nodes=8)).links) == 2 * 4 * 4
    assert len(link_fault(schedule("at: 1s, partition: one, for: 5s")).links) == 2 * 8


def test_a_one_way_partition_silences_one_and_lets_it_hear() -> None:
    links = link_fault(schedule("at: 1s, partition: one-way, target: node-3, for: 5s")).links
    assert sorted({source for source, _ in links}) == ["node-3"]
    assert len(links) == 8


def test_in_a_ring_everybody_hears_its_neighbours_and_nobody_else() -> None:
    links = link_fault(schedule("at: 1s, partition: ring, for: 5s")).links
    for name in {source for source, _ in links}:
        assert sum(source == name for source, _ in links) == 4


def test_groups_are_cut_from_each_other_and_the_rest_is_not() -> None:
    entry = "at: 1s, partition: {shape: groups, groups: [[seed], [node-1, node-2]]}, for: 5s"
    assert len(link_fault(schedule(entry)).links) == 4


def test_a_fault_on_links_hits_the_direction_that_is_named() -> None:
    out = link_fault(schedule("at: 1s, loss: 20%, target: node-1, direction: out, for: 5s")).links
    assert {source for source, _ in out} == {"node-1"}
    both = link_fault(schedule("at: 1s, loss: 20%, target: node-1, peers: node-2, for: 5s")).links
    assert set(both) == {("node-1", "node-2"), ("node-2", "node-1")}


def test_parameters_of_links_become_their_settings() -> None:
    settings = link_fault(schedule("at: 1s, delay: {delay: 20ms, jitter: 5ms}, target: node-1, for: 5s")).settings
    assert (settings.delay, settings.jitter) == (20_000_000, 5_000_000)
    assert link_fault(schedule("at: 1s, rate: 1mbit, target: node-1, for: 5s")).settings.rate == 125_000
    assert link_fault(schedule("at: 1s, mtu: 1200, target: node-1, for: 5s")).settings.mtu == 1200


def test_chance_never_hits_the_seed_and_its_name_does() -> None:
    assert "seed" not in nodes_hit(schedule("at: 1s, kill: , target: {share: 100%}, for: 5s"))
    assert nodes_hit(schedule("at: 1s, kill: , target: seed, for: 5s")) == ["seed"]
    assert len(nodes_hit(schedule("at: 1s, kill: , target: {share: 33%}, for: 5s"))) == 3


def test_a_rolling_restart_takes_one_after_the_other() -> None:
    result = schedule("at: 1s, rolling_restart: 2s, for: 60s", nodes=4)
    assert nodes_hit(result) == ["node-1", "node-2", "node-3"]
    assert [fault.at // SECOND for fault in result.faults] == [1, 3, 5]


def test_churn_leaves_one_that_is_down_alone_and_ends_in_time() -> None:
    result = schedule("at: 1s, churn: {every: 1s, down: 3s}, for: 30s")
    assert len(result.faults) > 10
    assert all(fault.until <= 31 * SECOND for fault in result.faults)


def test_a_flapping_link_is_cut_over_and_over() -> None:
    result = schedule("at: 1s, flap: {up: 2s, down: 1s}, target: node-1, for: 9s")
    assert [(fault.at // SECOND, fault.until // SECOND) for fault in result.faults] == [(1, 2), (4, 5), (7, 8)]


def test_faults_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(SourceError, match="pause-2 and kill-1 hit node-1 at the same time"):
        schedule("at: 1s, kill: , target: node-1, for: 5s", "at: 3s, pause: , target: node-1, for: 5s")


def test_faults_one_after_the_other_or_of_other_kinds_are_fine() -> None:
    schedule(
        "at: 1s, kill: , target: node-1, for: 5s",
        "at: 6s, pause: , target: node-1, for: 5s",
        "at: 6s, cpu: 10%, target: node-1, for: 5s",
    )
