"""Silent droppers that advertise are found out by those that ask them in vain; honest nodes never are.

Bodies over 16 KiB, which are told of and pulled: everybody asks whoever told first.
"""

from __future__ import annotations

import pytest

from node.impairment.link import LinkSettings
from node.sim import steps
from node.sim.hostile import DROPPER
from node.sim.network import Network
from node.sim.nodes import HONEST
from node.sim.scenario import Scenario, Step, run
from node.types import MILLISECOND

LOSSY = LinkSettings(delay=20 * MILLISECOND, loss=0.2)


def promises_broken(scenario: Scenario, seed: int) -> tuple[dict[str, int], list[str]]:
    """Broken promises that honest nodes hold against nodes of each role; and all that they hold against the honest."""
    seen: list[Network] = []
    outcome = run(scenario, seed, is_cheap=True, on_network=seen.append)
    (network,) = seen
    found = {HONEST.name: 0, DROPPER.name: 0}
    for node in network.nodes:
        if node.role is HONEST:
            assert node.host is not None
            for entry in node.machine.trust.overview(network.world.clock_of(node.host)).entries:
                name = network.nodes[network.number_of[entry.node_id]].role.name
                found[name] += entry.penalties.get("broken_promise", 0)
    return found, [str(one) for one in outcome.violations if one.invariant.startswith("honest-stay")]


def test_droppers_that_advertise_are_found_out_and_the_honest_are_not() -> None:
    scenario = Scenario(
        name="advertisers", title="", nodes=7, link=LOSSY, roles=((DROPPER, 2),), size=20_000, rate=2.0, seconds=35
    )
    found, violations = promises_broken(scenario, 1)
    assert violations == []
    assert found[DROPPER.name] > 0
    assert found[HONEST.name] == 0


@pytest.mark.parametrize(
    "step",
    [
        Step(5, steps.partition(10), "halves"),
        Step(5, steps.churn(24, every=6, away=2), "churn"),
        Step(5, steps.random_pauses(24, every=2, length=1.0), "pauses"),
    ],
    ids=lambda step: step.text,
)
def test_cuts_ends_and_pauses_of_honest_nodes_break_no_promise(step: Step) -> None:
    # Little is kept, too: what was told is forgotten before all have asked for it.
    scenario = Scenario(
        name="honest", title="", nodes=6, link=LOSSY, size=20_000, rate=3.0, seconds=32, steps=(step,),
        core={"gossip_retention_bytes": 1 << 20},
    )  # fmt: skip
    found, violations = promises_broken(scenario, 2)
    assert violations == []
    assert found[HONEST.name] == 0
