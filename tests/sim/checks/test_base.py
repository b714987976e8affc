"""The situation knows who can be expected to keep a promise."""

from __future__ import annotations

from node.sim.checks.base import FOREVER, Check, Situation, Violation
from node.sim.history import NETWORK, Record
from node.types import SECOND


def observe(situation: Situation, at: float, node: int, kind: str, **facts: object) -> None:
    situation.observe(Record(round(at * SECOND), node, kind, facts))  # type: ignore[arg-type]


def test_a_life_begins_and_ends() -> None:
    situation = Situation()
    observe(situation, 0, 1, "started")
    observe(situation, 0, 2, "started", is_honest=False)
    assert situation.honest_living() == [1]
    observe(situation, 1, 1, "crashed")
    assert not situation.is_alive(1)
    observe(situation, 2, 1, "started")
    assert situation.lives[1].since == 2 * SECOND


def test_who_is_paused_or_cut_off_is_disturbed() -> None:
    situation = Situation()
    observe(situation, 0, 1, "started")
    assert situation.undisturbed_since(1) == 0
    observe(situation, 1, 1, "paused", seconds=2.0)
    assert situation.undisturbed_since(1) == FOREVER
    observe(situation, 4, NETWORK, "cut")
    assert situation.undisturbed_since(1) == FOREVER
    observe(situation, 6, NETWORK, "healed", cut=0)
    assert situation.undisturbed_since(1) == 6 * SECOND


def test_one_of_two_cuts_that_heals_leaves_the_network_cut() -> None:
    situation = Situation()
    observe(situation, 1, NETWORK, "cut")
    observe(situation, 2, NETWORK, "cut")
    observe(situation, 3, NETWORK, "healed", cut=0)
    assert situation.is_cut
    observe(situation, 4, NETWORK, "healed")
    assert not situation.is_cut
    assert situation.was_cut(3 * SECOND, 3 * SECOND)
    assert not situation.was_cut(5 * SECOND, 6 * SECOND)


def test_violation_names_invariant_time_node_and_subject() -> None:
    found: list[Violation] = []
    check = Check(Situation(now=1_500_000_000), found.append)
    check.name = "something-holds"
    check.fail(3, "message ab", "it does not")
    assert str(found[0]) == "something-holds at 1.500 s, node-3, message ab: it does not"
