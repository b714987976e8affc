"""The suite feeds every checker, and leaves out those that a scenario names."""

from __future__ import annotations

import pytest

from node.errors import UsageError
from node.sim.checks.suite import INVARIANTS, VIOLATIONS_MAX, Suite
from node.sim.network import Network, NetworkSettings


def test_every_invariant_has_its_name_and_a_word_about_itself() -> None:
    suite = Suite(Network(NetworkSettings(nodes=1)))
    assert list(suite.checks) == list(INVARIANTS)
    for name, check in suite.checks.items():
        assert check.name == name
        assert type(check).__doc__


def test_invariants_that_are_named_are_left_out() -> None:
    network = Network(NetworkSettings(nodes=1))
    assert "delivered-once" not in Suite(network, without=["delivered-once"]).checks
    with pytest.raises(UsageError, match="no invariant is called nonsense"):
        Suite(network, without=["nonsense"])


def test_the_first_violations_are_kept_and_no_more_than_the_limit() -> None:
    network = Network(NetworkSettings(nodes=2))
    suite = Suite(network)
    network.start_all()
    network.run(2)
    for _ in range(VIOLATIONS_MAX + 50):
        network.history.add(network.world.now, 0, "delivered", {"message": "x", "origin": 1})
    assert len(suite.violations) == VIOLATIONS_MAX
