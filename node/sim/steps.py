"""What can be done to a network in the course of a scenario: each function makes one action, with its own end.

An action is called with the network and a random generator that the seed decides, so that whom it hits is decided too.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from node.impairment.link import LinkSettings
from node.sim.cuts import halves, ring
from node.sim.network import Network

__all__ = [
    "Action",
    "churn",
    "crash",
    "cut_ring",
    "leave",
    "links",
    "one_way",
    "partition",
    "pause",
    "random_pauses",
    "wrong_clocks",
]

Action: TypeAlias = Callable[[Network, Random], None]


def partition(seconds: float, *, share: float = 0.5, refuses: bool = False) -> Action:
    """Cuts that share of the living nodes, chosen at random, off from the rest for that long."""

    def act(network: Network, random: Random) -> None:
        numbers = [node.number for node in network.alive()]
        random.shuffle(numbers)
        size = max(1, round(len(numbers) * share))
        groups = halves(numbers) if share == 0.5 else [numbers[size:], numbers[:size]]
        cut = network.partition(groups, refuses=refuses)
        network.at(seconds, network.heal, cut)

    return act


def cut_ring(seconds: float) -> Action:
    """Leaves each node its two neighbours only, for that long."""

    def act(network: Network, _random: Random) -> None:
        for groups in ring([node.number for node in network.alive()]):
            network.at(seconds, network.heal, network.partition(groups))

    return act


def one_way(seconds: float) -> Action:
    """One node, not the first, hears nothing for that long, and is heard."""

    def act(network: Network, random: Random) -> None:
        numbers = [node.number for node in network.alive()]
        deaf = random.choice(numbers[1:])
        cut = network.cut_one_way([number for number in numbers if number != deaf], [deaf])
        network.at(seconds, network.heal, cut)

    return act


def crash(count: int, *, back_after: float | None = None, keeps_state: bool = True, is_silent: bool = False) -> Action:
    """Kills that many honest nodes, not the first; they come back after that time, or never."""

    def act(network: Network, random: Random) -> None:
        for number in _some(network, random, count):
            network.crash(number, keeps_state=keeps_state, is_silent=is_silent)
            if back_after is not None:
                network.at(back_after, network.start, number)

    return act


def leave(count: int, *, back_after: float | None = None) -> Action:
    """Lets that many nodes, not the first, stop properly; they come back after that time, or never."""

    def act(network: Network, random: Random) -> None:
        for number in _some(network, random, count):
            network.stop(number)
            if back_after is not None:
                network.at(back_after, network.start, number)

    return act


def churn(seconds: float, *, every: float, away: float) -> Action:
    """For that long, kills a node each `every` seconds and starts it again `away` seconds later."""

    def act(network: Network, random: Random) -> None:
        for turn in range(int(seconds / every)):
            network.at(turn * every, crash(1, back_after=away), network, random)

    return act


def pause(count: int, seconds: float) -> Action:
    """Keeps that many nodes from running for that long."""

    def act(network: Network, random: Random) -> None:
        for number in _some(network, random, count):
            network.pause(number, seconds)

    return act


def random_pauses(seconds: float, *, every: float, length: float) -> Action:
    """For that long, pauses one node after the other, as a machine without time to spare does."""

    def act(network: Network, random: Random) -> None:
        for turn in range(int(seconds / every)):
            network.at(turn * every, pause(1, length), network, random)

    return act


def links(settings: LinkSettings) -> Action:
    """From now on all links are like that."""
    return lambda network, _: network.set_links(settings)


def wrong_clocks(share: float, seconds: float) -> Action:
    """Sets the wall clocks of that share of the nodes wrong by up to so much either way, and starts them anew."""

    def act(network: Network, random: Random) -> None:
        for number in _some(network, random, max(1, round(share * len(network.nodes)))):
            network.set_clock(number, skew=random.choice((-1, 1)) * seconds, drift=random.randrange(-200, 200))
            network.restart(number, after=1.0)

    return act


def _some(network: Network, random: Random, count: int) -> list[int]:
    numbers = [node.number for node in network.alive() if node.number >= network.settings.seeds and node.role.is_honest]
    return sorted(random.sample(numbers, min(count, len(numbers))))
