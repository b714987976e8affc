"""A scenario and a seed decide a run; its outcome names what was broken and how to see it again."""

from __future__ import annotations

import pytest

from node.errors import UsageError
from node.impairment.link import LinkSettings
from node.sim import steps
from node.sim.network import Network
from node.sim.nodes import Role
from node.sim.scenario import Scenario, Step, run

SMALL = Scenario(name="small", title="", nodes=4, warm_up=3, seconds=3, settle=11)
CUT_FOR_EVER = Step(0, steps.partition(1e6), "cut for ever")


def test_quiet_network_keeps_its_promises() -> None:
    outcome = run(SMALL, 1)
    assert outcome.is_passed
    assert outcome.violations == ()
    assert outcome.figures.published == 6
    assert outcome.figures.delivered == 18
    assert outcome.virtual_seconds == pytest.approx(17)
    assert outcome.command == "python -m node.sim replay small --seed 1"


def test_seed_decides_everything_but_the_real_time() -> None:
    lossy = Scenario(name="small", title="", nodes=4, warm_up=3, seconds=3, settle=5, link=LinkSettings(loss=0.1))
    first, again, other = run(lossy, 1), run(lossy, 1), run(lossy, 2)
    assert (first.digest, first.figures, first.events) == (again.digest, again.figures, again.events)
    assert first.digest != other.digest


def test_broken_promise_is_in_the_outcome_and_may_end_the_run() -> None:
    def deliver_twice(network: Network) -> None:
        for _ in range(2):
            network.at(5, network.history.add, 0, 1, "delivered", {"message": "x", "origin": 0, "latency": None})

    outcome = run(SMALL, 1, on_network=deliver_twice, stops_early=True)
    assert not outcome.is_passed
    assert outcome.violations[0].invariant == "nothing-forged"
    assert outcome.virtual_seconds < 7


def test_other_numbers_are_part_of_the_command() -> None:
    changed = SMALL.changed(nodes=3, seconds=None, rate=2.0).changed(size=10)
    assert (changed.nodes, changed.seconds, changed.size) == (3, 3, 10)
    assert run(changed, 7, is_cheap=True).command == (
        "python -m node.sim replay small --seed 7 --nodes 3 --size 10 --cheap-crypto"
    )


def test_roles_go_to_nodes_that_are_no_seeds() -> None:
    role = Role("strange", is_honest=False)
    seen: list[list[str]] = []
    run(
        Scenario(name="small", title="", nodes=4, warm_up=1, seconds=1, settle=0, roles=((role, 2),)),
        1,
        on_network=lambda network: seen.append([node.role.name for node in network.nodes]),
    )
    assert seen[0].count("strange") == 2
    assert seen[0][0] == "honest"


def test_more_roles_than_nodes_are_refused() -> None:
    with pytest.raises(UsageError):
        run(Scenario(name="small", title="", nodes=2, roles=((Role("strange"), 2),)), 1)
