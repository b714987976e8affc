"""Whole networks keep their promises in every scenario of the simulator, and in those that once broke one."""

from __future__ import annotations

from random import Random

import pytest

from node.impairment.link import LinkSettings
from node.sim import steps
from node.sim.catalogue import SCENARIOS, scenario_named
from node.sim.cheap import cheap_crypto
from node.sim.history import Record
from node.sim.network import Network, NetworkSettings
from node.sim.scenario import Scenario, Step, run
from node.types import MILLISECOND

SHORTENED = ("eclipse", "spammers")
"""Rather seconds than minutes: the sweep runs these longer."""

COSTLY = ("droppers-50", "replayers", "ring", "slanderers", "sybils")
"""Whose promises others ask for at half of the cost."""

REGRESSIONS: tuple[tuple[str, int], ...] = (
    # Where two streams opened at once, the first bytes overtook the opening and the handshake waited for ever.
    ("large", 1),
    # A node that was restarted missed what was published in the moment of its start.
    ("clock-skew", 2),
    # A node that came back with its clock a minute back refused everything for a minute, and was refused by the others.
    ("clock-skew", 11),
    # A crowd that does not exist took the places of neighbours: who came last was linked with three nodes.
    ("sybils", 3),
)
"""Scenario and seed of every run that failed once, and why it did. Never shortened."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow, pytest.mark.timeout(300)] if name in COSTLY else [])
        for name in SCENARIOS
        if name not in SHORTENED
    ],
)
def test_scenario_keeps_every_promise(name: str) -> None:
    outcome = run(scenario_named(name), 1)
    assert outcome.is_passed, "\n".join([*map(str, outcome.violations[:5]), f"replay: {outcome.command}"])


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTENED)
def test_long_scenario_keeps_every_promise_for_a_short_while(name: str) -> None:
    outcome = run(scenario_named(name).changed(nodes=6 if name == "spammers" else 15, seconds=2), 1)
    assert outcome.is_passed, "\n".join([*map(str, outcome.violations[:5]), f"replay: {outcome.command}"])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "seed"), REGRESSIONS)
def test_what_failed_once_stays_mended(name: str, seed: int) -> None:
    outcome = run(scenario_named(name), seed)
    assert outcome.is_passed, "\n".join([*map(str, outcome.violations[:5]), f"replay: {outcome.command}"])


@pytest.mark.parametrize("nodes", [2, 3, 4])
@pytest.mark.parametrize("name", ["crash", "power-failure"])
def test_the_last_of_a_few_nodes_knows_as_soon_that_the_others_are_gone(name: str, nodes: int) -> None:
    outcome = run(scenario_named(name).changed(nodes=nodes), 1, is_cheap=True)
    assert outcome.is_passed, "\n".join([*map(str, outcome.violations[:5]), f"replay: {outcome.command}"])


@pytest.mark.parametrize("nodes", [5, 10])
def test_an_outage_of_every_link_for_some_seconds_is_nobodys_death(nodes: int) -> None:
    deaths: list[Record] = []
    with cheap_crypto():
        network = Network(NetworkSettings(nodes=nodes, has_met=True))
        network.history.listen(lambda record: deaths.append(record) if record.facts.get("state") == "dead" else None)
        network.start_all()
        network.run(9)
        cut = network.partition([[number] for number in range(nodes)])
        network.run(4)
        network.heal(cut)
        network.run(4)
    assert deaths == []
    assert all(len(node.machine.peers.table.active()) == nodes - 1 for node in network.nodes)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_delivered_again_by_nodes_that_die_and_return_while_it_still_spreads(seed: int) -> None:
    # Bodies that are pulled, and a fifth of all datagrams lost: the last second before a crash comes again after it.
    steps_of_churn = (Step(3, steps.churn(16, every=4, away=1), "churn"),)
    scenario = Scenario(
        name="returners", title="", nodes=6, link=LinkSettings(delay=20 * MILLISECOND, loss=0.2), size=20_000, rate=3.0,
        seconds=20, settle=5, steps=steps_of_churn,
    )  # fmt: skip
    again = [one for one in run(scenario, seed, is_cheap=True).violations if one.invariant == "delivered-once"]
    assert again == []


def test_a_node_that_loses_its_disk_again_and_again_knows_that_it_lived_and_delivers_nothing_twice() -> None:
    def lose(network: Network, _: Random) -> None:
        network.crash(1, keeps_state=False)
        network.start(1)

    again_and_again = tuple(Step(1 + 0.3 * turn, lose, "lose the disk and return at once") for turn in range(12))
    scenario = Scenario(name="forgetful", title="", seconds=8, settle=5, steps=again_and_again)
    again = [one for one in run(scenario, 1, is_cheap=True).violations if one.invariant == "delivered-once"]
    assert again == []
