"""Probes: what they find, and that what cannot be found does not hold."""

from __future__ import annotations

import math

import pytest

from node.testnet.metrics.recording import Recording
from node.testnet.run.probes import Answer, Prober
from node.testnet.runners.base import Plan
from node.testnet.scenario.scenario import Comparison, Probe, ProbeKind
from node.testnet.scenario.topology import Topology
from tests.testnet.run.standin import StandIn

TOPOLOGY = Topology(nodes=3)


def probe(kind: ProbeKind, subject: str = "", word: str = "at_least", value: float = 2, **facts: str) -> Probe:
    return Probe(kind=kind, subject=subject, comparison=Comparison(word=word, value=value), **facts)


def asked(one: Probe, *, down: str = "", peers: int = 2) -> Answer:
    runner = StandIn()
    runner.up(Plan(topology=TOPOLOGY, links={}, seed=1))
    runner.peers["node-2"] = peers
    recording = Recording()
    recording.scrape(0.0, runner.scrape())
    prober = Prober(runner, recording, TOPOLOGY)
    prober.down = {down: None}
    (answer,) = prober.ask([one])
    return answer


@pytest.mark.parametrize(
    ("one", "value"),
    [
        (probe(ProbeKind.PEERS), 2),
        (probe(ProbeKind.STATE, "gossip_stats.published"), 3),
        (probe(ProbeKind.STATE, "gossip_stats.published", aggregate="sum"), 9),
        (probe(ProbeKind.HTTP, "/readyz"), 200),
        (probe(ProbeKind.LOG, "node_started", aggregate="sum"), 3),
        (probe(ProbeKind.PROM, "sum(positron_peers)"), 6),
        (probe(ProbeKind.PROM, "positron_peers"), 2),
    ],
)
def test_each_kind_of_probe_finds_its_number(one: Probe, value: float) -> None:
    assert asked(one) == Answer(one, value, holds=True, text=f"{value:g}")


def test_the_smallest_answer_decides_unless_another_one_is_asked_for() -> None:
    assert not asked(probe(ProbeKind.PEERS), peers=1).holds
    assert asked(probe(ProbeKind.PEERS, aggregate="max"), peers=1).holds
    assert asked(probe(ProbeKind.PEERS, target="node-1"), peers=1).holds


def test_every_value_of_an_expression_must_hold() -> None:
    assert not asked(probe(ProbeKind.PROM, "positron_peers"), peers=1).holds


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (probe(ProbeKind.STATE, "gossip.unknown"), "no answer from seed, node-1, node-2"),
        (probe(ProbeKind.PROM, "unknown"), "no data"),
        (probe(ProbeKind.PROM, "sum("), "unclosed"),
    ],
)
def test_what_cannot_be_found_does_not_hold_and_says_why(one: Probe, said: str) -> None:
    answer = asked(one)
    assert not answer.holds
    assert math.isnan(answer.value)
    assert said in answer.text


def test_nodes_that_are_meant_to_be_down_are_not_asked() -> None:
    assert asked(probe(ProbeKind.PEERS), down="node-2", peers=0).holds
