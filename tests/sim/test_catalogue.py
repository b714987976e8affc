"""The simulator's own scenarios are named, explained and found."""

from __future__ import annotations

import pytest

from node.errors import UsageError
from node.sim.catalogue import SCENARIOS, scenario_named
from node.sim.checks.suite import INVARIANTS


def test_every_scenario_has_a_title_and_leaves_out_known_invariants_only() -> None:
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert scenario.title
        assert set(scenario.without) <= set(INVARIANTS)
        assert all(step.text and 0 <= step.at <= scenario.seconds for step in scenario.steps)


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    assert scenario_named("steady") is SCENARIOS["steady"]
    with pytest.raises(UsageError, match=r"'nope'.*steady"):
        scenario_named("nope")
