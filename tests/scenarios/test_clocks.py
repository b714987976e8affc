"""Wall clocks that are set while a node is down, with and without its disk, and while nodes run: no message twice, and
none lost.
"""

from __future__ import annotations

from random import Random

import pytest

from node.impairment.link import LinkSettings
from node.sim.network import Network
from node.sim.scenario import Scenario, Step, run
from node.sim.steps import Action
from node.types import MILLISECOND

LOSSY = LinkSettings(delay=25 * MILLISECOND, loss=0.2)


def restart(skew: float, *, keeps_state: bool, after: float = 2.0) -> Action:
    """Kills a node and starts it some seconds later, with a clock that is so wrong by then."""

    def act(network: Network, _random: Random) -> None:
        network.restart(1, after=after, keeps_state=keeps_state)
        network.set_clock(1, skew=skew)

    return act


@pytest.mark.parametrize("keeps_state", [True, False], ids=["kept", "lost"])
@pytest.mark.parametrize("skew", [-30.0, 30.0])
def test_a_clock_that_was_set_between_two_lives_costs_and_repeats_no_message(skew: float, keeps_state: bool) -> None:
    scenario = Scenario(
        name="set-clock", title="", nodes=5, rate=4.0, seconds=16, link=LOSSY,
        steps=(Step(8, restart(skew, keeps_state=keeps_state), "restart with another clock"),),
    )  # fmt: skip
    assert [str(violation) for violation in run(scenario, 1, is_cheap=True).violations] == []


@pytest.mark.parametrize("after", [0.1, 2.0, 8.0])
def test_a_life_that_began_earlier_by_its_clock_is_taken_for_the_later_one_it_is(after: float) -> None:
    # Of so many the meshes leave some links out, and everybody must know which ones the new life has.
    scenario = Scenario(
        name="earlier-life", title="", nodes=16, rate=1.0, seconds=13 + after, link=LOSSY,
        steps=(Step(5, restart(-30.0, keeps_state=False, after=after), "restart with another clock"),),
    )  # fmt: skip
    assert [str(violation) for violation in run(scenario, 1, is_cheap=True).violations] == []


def step_clocks(network: Network, random: Random) -> None:
    """Sets the wall clocks of half the nodes wrong by half a minute either way, so that two differ by a minute."""
    for node in network.nodes:
        if random.random() < 0.5:
            network.set_clock(node.number, skew=random.choice((-29.0, 29.0)))


@pytest.mark.parametrize("seed", [1, 2])
def test_clocks_that_are_set_while_nodes_run_cost_no_message(seed: int) -> None:
    scenario = Scenario(
        name="clock-steps", title="", nodes=5, rate=6.0, seconds=12, link=LOSSY, without=("delivered-in-time",),
        steps=(Step(0, step_clocks, "steps"), Step(6, step_clocks, "steps")),
    )  # fmt: skip
    assert [str(violation) for violation in run(scenario, seed, is_cheap=True).violations] == []
