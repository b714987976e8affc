"""Scenarios in virtual time: whole nodes, real faults, the same result each time."""

from __future__ import annotations

import pytest

from node.sim.nodes import TRANSPORT
from node.testnet.run.conductor import Conductor
from node.testnet.run.verdict import Outcome, Verdict
from node.testnet.runners.base import Plan
from node.testnet.runners.sim import SimRunner
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.resolve import resolve
from tests.transport.qlog import parsed

HEAD = "schema: 1\ntitle: t\nseed: 5\ntopology: {nodes: 4}\nlinks: {all: {delay: 5ms, loss: 2%}}\n"


def run(*entries: str, tail: str = "") -> Outcome:
    lines = "".join(f"  - {{{entry}}}\n" for entry in entries)
    scenario = parse_scenario(f"{HEAD}timeline:\n{lines}{tail}", file="s.yaml", name="s")
    return Conductor(scenario, resolve(scenario), SimRunner()).run()


@pytest.mark.parametrize(
    "entry",
    [
        "at: 1s, id: f, partition: one, for: 6s",
        "at: 1s, id: f, loss: 20%, target: node-1, for: 6s",
        "at: 1s, id: f, kill: , target: node-1, for: 6s",
        "at: 1s, id: f, stop: , target: node-1, for: 4s",
        "at: 1s, id: f, pause: , target: node-1, for: 3s",
        "at: 1s, id: f, restart: , target: node-1",
        "at: 1s, id: f, cpu: 50%, target: node-1, for: 4s",
        "at: 1s, id: f, flap: , target: node-1, for: 6s",
    ],
)
def test_a_fault_is_survived(entry: str) -> None:
    outcome = run(entry)
    assert outcome.verdict is Verdict.PASSED, outcome.reason
    assert outcome.published


def test_the_same_scenario_has_the_same_digest_and_another_load_another() -> None:
    entry = "at: 1s, partition: halves, for: 3s"
    assert run(entry).digest == run(entry).digest
    assert run(entry).digest != run(entry, tail="load: {publish: 3/s}\n").digest


def test_connections_of_every_life_are_traced_where_the_scenario_collects_it() -> None:
    entry = "at: 1s, id: f, kill: , target: node-1, for: 3s"
    text = f"{HEAD}timeline:\n  - {{{entry}}}\n"
    scenario = parse_scenario(f"{text}collect: [qlog]\n", file="s.yaml", name="s")
    conductor = Conductor(scenario, resolve(scenario), SimRunner())
    outcome = conductor.run()
    assert outcome.verdict is Verdict.PASSED, outcome.reason
    assert sorted(conductor.traces) == ["node-1", "node-2", "node-3", "seed"]
    for files in conductor.traces.values():
        names = {record.get("name") for data in files.values() for record in parsed(data)}
        assert {"connectivity:connection_started", "transport:packet_sent", "recovery:packet_lost"} <= names
        assert all(name.endswith(".sqlog") for name in files)
    assert len({name.split("-")[1] for name in conductor.traces["node-1"]}) == 2
    assert outcome.digest == run(entry).digest, "to watch changes nothing"


def test_a_node_that_is_down_is_missed_and_one_that_is_back_is_found() -> None:
    tail = (
        "expect:\n  - {detect: f, when: {state: active_peers, target: seed, below: 3}, within: 8s}\n"
        "  - {recover: f, to: steady, within: 8s}\n"
    )
    outcome = run("at: 1s, id: f, kill: , target: node-1, for: 12s", tail=tail)
    assert outcome.verdict is Verdict.PASSED, outcome.reason
    assert [result.holds for result in outcome.expectations] == [True, True]


def test_a_partition_that_nobody_heals_is_noticed() -> None:
    class NeverHeals(SimRunner):
        def _end(self, key: int) -> None:
            return

    scenario = parse_scenario(
        f"{HEAD}settle: 8s\ntimeline:\n  - {{at: 1s, partition: halves, for: 2s}}\n", file="s.yaml", name="s"
    )
    outcome = Conductor(scenario, resolve(scenario), NeverHeals()).run()
    assert outcome.verdict is Verdict.FAILED
    assert "every_message_everywhere" in outcome.reason


def test_what_needs_an_operating_system_is_refused() -> None:
    outcome = run("at: 1s, memory: 60MiB, target: node-1, for: 3s")
    assert outcome.verdict is Verdict.UNSUPPORTED
    assert "a simulated node has no memory" in outcome.reason


def test_running_faults_and_what_is_asked_of_links_are_metrics() -> None:
    scenario = parse_scenario(
        f"{HEAD}timeline:\n  - {{at: 2s, id: f, loss: 20%, target: node-1, for: 4s}}\n", file="s.yaml", name="s"
    )
    conductor = Conductor(scenario, resolve(scenario), SimRunner())
    conductor.run()
    recording, origin = conductor.recording, conductor.outcome.origin
    active = recording.named("positron_chaos_active")
    assert {(dict(one.labels)["step"], dict(one.labels)["kind"]) for one in active} == {("f", "loss")}
    assert all(origin + 2 <= one.times[0] and one.times[-1] <= origin + 6 for one in active)
    (asked,) = [
        one
        for one in recording.named("positron_impairment_asked_loss_ratio")
        if (dict(one.labels)["node"], dict(one.labels)["target"]) == ("node-1", "seed")
    ]
    assert asked.at(origin + 1) == pytest.approx(0.02)
    assert asked.at(origin + 5) == pytest.approx(1 - 0.98 * 0.8)


@pytest.mark.slow
@pytest.mark.timeout(240)  # half a minute of one processor, which others may want as well
def test_thirty_nodes_are_whole_by_their_members_though_not_everybody_is_linked_with_everybody() -> None:
    head = HEAD.replace("nodes: 4", "nodes: 30").replace("loss: 2%", "loss: 1%")
    text = (
        f"{head}timeline:\n  - {{at: 1s, id: f, kill: , target: node-1, for: 6s}}\n"
        "expect:\n  - {detect: f, when: {state: members.alive, target: seed, below: 29}, within: 8s}\n"
        "  - {recover: f, to: steady, within: 8s}\n"
    )
    scenario = parse_scenario(text, file="s.yaml", name="s")
    runner = SimRunner()
    outcome = Conductor(scenario, resolve(scenario), runner).run()
    assert outcome.verdict is Verdict.PASSED, outcome.reason
    assert [result.holds for result in outcome.expectations] == [True, True]
    assert min(one["active_peers"] for one in runner.stats().values() if one is not None) < 29
    assert all(len(seen) == 29 for seen in runner.members().values())


def test_the_history_tells_why_a_node_ended() -> None:
    timeline = (
        "timeline:\n  - {at: 1s, kill: , target: node-1, for: 2s}\n  - {at: 1s, stop: , target: node-2, for: 2s}\n"
    )
    scenario = parse_scenario(HEAD + timeline, file="s.yaml", name="s")
    conductor = Conductor(scenario, resolve(scenario), SimRunner())
    conductor.run()
    ends = {event["node"]: event["reason"] for event in conductor.events if event["event"] == "stopped"}
    assert {name: ends[name] for name in ("node-1", "node-2")} == {"node-1": "kill", "node-2": "stop"}


def test_faults_that_begin_at_once_on_one_link_are_measured_together() -> None:
    outcome = run(
        "at: 1s, id: f, duplicate: 10%, target: all, for: 6s",
        "at: 1s, id: g, loss: 30%, target: node-1, for: 6s",
        "at: 1s, id: h, partition: one, target: node-2, for: 6s",
    )
    assert outcome.verdict is Verdict.PASSED, outcome.reason


def test_settings_of_a_scenario_are_those_of_every_node() -> None:
    text = HEAD.replace("{nodes: 4}", "{nodes: 4, settings: {max_retries: 9, gossip_fanout: 3}}") + "timeline: []\n"
    scenario = parse_scenario(text, file="s.yaml", name="s")
    runner = SimRunner()
    runner.up(Plan(topology=scenario.topology, links=resolve(scenario).links, seed=1))
    settings = [node.machine.settings for node in runner._running().nodes]
    assert {(one.transport.max_retries, one.gossip_fanout) for one in settings} == {(9, 3)}
    assert {one.transport.min_rto for one in settings} == {TRANSPORT.min_rto}, "the rest is that of simulations"
