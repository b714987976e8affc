"""Prints how whole networks of nodes behave in virtual time, each figure with its aim and the ratio of the two.

Usage: scripts/bench/run network [--quick] [--only NAME ...] [--nodes N ...] [--loss P ...] [--deliveries N]
       [--hours H] [--seed N] [--json]
Figures: delivery (misses and duplicates), propagation, duplicates, detection, deaths, pauses, partition, hostile,
speed, thousand, joining.
--nodes and --loss choose among the rows of delivery, propagation, duplicates and detection; how far a long row is goes
to the standard error output.
The nodes are the machines that run in containers; the seeds are fixed, so that a figure changes with the code alone.
Cryptography has stand-ins (`node.sim.cheap`): they change what a run costs and nothing that is measured but `speed`.
A ratio of 1.0 or less keeps the aim.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from resource import RUSAGE_SELF, getrusage
from typing import Any

from node.config.version import is_compiled
from node.impairment.link import LinkSettings
from node.sim import steps
from node.sim.cheap import cheap_crypto
from node.sim.checks.membership import Beliefs, CrashesAreKnown
from node.sim.checks.suite import Suite
from node.sim.figures import Figures, Propagation
from node.sim.history import Record
from node.sim.hostile import DROPPER, ECLIPSER
from node.sim.network import LINK, Network, NetworkSettings
from node.sim.nodes import Role, SimNode
from node.sim.scenario import Scenario, run
from node.types import SECOND

SMALL = 240
"""Bytes of padding that make a body of 300."""
LARGE = 4_000

TOLD_EVERY = 15.0
"""Seconds between two lines about how far a row is."""

PROPAGATION = {
    (10, 0.0): (25, 27, 27),
    (10, 0.2): (26, 50, 48),
    (50, 0.0): (50, 76, 76),
    (50, 0.2): (52, 97, 97),
    (100, 0.0): (70, 95, 97),
    (100, 0.2): (72, 99, 102),
    (1000, 0.0): (96, 122, 125),
    (1000, 0.2): (99, 128, 145),
}
"""Milliseconds until half, 99 % and all of the nodes have a message, one way in 25 ms ± 10 %, by nodes and loss."""


@dataclass(frozen=True)
class Choice:
    """What is asked for. nodes, losses: empty for all. deliveries: of all rows of `delivery`. hours: of nodes.

    seed: of the networks of `delivery`, `deaths` and `pauses`, so that a long row can be run in parts.
    """

    is_quick: bool = False
    nodes: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()
    deliveries: int = 1_000_000
    hours: float = 100.0
    seed: int = 1

    def of_nodes(self, *usual: int) -> list[int]:
        return [nodes for nodes in usual if not self.nodes or nodes in self.nodes]

    def of_losses(self, *usual: float) -> list[float]:
        return [loss for loss in usual if not self.losses or loss in self.losses]


@dataclass(frozen=True)
class Row:
    """aim: the most that the value may be, or the least if is_least."""

    name: str
    value: float
    aim: float
    unit: str = ""
    is_least: bool = False

    @property
    def ratio(self) -> float:
        if self.aim == 0:
            return 0.0 if self.value == 0 else float("inf")
        return self.aim / self.value if self.is_least and self.value else self.value / self.aim


def link(loss: float = 0.0) -> LinkSettings:
    return LinkSettings(delay=LINK.delay, jitter=LINK.jitter, loss=loss)


def made(nodes: int, **settings: Any) -> Network:
    """A network that writes nothing down; settings: further ones."""
    return Network(NetworkSettings(nodes=nodes, has_trace=False, keeps_history=False, save_interval=1e6, **settings))


def steps_of(count: int, what: str) -> Iterator[int]:
    """Counts, and tells now and then how far it is."""
    told_at = time.monotonic()
    for number in range(count):
        if time.monotonic() - told_at > TOLD_EVERY:
            told_at = time.monotonic()
            print(f"{what}: {number} of {count}", file=sys.stderr, flush=True)
        yield number


def keep() -> None:
    """What is there now is no garbage: the collector does not look at it until the next call.

    Then goes what was kept before and is of no use any more: the network of another figure.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def warmed(nodes: int, loss: float, seed: int = 1) -> Network:
    """A network at rest, of nodes that have met. Its links lose nothing until they are made."""
    network = made(nodes, has_met=True, seed=seed)
    network.start_all()
    network.run(6)
    network.set_links(link(loss))
    network.run(2)
    keep()
    return network


def spread(nodes: int, loss: float, messages: int, *, size: int = SMALL, every: float = 0.25) -> Figures:
    network = warmed(nodes, loss)
    propagation = Propagation(network)
    for _ in steps_of(messages, f"messages to {nodes} nodes, {loss:.0%} loss"):
        network.publish(network.random.randrange(nodes), size=size)
        network.run(every)
    network.run(10)
    return propagation.figures()


def propagation(choice: Choice) -> Iterator[Row]:
    wanted = choice.of_nodes(*((10, 50) if choice.is_quick else (10, 50, 100)))
    for (nodes, loss), aims in PROPAGATION.items():
        if nodes not in wanted or not choice.of_losses(loss):
            continue
        figures = spread(nodes, loss, 20 if choice.is_quick else 200)
        name = f"propagation {nodes} nodes {loss:.0%} loss"
        values = (figures.p50, figures.p99, figures.full)
        for part, value, aim in zip(("p50", "p99", "last node"), values, aims, strict=True):
            yield Row(f"{name}, {part}", value * 1e3, aim * 1.1, "ms")


def thousand(choice: Choice) -> Iterator[Row]:
    """Many nodes that know each other make their links, then a few messages go to all of them."""
    nodes = 300 if choice.is_quick else 1000
    began = time.process_time()
    network = made(nodes, has_met=True)
    network.start_all()
    network.run_until(network.is_connected, 10, every=0.25)
    yield Row(f"{nodes} nodes: links join all of them after", network.now, 2.0, "s")
    network.run(2)
    yield Row(
        f"{nodes} nodes: seconds of one processor until 2 s later", time.process_time() - began, float("inf"), "s"
    )
    keep()
    for loss in (0.0, 0.2):
        yield from _spread_among_many(network, loss)
    memory = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    yield Row(f"{nodes} nodes: memory of the process", memory, float("inf"), "MiB")


def _spread_among_many(network: Network, loss: float) -> Iterator[Row]:
    nodes, messages = len(network.nodes), 5
    network.set_links(link(loss))
    measured = Propagation(network)
    began, virtual = time.process_time(), network.now
    for _ in range(messages):
        network.publish(network.random.randrange(nodes), size=SMALL)
        network.run(0.5)
    network.run(1.5)
    factor = (network.now - virtual) / (time.process_time() - began)
    figures = measured.figures()
    values, aims = (figures.p50, figures.p99, figures.full), PROPAGATION.get((nodes, loss), (float("inf"),) * 3)
    for part, value, aim in zip(("p50", "p99", "last node"), values, aims, strict=True):
        yield Row(f"propagation {nodes} nodes {loss:.0%} loss, {part}", value * 1e3, aim * 1.1, "ms")
    wrong = abs(messages * (nodes - 1) - figures.delivered)
    yield Row(f"missed or twice of {messages * (nodes - 1)} deliveries, {nodes} nodes, {loss:.0%} loss", wrong, 0)
    yield Row(f"{nodes} nodes, 5 messages in 4 s, {loss:.0%} loss: times real time", factor, 0.0, is_least=True)


def joining(choice: Choice) -> Iterator[Row]:
    """Many nodes join one seed, each announced to each."""
    nodes = 50 if choice.is_quick else 200
    began = time.process_time()
    network = made(nodes, start_spread=nodes / 20)
    network.start_all()
    network.run(nodes / 20)
    network.run_until(lambda: all(_population(node) == nodes for node in network.nodes), 60, every=0.25)
    yield Row(f"{nodes} nodes join one seed: all know all after the last start", network.now - nodes / 20, 2.0, "s")
    yield Row(f"{nodes} nodes join: seconds of one processor", time.process_time() - began, float("inf"), "s")


def _population(node: SimNode) -> int:
    return node.machine.peers.members.population


def delivery(choice: Choice) -> Iterator[Row]:
    wanted = 2_000 if choice.is_quick else choice.deliveries // 12
    for nodes in choice.of_nodes(*((10, 50) if choice.is_quick else (10, 50, 100))):
        for loss in choice.of_losses(*((0.0, 0.2) if choice.is_quick else (0.0, 0.05, 0.1, 0.2))):
            messages = max(20, -(-wanted // (nodes - 1)))
            missed, twice = _missed_and_twice(warmed(nodes, loss, choice.seed), messages)
            name = f"of {messages * (nodes - 1)} deliveries, {nodes} nodes, {loss:.0%} loss"
            yield Row(f"missed {name}", missed, 0)
            yield Row(f"twice {name}", twice, 0)


def _missed_and_twice(network: Network, messages: int) -> tuple[int, int]:
    """25 messages per second, each by any node; who lacks one 15 s later, and who had one twice or had its own."""
    nodes = len(network.nodes)
    owed: dict[str, int] = {}
    twice = 0

    def take(record: Record) -> None:
        nonlocal twice
        if record.kind == "delivered":
            message, bit = str(record.facts["message"]), 1 << record.node
            twice += not owed[message] & bit
            owed[message] &= ~bit

    network.history.listen(take)
    for _ in steps_of(messages, f"messages to {nodes} nodes"):
        author = network.random.randrange(nodes)
        owed[network.publish(author, size=SMALL)] = (1 << nodes) - 1 - (1 << author)
        network.run(0.04)
    network.run(15)
    return sum(lacking.bit_count() for lacking in owed.values()), twice


def duplicates(choice: Choice) -> Iterator[Row]:
    messages = 20 if choice.is_quick else 200
    for nodes in choice.of_nodes(50) if choice.is_quick else choice.of_nodes(100):
        for loss in choice.of_losses(0.0, 0.2):
            name = f"duplicates per delivery, {nodes} nodes, {loss:.0%} loss"
            yield Row(f"{name}, small", spread(nodes, loss, messages).duplicates, 5.8)
            yield Row(f"{name}, {LARGE} B", spread(nodes, loss, messages, size=LARGE, every=0.5).duplicates_large, 1.2)


def detection(choice: Choice) -> Iterator[Row]:
    crashes = 3 if choice.is_quick else 20
    for nodes in choice.of_nodes(30) if choice.is_quick else choice.of_nodes(100):
        for loss in choice.of_losses(0.0, 0.2) if choice.is_quick else choice.of_losses(0.0, 0.05, 0.1, 0.2):
            network, suite = warmed_with_suite(nodes, loss)
            for number in steps_of(crashes, f"crashes among {nodes} nodes, {loss:.0%} loss"):
                network.crash(number + 1, is_silent=True)
                for _ in range(6):
                    network.run(1)
                    suite.tick()
            known = suite.checks["crashes-are-known"]
            assert isinstance(known, CrashesAreKnown)
            worst = max(known.known_after, default=0) / SECOND
            unseen = sum(one.invariant == "crashes-are-known" for one in suite.violations)
            yield Row(f"crash known to all of {nodes}, {loss:.0%} loss, slowest of {crashes}", worst, 3.0, "s")
            yield Row(f"crash not known to all of {nodes} within 4 s, {loss:.0%} loss", unseen, 0)


def deaths(choice: Choice) -> Iterator[Row]:
    yield from _false_deaths(choice, 0.2, None, "20 % loss")


def pauses(choice: Choice) -> Iterator[Row]:
    yield from _false_deaths(choice, 0.0, 2.0, "a pause of 1 s somewhere every 2 s")


def _false_deaths(choice: Choice, loss: float, pause_every: float | None, name: str) -> Iterator[Row]:
    """pause_every: seconds between two pauses of a random node, None for none."""
    nodes = 20 if choice.is_quick else (choice.nodes or (100,))[0]
    hours = 0.5 if choice.is_quick else choice.hours
    network, suite = warmed_with_suite(nodes, loss, choice.seed)
    seconds = round(hours * 3600 / nodes)
    if pause_every is not None:
        steps.random_pauses(seconds, every=pause_every, length=1.0)(network, network.random)
    for _ in steps_of(seconds, f"seconds of {nodes} nodes, {name}"):
        network.run(1)
        suite.tick()
    false = sum(one.invariant == "no-false-deaths" for one in suite.violations)
    yield Row(f"false deaths in {hours:g} node-hours, {nodes} nodes, {name}", false, 0)


def warmed_with_suite(nodes: int, loss: float, seed: int = 1) -> tuple[Network, Suite]:
    network = made(nodes, has_met=True, seed=seed)
    suite = Suite(network, without=("nothing-in-clear", "counters-tell-the-truth", "views-agree", "mesh-is-sound"))
    network.start_all()
    network.run(8)
    suite.violations.clear()
    keep()
    network.set_links(link(loss))
    return network, suite


def partition(choice: Choice) -> Iterator[Row]:
    nodes, cut_for = (10, 20.0) if choice.is_quick else (30, 60.0)
    network, _ = warmed_with_suite(nodes, 0.0)
    beliefs = Beliefs()
    for number in range(nodes):
        for peer in range(nodes):
            beliefs.observe(Record(0, number, "member_changed", {"peer": peer, "state": "alive"}))
    network.history.listen(lambda record: beliefs.observe(record) and None)

    def everybody_knows_everybody() -> bool:
        return all(beliefs.of(node, peer) == "alive" for node in range(nodes) for peer in range(nodes) if node != peer)

    cut = network.partition([range(nodes // 2), range(nodes // 2, nodes)])
    reached: dict[str, int] = {}
    network.history.listen(
        lambda record: (
            reached.update({str(record.facts["message"]): reached.get(str(record.facts["message"]), 0) + 1})
            if record.kind == "delivered"
            else None
        )
    )
    messages = []
    for _ in range(int(cut_for)):
        messages.append(network.publish(network.random.randrange(nodes), size=SMALL))
        network.run(1)
    network.heal(cut)
    healed = network.now
    assert not everybody_knows_everybody(), "the cut was too short to be noticed"
    network.run_until(everybody_knows_everybody, 30, every=0.05)
    yield Row(
        f"partition of {cut_for:.0f} s, {nodes} nodes: members joined again after", network.now - healed, 3.0, "s"
    )
    network.run_until(lambda: all(reached.get(one, 0) == nodes - 1 for one in messages), 30, every=0.05)
    yield Row(
        f"partition of {cut_for:.0f} s, {nodes} nodes: all messages everywhere after", network.now - healed, 6.0, "s"
    )


def hostile(choice: Choice) -> Iterator[Row]:
    if is_compiled():
        print(
            "left out: hostile: a compiled node cannot be made hostile; measure it without --compiled", file=sys.stderr
        )
        return
    nodes = 20 if choice.is_quick else 50
    cases: tuple[tuple[str, Role, float], ...] = (
        ("20 % silent droppers", DROPPER, 0.2),
        ("50 % silent droppers", DROPPER, 0.5),
        ("eclipse by 60 %", ECLIPSER, 0.6),
    )
    for name, role, share in cases:
        scenario = Scenario(
            name="bench",
            title="",
            nodes=nodes,
            seconds=5,
            roles=((role, int(nodes * share)),),
            within=10,
            link=link(0.05),
        )
        outcome = run(scenario, 1)
        broken = [
            one
            for one in outcome.violations
            if one.invariant in ("delivered-once", "everybody-delivers", "delivered-in-time")
        ]
        yield Row(f"{name}, {nodes} nodes: promises broken", len(broken), 0)
        yield Row(f"{name}, {nodes} nodes: slowest delivery", outcome.figures.full_max, 10.0, "s")


def speed(choice: Choice) -> Iterator[Row]:
    for nodes in choice.of_nodes(*((20,) if choice.is_quick else (20, 100))):
        network = warmed(nodes, 0.0)
        began = time.process_time()
        seconds = 5 if choice.is_quick else 20
        for _ in range(seconds):
            network.publish(network.random.randrange(nodes), size=SMALL)
            network.run(1)
        factor = seconds / (time.process_time() - began)
        yield Row(f"{nodes} nodes at 1 message/s: times real time", factor, 10.0, is_least=True)


FIGURES: dict[str, Callable[[Choice], Iterator[Row]]] = {
    "delivery": delivery,
    "propagation": propagation,
    "duplicates": duplicates,
    "detection": detection,
    "deaths": deaths,
    "pauses": pauses,
    "partition": partition,
    "hostile": hostile,
    "speed": speed,
    "thousand": thousand,
    "joining": joining,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller networks and fewer messages: minutes, not hours")
    parser.add_argument("--only", action="append", choices=list(FIGURES), help="this figure alone; may be repeated")
    parser.add_argument("--nodes", action="append", type=int, default=[], help="rows of so many nodes; may be repeated")
    parser.add_argument("--loss", action="append", type=float, default=[], help="rows of that loss, 0 to 1; repeated")
    parser.add_argument(
        "--deliveries",
        type=int,
        default=1_000_000,
        metavar="N",
        help="of all rows of delivery; 1,000,000 without it",
    )
    parser.add_argument("--hours", type=float, default=100.0, help="of nodes in deaths and pauses; 100 without it")
    parser.add_argument("--seed", type=int, default=1, help="of delivery, deaths and pauses; 1 without it")
    parser.add_argument("--json", action="store_true", help="one JSON object per row")
    arguments = parser.parse_args()
    choice = Choice(
        is_quick=arguments.quick,
        nodes=tuple(arguments.nodes),
        losses=tuple(arguments.loss),
        deliveries=arguments.deliveries,
        hours=arguments.hours,
        seed=arguments.seed,
    )
    with cheap_crypto():
        for name in arguments.only or [name for name in FIGURES if not (arguments.quick and name == "thousand")]:
            for row in FIGURES[name](choice):
                show(row, is_json=arguments.json)
    return 0


def show(row: Row, *, is_json: bool) -> None:
    if is_json:
        print(json.dumps({**asdict(row), "ratio": row.ratio}), flush=True)
        return
    bound = ">=" if row.is_least else "<="
    aim = f"aim {bound} {row.aim:<8.4g} ratio {row.ratio:.2f}"
    print(f"{row.name:64} {row.value:10.2f} {row.unit:2}  {aim}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
