"""The simulator's own scenarios: one row each. Every one must pass for every seed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from node.errors import UsageError
from node.impairment.link import GilbertElliott, LinkSettings, Order
from node.sim import steps
from node.sim.hostile import DROPPER, ECLIPSER, EQUIVOCATOR, FORGER, REPLAYER, SLANDERER, SPAMMER, SYBIL
from node.sim.scenario import Scenario, Step
from node.types import MILLISECOND, Duration

__all__ = ["SCENARIOS", "scenario_named"]

DELAY: Duration = 25 * MILLISECOND
JITTER: Duration = DELAY // 10


def _link(loss: float = 0.0, **more: object) -> LinkSettings:
    return LinkSettings(**{"delay": DELAY, "jitter": JITTER, "loss": loss, **more})  # type: ignore[arg-type]


_ROUGH = _link(0.1, order=Order.NATURAL, jitter=DELAY, duplicate=0.05, corrupt=0.02, reorder=0.05)
_BURSTS = _link(bursts=GilbertElliott(p=0.01, r=0.2))

_ALL = (
    Scenario(name="steady", title="nothing goes wrong"),
    Scenario(name="loss-10", title="every link loses 10 % each way", link=_link(0.1)),
    Scenario(name="loss-20", title="every link loses 20 % each way", link=_link(0.2)),
    Scenario(name="bursts", title="losses come in bursts of five datagrams", link=_BURSTS),
    Scenario(name="rough", title="loss, duplicates, corruption and reordering at once", link=_ROUGH),
    Scenario(name="satellite", title="300 ms each way and 2 % loss", link=LinkSettings(delay=12 * DELAY, loss=0.02)),
    Scenario(name="large", title="bodies of 40 kB, which travel over TCP", size=40_000, rate=0.5, link=_link(0.02)),
    Scenario(
        name="partition",
        title="two halves for 20 s, then whole again",
        seconds=40,
        steps=(Step(8, steps.partition(20), "partition into halves for 20 s"),),
    ),
    Scenario(
        name="minority",
        title="a third is cut off for 15 s, TCP refused, at 5 % loss",
        seconds=35,
        link=_link(0.05),
        steps=(Step(8, steps.partition(15, share=0.3, refuses=True), "cut off three nodes for 15 s"),),
    ),
    Scenario(
        name="ring",
        title="for 15 s each node reaches its two neighbours only",
        seconds=30,
        steps=(Step(5, steps.cut_ring(15), "a ring for 15 s"),),
    ),
    Scenario(
        name="deaf",
        title="one node hears nothing for 10 s, and is heard",
        seconds=25,
        steps=(Step(5, steps.one_way(10), "one node deaf for 10 s"),),
    ),
    Scenario(
        name="crash",
        title="three of ten nodes die and come back with their disks",
        seconds=30,
        steps=(Step(5, steps.crash(3, back_after=12), "kill three nodes for 12 s"),),
    ),
    Scenario(
        name="power-failure",
        title="three nodes lose power and their disks, and come back",
        seconds=30,
        steps=(Step(5, steps.crash(3, back_after=12, keeps_state=False, is_silent=True), "power failure of three"),),
    ),
    Scenario(
        name="leave",
        title="two nodes take leave and come back",
        seconds=25,
        steps=(Step(5, steps.leave(2, back_after=10), "two nodes leave for 10 s"),),
    ),
    Scenario(
        name="churn",
        title="a node dies each 4 s and is back 2 s later, at 10 % loss",
        seconds=40,
        link=_link(0.1),
        steps=(Step(0, steps.churn(36, every=4, away=2), "churn"),),
    ),
    Scenario(
        name="pauses",
        title="nodes stand still for a second, one after the other, at 5 % loss",
        seconds=40,
        link=_link(0.05),
        steps=(Step(2, steps.random_pauses(36, every=2, length=1.0), "random pauses of 1 s"),),
    ),
    Scenario(
        name="long-pause",
        title="two nodes stand still for 10 s and miss nothing",
        seconds=30,
        steps=(Step(5, steps.pause(2, 10.0), "pause two nodes for 10 s"),),
    ),
    Scenario(
        name="clock-skew",
        title="a fifth of the wall clocks is wrong by a minute",
        seconds=25,
        within=7,  # what an author says whose clock no peer knows is held for 5 s
        steps=(Step(0, steps.wrong_clocks(0.2, 60.0), "clocks wrong by 60 s"),),
    ),
    Scenario(
        name="link-changes",
        title="links turn bad and good again",
        seconds=30,
        steps=(
            Step(5, steps.links(_ROUGH), "rough links"),
            Step(12, steps.links(_link(0.3)), "30 % loss"),
            Step(20, steps.links(_link()), "good links"),
        ),
    ),
    Scenario(
        name="droppers-20", title="a fifth of the nodes passes nothing on", nodes=20, seconds=10, roles=((DROPPER, 4),)
    ),
    Scenario(
        name="droppers-50",
        title="half of the nodes pass nothing on, at 5 % loss",
        nodes=20,
        link=_link(0.05),
        seconds=10,
        roles=((DROPPER, 10),),
        within=10,
        without=("mesh-is-sound",),
    ),
    Scenario(
        name="spammers",
        title="two nodes say much more than they may",
        nodes=6,
        seconds=5,
        settle=12,
        roles=((SPAMMER, 2),),
        within=10,
    ),
    Scenario(name="replayers", title="two nodes say everything again", roles=((REPLAYER, 2),), seconds=30),
    Scenario(name="forgers", title="two nodes forge, alter and misdate", roles=((FORGER, 2),), seconds=30),
    Scenario(name="equivocators", title="two nodes say one thing here and another there", roles=((EQUIVOCATOR, 2),)),
    Scenario(
        name="eclipse",
        title="twelve nodes force themselves into every mesh",
        nodes=20,
        roles=((ECLIPSER, 12),),
        within=10,
        without=("mesh-is-sound",),  # captured meshes are the point: digests carry the messages
    ),
    Scenario(
        name="sybils",
        title="two nodes tell of thousands that do not exist and sign for hundreds, while two others lose power",
        seconds=26,
        roles=((SYBIL, 2),),
        steps=(Step(8, steps.crash(2, back_after=8, is_silent=True), "power failure of two"),),
    ),
    Scenario(
        name="slanderers",
        title="two nodes and crowds behind them speak ill of everybody else, and well of each other",
        nodes=7,
        link=_link(0.1),
        rate=4.0,
        seconds=75,
        roles=((SLANDERER, 2),),
    ),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.name: scenario for scenario in _ALL})
"""By name, in the order in which people should read them."""


def scenario_named(name: str) -> Scenario:
    """The scenario of that name; UsageError for another."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise UsageError(f"no scenario is called {name!r}: there are {', '.join(SCENARIOS)}") from None
