"""A network of whole nodes in virtual time: start, crash, pause, partition, impair, publish, and see what happened.

The nodes are the same `Machine` objects that run in containers. Everything is decided by one seed: links, clocks, keys
and every choice; the same seed gives the same `digest`. What happens goes into `history` as plain data. Seconds are
floats here, as in every public interface; inside the world they are integers of nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from node.errors import UsageError
from node.identity.keys import Identity
from node.impairment.link import LinkSettings
from node.messages.packing import Value
from node.peers.records import Record
from node.sim.cuts import GroupCut, OneWayCut
from node.sim.history import NETWORK, Fact, History
from node.sim.nodes import HONEST, SAVE_INTERVAL, TCP_PORT, WALL, Role, SimNode, address_of
from node.sim.reporting import Reporter
from node.sim.streams import Streams
from node.sim.world import World
from node.types import MILLISECOND, Address, Instant, NodeId, from_seconds

__all__ = ["LINK", "Network", "NetworkSettings"]

LINK = LinkSettings(delay=25 * MILLISECOND, jitter=2_500_000)
"""One way in 25 ms ± 10 %: the link of most published figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """nodes: how many, numbered from 0. seeds: the first so many are bootstrap addresses of all others.

    link: of every pair that is not set otherwise. core: fields of `CoreSettings` for every node.
    start_spread: the nodes start one after the other within that many seconds.
    has_met: every node knows every other when it starts, as a network at rest does, and has only to make its links;
        without start_spread. What it saves is that each of N nodes is announced to each.
    save_interval: seconds between two times that a node writes its state.
    has_trace, keeps_history: False to save time and memory in large runs.
    """

    nodes: int
    seed: int = 1
    seeds: int = 1
    link: LinkSettings = LINK
    core: dict[str, Any] = field(default_factory=dict)
    start_spread: float = 0.0
    has_met: bool = False
    has_trace: bool = True
    keeps_history: bool = True
    save_interval: float = SAVE_INTERVAL

    def __post_init__(self) -> None:
        if self.nodes < 1 or not 1 <= self.seeds <= self.nodes:
            raise UsageError(f"{self.nodes} nodes with {self.seeds} seeds: allowed are 1 and more, seeds among them")
        if self.has_met and self.start_spread:
            raise UsageError(
                f"has_met with start_spread {self.start_spread}: allowed is 0, nodes that met start at once"
            )


class Network:
    """The nodes, what is between them, and the history of both. Nothing runs before `start_all` or `start`."""

    def __init__(self, settings: NetworkSettings) -> None:
        self.settings = settings
        self.random = Random(f"network {settings.seed}")  # noqa: S311  # a simulation must repeat itself
        self.world = World(
            Random(self.random.getrandbits(64)),  # noqa: S311
            default=settings.link,
            has_trace=settings.has_trace,
        )
        self.streams = Streams(self.world, can_refuse=self._is_refused)
        self.history = History(is_kept=settings.keeps_history)
        self.nodes: list[SimNode] = []
        self.number_of: dict[NodeId, int] = {}
        self.published_at: dict[str, Instant] = {}
        self._cuts_made: list[GroupCut | OneWayCut] = []
        self._reporter = Reporter(self.world, self.history, self.number_of, self.published_at)
        for _ in range(settings.nodes):
            self.add_node()

    # --- nodes ----------------------------------------------------------------------------------------------------

    def add_node(self, role: Role = HONEST, **changes: Any) -> SimNode:
        """One more node, not started. changes: fields of its `CoreSettings` that differ from the network's."""
        node = SimNode(
            len(self.nodes),
            Identity(self.random.randbytes(32)),
            Random(self.random.getrandbits(64)),  # noqa: S311
            role,
            changes=changes,
        )
        self.nodes.append(node)
        self.number_of[node.node_id] = node.number
        return node

    def start_all(self) -> None:
        """Starts every node that does not run, spread over `start_spread`."""
        waiting = [node for node in self.nodes if not node.is_alive]
        for order, node in enumerate(waiting):
            at = self.world.now + from_seconds(self.settings.start_spread * order / len(waiting))
            if at == self.world.now:
                self.start(node.number)
            else:
                self.world.call_at(at, self.start, node.number)

    def start(self, number: int) -> None:
        """Starts a node: for the first time, or again with its key and what its disk holds."""
        node = self.nodes[number]
        if node.is_alive:
            raise UsageError(f"{node.name} runs already")
        is_seed = number < self.settings.seeds
        has_met = self.settings.has_met and not self.world.now
        known = () if has_met else range(self.settings.seeds)
        seeds = tuple(address_of(seed) for seed in known if seed != number)
        machine, clock = node.build({"bootstrap": seeds, "is_seed": is_seed, **self.settings.core}, self.world.now)
        host = self.world.add_host(node.address, machine, clock=clock)
        host.keeps_events = False
        host.on_output = partial(self.streams.take, host)
        host.on_event = partial(self._reporter.report, node)
        node.host = host
        if machine.settings.enable_tcp:
            self.streams.listen(host, (node.address[0], TCP_PORT))
        node.role.arrange(self, node)
        self._note(
            number, "started", epoch=node.epoch, life=node.life, role=node.role.name, is_honest=node.role.is_honest
        )
        machine.start(self.world.clock_of(host))
        if has_met:
            machine.peers.membership.presume(self._others(number), self.world.clock_of(host))
        self.world.drain(host)
        self._save(node, node.life)

    def stop(self, number: int) -> None:
        """Ends a node properly: it takes leave, and its disk is written."""
        node, host = self._running(number)
        node.save(is_final=True)
        self._note(number, "stopped", life=node.life)
        node.machine.stop(self.world.clock_of(host))
        self.world.drain(host)
        self.streams.forget(host, is_silent=False)
        self.world.remove_host(host)

    def crash(self, number: int, *, keeps_state: bool = True, is_silent: bool = False) -> None:
        """Ends a node without a word.

        keeps_state: False takes its disk, key apart. is_silent: its kernel is gone as well, as in a power failure, so
        that no TCP peer is told.
        """
        node, host = self._running(number)
        if not keeps_state:
            node.saved = None
        self.streams.forget(host, is_silent=is_silent)
        self.world.remove_host(host)
        self._note(number, "crashed", life=node.life, keeps_state=keeps_state, is_silent=is_silent)

    def restart(self, number: int, *, after: float = 0.0, keeps_state: bool = True) -> None:
        """Crashes a node and starts it again that many seconds later."""
        self.crash(number, keeps_state=keeps_state)
        self.at(after, self.start, number)

    def pause(self, number: int, seconds: float) -> None:
        """Keeps a node from running for that long; what is sent to it waits."""
        node, host = self._running(number)
        self.world.pause(host, from_seconds(seconds))
        self._note(number, "paused", life=node.life, seconds=seconds)
        self.at(seconds, self._resume, number, node.life)

    def rebind(self, number: int) -> None:
        """Gives a node another UDP port, as a NAT that forgets its binding does; its links stay as they are."""
        node, host = self._running(number)
        old = host.address
        new = (old[0], old[1] + 1)
        for source, target in [pair for pair in self.world.links if old in pair]:
            settings = self.world.link(source, target).settings
            here, there = (new, target) if source == old else (source, new)
            self.world.set_link(here, there, settings, both=False)
        self.world.move_host(host, new)
        self._note(number, "rebound", life=node.life, port=new[1])

    def turn_hostile(self, number: int, role: Role, seconds: float) -> None:
        """Lets a running node play that role for so long; what it did makes it no honest node until its next life."""
        node, _ = self._running(number)
        self._note(number, "turned", life=node.life, role=role.name)
        role.arrange(self, node)
        self.at(seconds, _stop_villain, node.bag["villain"])

    def set_clock(self, number: int, *, skew: float = 0.0, drift: int = 0) -> None:
        """Sets how wrong a node's wall clock is, and how fast its clocks run (ppm), from now on."""
        node, now = self.nodes[number], self.world.now
        node.skew, node.drift = from_seconds(skew), drift
        if node.host is not None:
            node.host.clock.set_drift(drift, now)
        if node.is_alive and node.host is not None:
            local = self.world.clock_of(node.host)
            node.machine.set_wall_offset(WALL + now + node.skew - local, local)
            self.world.drain(node.host)
        self._note(number, "clock", skew=skew, drift=drift)

    # --- the network between them ---------------------------------------------------------------------------------

    def set_links(
        self, settings: LinkSettings, sources: Iterable[int] | None = None, targets: Iterable[int] | None = None
    ) -> None:
        """Gives these settings to the links from every source to every target; without any, to all links."""
        if sources is None and targets is None:
            self.world.set_default(settings)
        else:
            everybody = range(len(self.nodes))
            froms = list(everybody if sources is None else sources)
            tos = list(everybody if targets is None else targets)
            for source in froms:
                for target in tos:
                    if source != target:
                        self.world.set_link(address_of(source), address_of(target), settings, both=False)
        self._note(NETWORK, "links", loss=settings.loss, delay=settings.delay)

    def partition(self, groups: Sequence[Sequence[int]], *, refuses: bool = False) -> GroupCut:
        """Cuts the groups off from each other until `heal`. refuses: TCP connections are refused, not ignored."""
        cut = GroupCut([[address_of(number) for number in group] for group in groups], refuses=refuses)
        self._add_cut(cut, groups=[list(group) for group in groups])
        return cut

    def cut_one_way(self, sources: Sequence[int], targets: Sequence[int]) -> OneWayCut:
        """Lets nothing from the sources to the targets until `heal`."""
        cut = OneWayCut(map(address_of, sources), map(address_of, targets))
        self._add_cut(cut, sources=list(sources), targets=list(targets))
        return cut

    def heal(self, cut: GroupCut | OneWayCut | None = None) -> None:
        """Ends that cut, or every cut."""
        if cut is None:
            self.world.cuts.clear()
            self._note(NETWORK, "healed")
        elif cut in self.world.cuts:
            self.world.cuts.remove(cut)
            self._note(NETWORK, "healed", cut=self._cuts_made.index(cut))

    # --- messages -------------------------------------------------------------------------------------------------

    def publish(self, number: int, payload: dict[str, Value] | None = None, *, size: int = 0) -> str:
        """Broadcasts from that node; the message's id. size: bytes added to the payload. Errors are the node's."""
        node, host = self._running(number)
        content: dict[str, Value] = dict(payload or {})
        content.setdefault("n", len(self.published_at))
        if size:
            content["pad"] = bytes(size)
        message = node.machine.broadcast(content, self.world.clock_of(host))
        self.published_at[message] = self.world.now
        self._note(number, "published", message=message)
        self.world.drain(host)
        return message

    def send(self, number: int, target: int, payload: Value) -> int:
        """Sends to one node; the token of the `sent` record that follows."""
        node, host = self._running(number)
        token = node.machine.send(self.nodes[target].node_id, payload, self.world.clock_of(host))
        self.world.drain(host)
        return token

    # --- time and questions ---------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.world.now / 1e9

    def run(self, seconds: float) -> None:
        """Lets that much time pass."""
        self.world.run(seconds)

    def run_until(self, condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
        """Runs until the condition, asked each `every` seconds, holds or the time is over; whether it holds."""
        return self.world.run_until(condition, seconds, every=every)

    def at(self, seconds: float, function: Callable[..., object], *arguments: object) -> None:
        """Calls a function that many seconds from now."""
        self.world.call_at(self.world.now + from_seconds(seconds), partial(_ignore_result, function), *arguments)

    def alive(self) -> list[SimNode]:
        """Nodes that run now."""
        return [node for node in self.nodes if node.is_alive]

    def has_met(self, number: int, other: int) -> bool:
        """Whether that node has the other one as an active peer."""
        return self.nodes[number].machine.peers.table.is_active(self.nodes[other].node_id)

    def is_connected(self) -> bool:
        """Whether active peers lead from each living node to every other living node."""
        alive = {node.number for node in self.alive()}
        if not alive:
            return True
        start = min(alive)
        reached, frontier = {start}, [start]
        while frontier:
            table = self.nodes[frontier.pop()].machine.peers.table
            for peer in table.active():
                other = self.number_of.get(peer.node_id)
                if other in alive and other not in reached:
                    reached.add(other)
                    frontier.append(other)
        return reached == alive

    def digest(self) -> str:
        """Hash of everything that happened: equal for equal seeds and equal commands."""
        return self.world.digest()

    # --- inside ---------------------------------------------------------------------------------------------------

    def _others(self, number: int) -> Iterator[tuple[Record, int, str]]:
        """What that node knows of all others where everybody has met and starts now."""
        for node in self.nodes:
            if node.number != number:
                # One that runs has written its state already, from which its next life would take a higher epoch.
                epoch = node.epoch if node.is_alive else node.epoch_at(self.world.now)
                yield node.record, epoch, node.name

    def _running(self, number: int) -> tuple[SimNode, Any]:
        node = self.nodes[number]
        if not node.is_alive:
            raise UsageError(f"{node.name} does not run")
        return node, node.host

    def _save(self, node: SimNode, life: int) -> None:
        if node.is_alive and node.life == life:
            node.save(is_final=False)
            self.at(self.settings.save_interval, self._save, node, life)

    def _resume(self, number: int, life: int) -> None:
        node = self.nodes[number]
        host = node.host
        if host is not None and host.is_alive and node.life == life and host.paused_until <= self.world.now:
            self._note(number, "resumed", life=life)

    def _add_cut(self, cut: GroupCut | OneWayCut, **facts: Fact) -> None:
        self.world.cuts.append(cut)
        self._cuts_made.append(cut)
        self._note(NETWORK, "cut", **facts)

    def _is_refused(self, source: Address, target: Address) -> bool:
        return any(getattr(cut, "refuses", False) and cut.stops(source, target) for cut in self.world.cuts)

    def _note(self, number: int, kind: str, **facts: Fact) -> None:
        self.world.record(kind, number)
        self.history.add(self.world.now, number, kind, facts)


def _stop_villain(villain: Any) -> None:
    villain.stop()


def _ignore_result(function: Callable[..., object], *arguments: object) -> None:
    function(*arguments)
