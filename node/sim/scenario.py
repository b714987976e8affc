"""One simulated scenario: a network, its load, what is done to it and which promises are watched; and how it is run.

A scenario and a seed decide a run completely. This is the table form that the simulator's own scenarios use; whoever
has another form (a file, a test) drives `Network` and `Suite` as `run` does.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any

from node.errors import PositronError, UsageError
from node.impairment.link import LinkSettings
from node.sim.cheap import cheap_crypto
from node.sim.checks.base import Violation
from node.sim.checks.state import NothingInClear
from node.sim.checks.suite import Suite
from node.sim.figures import Figures, Propagation
from node.sim.network import LINK, Network, NetworkSettings
from node.sim.nodes import Role
from node.sim.steps import Action

__all__ = ["Outcome", "Scenario", "Step", "run"]


@dataclass(frozen=True, slots=True)
class Step:
    """at: seconds after the load began. text: what it does, for people."""

    at: float
    action: Action
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """nodes: how many. seconds: duration of the load. warm_up, settle: quiet time before and after it.

    rate: messages per second in the whole network, by random honest nodes. size: bytes of payload.
    roles: how many nodes, never the first, have which role. core: fields of `CoreSettings`.
    within: seconds in which nodes that nothing disturbs must have each message.
    without: invariants that this network cannot keep, and is not judged by.
    """

    name: str
    title: str
    nodes: int = 10
    seconds: float = 20.0
    warm_up: float = 6.0
    settle: float = 13.0
    rate: float = 2.0
    size: int = 200
    link: LinkSettings = LINK
    core: Mapping[str, Any] = field(default_factory=dict)
    roles: tuple[tuple[Role, int], ...] = ()
    steps: tuple[Step, ...] = ()
    within: float = 2.0
    without: tuple[str, ...] = ()
    overrides: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        hostile = sum(count for _, count in self.roles)
        if self.nodes <= hostile:
            text = f"{hostile} of them are hostile; allowed are {hostile + 1} and more"
            raise UsageError(f"{self.name} with {self.nodes} nodes: {text}")
        for step in self.steps:
            if step.at > self.seconds:
                text = f"its step {step.text!r} begins at {step.at:g} s; allowed is that and more"
                raise UsageError(f"{self.name} with {self.seconds:g} seconds: {text}")

    def changed(self, **changes: float | None) -> Scenario:
        """The same with other numbers, which `overrides` remembers; None changes nothing."""
        true = {name: value for name, value in changes.items() if value not in (None, getattr(self, name))}
        overrides: dict[str, float] = {**dict(self.overrides), **true}
        return replace(self, overrides=tuple(overrides.items()), **true)  # type: ignore[arg-type]  # names of numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. command: replays it. real_seconds: time it took; the rest is the same at every repetition."""

    scenario: str
    seed: int
    nodes: int
    violations: tuple[Violation, ...]
    figures: Figures
    digest: str
    virtual_seconds: float
    events: int
    real_seconds: float
    command: str

    @property
    def is_passed(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    def as_json(self) -> dict[str, Any]:
        """The outcome as one JSON object."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "nodes": self.nodes,
            "passed": self.is_passed,
            "violations": [str(violation) for violation in self.violations],
            "figures": asdict(self.figures),
            "digest": self.digest,
            "virtual_seconds": self.virtual_seconds,
            "real_seconds": round(self.real_seconds, 3),
            "events": self.events,
            "command": self.command,
        }


def run(
    scenario: Scenario,
    seed: int,
    *,
    is_cheap: bool = False,
    on_network: Callable[[Network], None] | None = None,
    stops_early: bool = False,
) -> Outcome:
    """Runs a scenario. on_network: sees the network before it starts. stops_early: ends at the first broken promise.

    is_cheap: with stand-ins for the cryptography, which makes another run of the same seed.
    """
    with ExitStack() as stack:
        if is_cheap:
            stack.enter_context(cheap_crypto())
        # Thousands of long-lived objects would be walked again and again; a run makes few cycles.
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        return _run(scenario, seed, on_network, is_cheap=is_cheap, stops_early=stops_early)


def _run(
    scenario: Scenario,
    seed: int,
    on_network: Callable[[Network], None] | None,
    *,
    is_cheap: bool,
    stops_early: bool,
) -> Outcome:
    began_at = time.perf_counter()
    settings = NetworkSettings(
        nodes=scenario.nodes,
        seed=seed,
        link=scenario.link,
        core=dict(scenario.core),
        start_spread=min(2.0, scenario.warm_up / 3),
        keeps_history=on_network is not None,
    )
    network = Network(settings)
    random = Random(f"scenario {scenario.name} {seed}")  # noqa: S311  # a simulation must repeat itself
    _give_roles(network, scenario, random)
    suite = Suite(
        network, within=scenario.within, without=(*scenario.without, *((NothingInClear.name,) if is_cheap else ()))
    )
    propagation = Propagation(network)
    if on_network is not None:
        on_network(network)
    network.start_all()
    network.run(scenario.warm_up)
    for step in scenario.steps:
        network.at(step.at, step.action, network, random)
    load = Load(network, suite, scenario, random)
    network.at(0, load.publish)
    end = network.now + scenario.seconds + scenario.settle
    while network.now < end and not (stops_early and suite.violations):
        network.run(min(1.0, end - network.now))
        suite.tick()
    if not (stops_early and suite.violations):
        suite.finish()
    return Outcome(
        scenario=scenario.name,
        seed=seed,
        nodes=scenario.nodes,
        violations=tuple(suite.violations),
        figures=propagation.figures(),
        digest=network.digest(),
        virtual_seconds=network.now,
        events=network.world.events_done,
        real_seconds=time.perf_counter() - began_at,
        command=_command(scenario, seed, is_cheap=is_cheap),
    )


class Load:
    """Publishes at the rate of the scenario, each time from a random honest node that runs."""

    def __init__(self, network: Network, suite: Suite, scenario: Scenario, random: Random) -> None:
        self._network = network
        self._suite = suite
        self._scenario = scenario
        self._random = random
        self._ends_at = network.now + scenario.seconds
        self.refused = 0

    def publish(self) -> None:
        """Publishes one message and arranges for the next one."""
        network, scenario = self._network, self._scenario
        if scenario.rate <= 0:
            return
        authors = [number for number in self._suite.situation.honest_living() if self._runs(number)]
        if authors:
            try:
                canary = NothingInClear.CANARY
                network.publish(self._random.choice(authors), {"canary": canary}, size=scenario.size)
            except PositronError:
                self.refused += 1
        if network.now + 1 / scenario.rate < self._ends_at:
            network.at(1 / scenario.rate, self.publish)

    def _runs(self, number: int) -> bool:
        host = self._network.nodes[number].host
        return host is not None and host.paused_until <= self._network.world.now


def _command(scenario: Scenario, seed: int, *, is_cheap: bool) -> str:
    words = ["python -m node.sim replay", scenario.name, f"--seed {seed}"]
    words += [f"--{name} {value}" for name, value in scenario.overrides]
    return " ".join([*words, *(["--cheap-crypto"] if is_cheap else [])])


def _give_roles(network: Network, scenario: Scenario, random: Random) -> None:
    wanted = [role for role, count in scenario.roles for _ in range(count)]
    candidates = [node for node in network.nodes if node.number >= network.settings.seeds]
    for node, role in zip(random.sample(candidates, len(wanted)), wanted, strict=True):
        node.role = role
