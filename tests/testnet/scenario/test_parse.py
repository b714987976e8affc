"""Scenario files: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import pytest

from node.impairment.link import LinkSettings
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.scenario import Direction, ProbeKind, Scenario, Target
from node.testnet.scenario.source import SourceError
from node.types import MILLISECOND, SECOND

WHOLE = """\
schema: 1
title: a split heals
seed: 7
topology: {nodes: 9, groups: {us-east: 3, eu-west: 3}}
links:
  preset: lte
  all: {loss: 1%}
  rules:
    - {from: us-east, to: eu-west, both: false, loss: 5%}
load: {publish: 5/s, size: 2KiB, from: us-east}
steady:
  - {peers: all}
  - {prom: "min(positron_peers)", at_least: 3}
timeline:
  - {at: 2s, id: split, partition: majority, for: 20s}
  - {at: 25s, id: crash, kill: , target: {pick: 1, from: us-east}, for: 5s}
  - {at: 30s, loss: 20%, target: node-3, direction: out, for: 10s}
expect:
  - {detect: split, when: {state: active_peers, below: 8}, within: 5s}
  - {recover: split, to: steady, within: 10s}
invariants: [no_duplicate_delivery, {rss_below: 150MiB}]
"""
MINIMAL = "schema: 1\ntitle: t\ntimeline: []\n"


def parsed(text: str) -> Scenario:
    return parse_scenario(text, file="s.yaml", name="s")


def mistakes(text: str) -> list[str]:
    with pytest.raises(SourceError) as caught:
        parsed(text)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_whole_scenario_means_what_it_says() -> None:
    scenario = parsed(WHOLE)
    assert (scenario.title, scenario.seed, scenario.topology.nodes) == ("a split heals", 7, 9)
    assert scenario.base.loss == pytest.approx(0.01)
    assert scenario.base.delay == 35 * MILLISECOND
    assert scenario.rules[0].settings == LinkSettings(loss=0.05)
    assert (scenario.load.rate, scenario.load.size, scenario.load.sender) == (5.0, 2048, "us-east")
    split, crash, loss = scenario.timeline
    assert (split.kind, split.at, split.until, split.parameters) == (
        "partition",
        2 * SECOND,
        22 * SECOND,
        {"shape": "majority"},
    )
    assert crash.target == Target(names=("us-east",), pick=1)
    assert (loss.id, loss.direction, loss.parameters) == ("loss-3", Direction.OUT, {"share": 0.2})
    detect, recover = scenario.expectations
    assert (detect.what, detect.fault, detect.within) == ("detect", "split", 5 * SECOND)
    assert recover.probes == scenario.steady
    assert [probe.kind for probe in scenario.steady] == [ProbeKind.PEERS, ProbeKind.PROM]
    assert scenario.steady[0].comparison.value == 8
    assert scenario.invariants[1].limit == 150 << 20
    assert scenario.length == 40 * SECOND


def test_everything_but_title_and_timeline_has_a_default() -> None:
    scenario = parsed(MINIMAL)
    assert scenario.topology.nodes == 6
    assert scenario.load.rate > 0
    assert scenario.steady
    assert scenario.invariants
    assert scenario.limit > 0


def test_the_default_seed_depends_on_the_name_alone() -> None:
    assert parsed(MINIMAL).seed == parsed(MINIMAL).seed
    assert parse_scenario(MINIMAL, file="t.yaml", name="t").seed != parsed(MINIMAL).seed


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "title: a split heals",
            "titel: a",
            "s.yaml:2: titel: unknown; did you mean title? allowed is one of schema, title",
        ),
        ("schema: 1", "schema: 2", "s.yaml:1: schema: 2: allowed is 1"),
        ("nodes: 9", "nodes: 1", "s.yaml:4: topology.nodes: 1: allowed is at least 2"),
        ("nodes: 9", "nodes: 4", "s.yaml:4: topology.groups: groups have 6 nodes, and there are 4"),
        ("preset: lte", "preset: modem", "s.yaml:6: links.preset: 'modem': allowed is one of dsl"),
        ("loss: 5%", "loss: 500%", "s.yaml:9: links.rules[0].loss: '500%': allowed is a share"),
        ("from: us-east, to", "from: us, to", "s.yaml:9: links.rules[0].from: no node or group 'us'"),
        ("partition: majority", "partition: circle", "timeline[0].partition: 'circle': allowed is one of one, halves"),
        (", for: 20s", "", "s.yaml:15: timeline[0]: partition needs `for`"),
        ("partition: majority", "pause: ", "timeline[0]: needs `target`"),
        ("partition: majority", "restart: , target: node-1", "timeline[0].for: restart happens at once"),
        ("partition: majority", "partition: majority, pause: ", "exactly one of"),
        ("partition: majority", "partition: groups", "groups belong to the shape"),
        ("pick: 1", "pick: 4", "timeline[1].target.pick: 4: allowed is 1 to 2, the nodes there but the seed"),
        ("target: node-3", "target: node-30", "timeline[2].target: no node or group 'node-30'"),
        ("id: crash", "id: split", "two faults are called 'split'"),
        ("kill: ", "clock: ", "allowed is at least one of ahead, behind, drift"),
        ("kill: ", "kill: , direction: out", "timeline[1].direction: is for faults of links only"),
        ("detect: split", "detect: splat", "expect[0].detect: no fault 'splat'; there are split, crash, loss-3"),
        ("within: 5s", "", "detect needs `within`"),
        ("below: 8", "below: 8, above: 1", "exactly one of at_least"),
        ("no_duplicate_delivery", "no_fun", "invariants[0]: 'no_fun': allowed is one of no_duplicate_delivery"),
        ("150MiB", "lots", "invariants[1].rss_below: 'lots': allowed is"),
        ("publish: 5/s", "publish: -5", "load.publish"),
    ],
)
def test_a_mistake_is_told_with_line_field_and_what_is_allowed(old: str, new: str, said: str) -> None:
    assert old in WHOLE
    told = mistakes(WHOLE.replace(old, new, 1))
    assert any(said in line for line in told), told


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ("prom: 'sum(', below: 1", "s.yaml:5:12: steady[0].prom: 'sum(': unclosed left parenthesis"),
        ("below: 1, prom: '\"a\"'", "s.yaml:5:22: steady[0].prom: '\"a\"': StringLiteral is not supported here"),
        ("log: 'a(', equals: 0", "s.yaml:5:11: steady[0].log: 'a(': missing )"),
    ],
)
def test_a_question_that_cannot_be_asked_is_told_where_it_stands(probe: str, said: str) -> None:
    (told,) = mistakes(f"schema: 1\ntitle: t\ntimeline: []\nsteady:\n  - {{{probe}}}\n")
    assert told.startswith(said)


def test_a_bad_expression_in_an_expectation_is_told_where_it_stands() -> None:
    text = WHOLE.replace("state: active_peers", 'prom: "x{"')
    (told,) = mistakes(text)
    _, line, column, field, *_ = told.split(":")
    assert field == " expect[0].when.prom"
    assert text.splitlines()[int(line) - 1][int(column) - 1 :].startswith('"x{"')


def test_all_mistakes_are_told_at_once() -> None:
    told = mistakes(WHOLE.replace("target: node-3", "target: node-30").replace("detect: split", "detect: splat"))
    assert len(told) == 2


@pytest.mark.parametrize("text", ["[]", "3", "schema: 1\n", "schema: 1\ntitle: t\ntimeline: 3\n"])
def test_a_file_that_is_no_scenario_is_refused(text: str) -> None:
    assert mistakes(text)
