"""Whole networks keep their promises in every scenario of the simulator, and in those that once broke one."""

from __future__ import annotations

import pytest

from node.sim.catalogue import SCENARIOS, scenario_named
from node.sim.scenario import run

SLOW = ("eclipse", "spammers")
"""Rather seconds than minutes: the sweep runs these longer."""

REGRESSIONS: tuple[tuple[str, int], ...] = (
    # Where two streams opened at once, the first bytes overtook the opening and the handshake waited for ever.
    ("large", 1),
    # A node that was restarted missed what was published in the moment of its start.
    ("clock-skew", 2),
)
"""Scenario and seed of every run that failed once, and why it did. Never shortened."""


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in SLOW])
def test_scenario_keeps_every_promise(name: str) -> None:
    outcome = run(scenario_named(name), 1)
    assert outcome.is_passed, "\n".join([*map(str, outcome.violations[:5]), f"replay: {outcome.command}"])


@pytest.mark.parametrize("name", SLOW)
def test_slow_scenario_keeps_every_promise_for_a_short_while(name: str) -> None:
    outcome = run(scenario_named(name).changed(nodes=6 if name == "spammers" else 15, seconds=2), 1)
    assert outcome.is_passed, "\n".join([*map(str, outcome.violations[:5]), f"replay: {outcome.command}"])


@pytest.mark.parametrize(("name", "seed"), REGRESSIONS)
def test_what_failed_once_stays_mended(name: str, seed: int) -> None:
    outcome = run(scenario_named(name), seed)
    assert outcome.is_passed, "\n".join([*map(str, outcome.violations[:5]), f"replay: {outcome.command}"])
