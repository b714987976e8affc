"""Runs a scenario in virtual time: the same node machines, no processes, no sockets, and the same result each time.

Links, cuts, pauses, crashes and clocks are those of `node/sim`. What needs an operating system (memory, disks, name
resolution) cannot be done here, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from random import Random
from typing import Any

from node.config import NetworkConfig
from node.impairment.combination import combined
from node.impairment.link import Link, LinkSettings, expected_loss
from node.metrics.impairment import ChaosReading, Impairment
from node.metrics.process import ProcessReading
from node.metrics.readings import Observation, RuntimeStats
from node.metrics.text import render
from node.node.engine import core_settings
from node.node.report import node_report
from node.peers.members import MemberState
from node.sim.cuts import OneWayCut
from node.sim.history import NETWORK, Record
from node.sim.hostile import DROPPER, FORGER, REPLAYER, SPAMMER
from node.sim.network import Network, NetworkSettings
from node.sim.nodes import TRANSPORT, SimNode, address_of
from node.testnet.errors import NotApplied, TestnetMisused
from node.testnet.runners.base import Event, Fault, LinkCount, LinkName, Plan
from node.testnet.scenario.resolve import LinkFault, NodeFault
from node.testnet.wholeness import is_linked
from node.transport.trace import SUFFIX
from node.types import MILLISECOND, SECOND, short_id, to_seconds

__all__ = ["SimRunner"]

SUPPORTED = ("kill", "stop", "restart", "pause", "cpu", "clock", "nat_rebind", "hostile")
RESTART_TIME = 0.5
"""Seconds that a restarted node is away: what a process needs to begin."""

CPU_SLICE = 0.1
"""Seconds; a node with a share of a processor runs for that share of each slice."""

TRACES_PER_NODE = 16
"""Traces that share the room of one node; a mesh seldom has more links that speak all the time."""

START_SPREAD = 0.2
WHOLE_TIMEOUT = 30.0


class SimRunner:
    """See the module. settings: fields of `CoreSettings` for every node, beside those of the topology."""

    name = "sim"
    backend = "sim"
    reason = "virtual time"

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self._settings = dict(settings or {})
        self._names: tuple[str, ...] = ()
        self._links: Mapping[LinkName, LinkSettings] = {}
        self._demands: dict[int, LinkFault] = {}
        self._ends: dict[int, Callable[[], None]] = {}
        self._faults: dict[int, Fault] = {}
        self._cuts: dict[LinkName, OneWayCut] = {}
        self._network: Network | None = None
        self._kept: dict[str, dict[str, bytes]] = {}
        self._random = Random(0)  # noqa: S311 (probes must repeat themselves)

    def missing(self, faults: Sequence[Fault], _links: Mapping[LinkName, LinkSettings]) -> list[str]:
        kinds = {fault.kind: None for fault in faults if isinstance(fault, NodeFault)}
        return [f"a simulated node has no {kind}" for kind in kinds if kind not in SUPPORTED]

    def up(self, plan: Plan) -> None:
        if plan.backend not in ("auto", "wire"):
            raise NotApplied(f"backend {plan.backend}: a simulation has no kernel; give --runner docker")
        self._names = plan.topology.names
        self._links = plan.links
        self._random = Random(plan.seed)  # noqa: S311
        settings = NetworkSettings(
            nodes=len(self._names),
            seed=plan.seed,
            link=LinkSettings(delay=MILLISECOND // 10),
            core=_core_settings(plan) | self._settings,
            start_spread=START_SPREAD,
        )
        self._network = network = Network(settings)
        for name, node in zip(self._names, network.nodes, strict=True):
            node.changes["name"] = name
        for link in plan.links:
            self._set(link)
        network.start_all()
        size = len(self._names)
        network.run_until(lambda: all(_is_whole(node, size) for node in network.nodes), WHOLE_TIMEOUT)

    # --- time -----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self._network.now if self._network is not None else 0.0

    def sleep_until(self, time: float) -> None:
        if time > self.now():
            self._running().run(time - self.now())

    # --- faults ---------------------------------------------------------------------------------------------------

    def apply(self, fault: Fault, origin: float) -> None:
        network = self._running()
        lasts = max(0.0, origin + to_seconds(fault.until) - self.now())
        key = len(self._demands) + len(self._ends) + network.history.count
        while key in self._demands or key in self._ends:
            key += 1
        if isinstance(fault, LinkFault):
            self._demands[key] = fault
            for link in fault.links:
                self._set(link)
            end: Callable[[], None] = lambda: self._end_links(key)  # noqa: E731
        else:
            end = self._apply_to_node(fault)
        self._ends[key] = end
        self._faults[key] = fault
        network.at(lasts, self._end, key)

    def heal(self, step: str | None = None) -> None:
        """step: None for every fault."""
        for key in list(self._ends):
            if step in (None, self._faults[key].step):
                self._end(key)

    def _end(self, key: int) -> None:
        end = self._ends.pop(key, None)
        self._faults.pop(key, None)
        if end is not None:
            end()

    def _end_links(self, key: int) -> None:
        for link in self._demands.pop(key).links:
            self._set(link)

    def _apply_to_node(self, fault: NodeFault) -> Callable[[], None]:
        """Begins what happens to a node; what ends it."""
        network, number = self._running(), self._names.index(fault.node)
        lasts = to_seconds(fault.until - fault.at)
        match fault.kind:
            case "kill":
                self._keep_traces(number)
                network.crash(number, keeps_state=not fault.parameters.get("lose_state", False))
                return lambda: self._start(number)
            case "stop":
                self._keep_traces(number)
                network.stop(number)
                return lambda: self._start(number)
            case "restart":
                self._keep_traces(number)
                network.stop(number)
                network.at(RESTART_TIME, self._start, number)
            case "pause":
                network.pause(number, lasts)
            case "cpu":
                self._slow_down(number, float(str(fault.parameters["share"])), self.now() + lasts)
            case "clock":
                ahead, behind, drift = (
                    float(str(fault.parameters.get(name, 0.0))) for name in ("ahead", "behind", "drift")
                )
                network.set_clock(number, skew=(ahead - behind) / SECOND, drift=round(drift * 1e6))
                return lambda: network.set_clock(number)
            case "nat_rebind":
                network.rebind(number)
            case "hostile":
                network.turn_hostile(number, _ROLES[str(fault.parameters["behaviour"])], lasts)
            case _:
                raise TestnetMisused(f"a simulated node has no {fault.kind}")
        return lambda: None

    def _start(self, number: int) -> None:
        network = self._running()
        if not network.nodes[number].is_alive:
            network.start(number)

    def _slow_down(self, number: int, share: float, until: float) -> None:
        network = self._running()
        if self.now() < until and network.nodes[number].is_alive:
            network.pause(number, CPU_SLICE * (1 - share))
            network.at(CPU_SLICE, self._slow_down, number, share, until)

    def _asked(self, link: LinkName) -> LinkSettings:
        settings = self._links[link]
        for demand in self._demands.values():
            if link in demand.links:
                settings = combined(settings, demand.settings)
        return settings

    def _set(self, link: LinkName) -> None:
        """Gives a link what is asked of it now. One that loses everything is cut, so that streams are cut as well."""
        network = self._running()
        settings = self._asked(link)
        source, target = (self._names.index(name) for name in link)
        cut = self._cuts.pop(link, None)
        if cut is not None:
            network.heal(cut)
        if settings.loss >= 1.0:
            self._cuts[link] = network.cut_one_way([source], [target])
        network.set_links(settings, [source], [target])

    # --- questions ------------------------------------------------------------------------------------------------

    def probe(self, links: Sequence[LinkName], count: int) -> list[LinkCount]:
        """Over a copy of each link as it is set now, so that probes do not change the fate of what nodes send."""
        return [self._probed(link, count) for link in links]

    def _probed(self, name: LinkName, count: int) -> LinkCount:
        source, target = (address_of(self._names.index(one)) for one in name)
        link = Link(self._running().world.link(source, target).settings, Random(self._random.getrandbits(64)))  # noqa: S311
        delays = []
        for number in range(count):
            at = number * SECOND // 100
            delays += [to_seconds(arrival.at - at) for arrival in link.send(bytes(100), at)[:1]]
        return LinkCount(link=name, sent=count, received=len(delays), delays=tuple(delays))

    def publish(self, node: str, size: int) -> str | None:
        number = self._names.index(node)
        network = self._running()
        return network.publish(number, size=size) if network.nodes[number].is_alive else None

    def scrape(self) -> dict[str, str | None]:
        return {name: self._exposed(node) for name, node in self._nodes()}

    def stats(self) -> dict[str, dict[str, Any] | None]:
        return {name: self._said(node) for name, node in self._nodes()}

    def status(self, node: str, path: str) -> int:
        return 200 if self._running().nodes[self._names.index(node)].is_alive else 0

    def members(self) -> dict[str, list[str]]:
        network = self._running()
        found = {}
        for name, node in self._nodes():
            if node.is_alive:
                known = (network.number_of.get(member.node_id) for member in node.machine.peers.members.present())
                found[name] = [self._names[number] for number in known if number is not None]
        return found

    def history(self) -> list[Event]:
        records = (self._event(record) for record in self._running().history if record.node != NETWORK)
        return [event for event in records if event is not None]

    def logs(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in self._names}
        for record in self._running().history.of("problem"):
            found[self._names[record.node]].append(f"{to_seconds(record.at):.3f} WARNING {record.facts}")
        return found

    def traces(self) -> dict[str, dict[str, bytes]]:
        for number in range(len(self._names)):
            self._keep_traces(number)
        return self._kept

    def digest(self) -> str:
        """Hash of everything that happened."""
        return self._running().digest()

    def down(self) -> None:
        self._ends.clear()

    # --- inside ---------------------------------------------------------------------------------------------------

    def _running(self) -> Network:
        if self._network is None:
            raise TestnetMisused("the simulation was not brought up")
        return self._network

    def _keep_traces(self, number: int) -> None:
        """Reads what the present life of a node has recorded; the next one knows nothing of it."""
        node = self._running().nodes[number]
        udp = node.machine.udp if node.is_alive else None
        if udp is not None:
            kept = self._kept.setdefault(self._names[number], {})
            prefix = f"{short_id(node.node_id)}-{node.epoch}-"
            kept |= {f"{prefix}{trace.handle}{SUFFIX}": trace.dump() for trace in udp.traces.all()}

    def _nodes(self) -> list[tuple[str, SimNode]]:
        return list(zip(self._names, self._running().nodes, strict=True))

    def _exposed(self, node: SimNode) -> str | None:
        if not node.is_alive:
            return None
        seen = Observation(
            snapshot=node.machine.snapshot(self._clock(node)),
            wall_offset=0,
            socket=None,
            runtime=RuntimeStats(),
            tasks=0,
            process=_NO_PROCESS,
            impairments=None,
            is_seed=node.number == 0,
            profile="testnet",
            chaos=self._chaos(node),
        )
        return render(seen).decode()

    def _chaos(self, node: SimNode) -> ChaosReading:
        """The faults that run, those of other nodes included, and what is asked of each link of this node."""
        name = self._names[node.number]
        world = self._running().world
        here = [link for link in self._links if link[0] == name]
        stats = [world.link(*(address_of(self._names.index(end)) for end in link)).stats for link in here]
        return ChaosReading(
            backend="sim",
            active=tuple((fault.step, fault.kind) for fault in self._faults.values() if _concerns(fault, name)),
            links=tuple(_impairment(link[1], self._asked(link)) for link in here),
            offered=sum(one.offered for one in stats),
            dropped=sum(one.lost + one.overflowed + one.too_large for one in stats),
        )

    def _said(self, node: SimNode) -> dict[str, Any] | None:
        if not node.is_alive:
            return None
        return node_report(node.machine.snapshot(self._clock(node)), wall_offset=0, socket=None)

    def _clock(self, node: SimNode) -> int:
        assert node.host is not None
        return self._running().world.clock_of(node.host)

    def _event(self, record: Record) -> Event | None:
        kind = _EVENTS.get(record.kind)
        if kind is None:
            return None
        event: Event = {"node": self._names[record.node], "at": to_seconds(record.at), "event": kind}
        if kind == "stopped":
            event["reason"] = "kill" if record.kind == "crashed" else "stop"
        for key in ("message", "state"):
            if key in record.facts:
                event[key] = record.facts[key]
        for key in ("origin", "peer"):
            if key in record.facts:
                number = record.facts[key]
                event[key] = self._names[number] if isinstance(number, int) else number
        return event


_ROLES = {"flood": SPAMMER, "replay": REPLAYER, "bad_signature": FORGER, "silent_dropper": DROPPER}

_EVENTS = {
    "started": "started",
    "stopped": "stopped",
    "crashed": "stopped",
    "published": "published",
    "delivered": "delivered",
    "peer_up": "peer_up",
    "peer_down": "peer_down",
    "member_changed": "member",
}

_NO_PROCESS = ProcessReading(cpu=None, resident=None, open_files=None, started=None)


def _concerns(fault: Fault, node: str) -> bool:
    """Links by the node that sends on them; what happens to a node is told by all, since it may be unable to."""
    return isinstance(fault, NodeFault) or any(link[0] == node for link in fault.links)


def _impairment(target: str, settings: LinkSettings) -> Impairment:
    return Impairment(
        backend="sim",
        target=target,
        loss_ratio=expected_loss(settings),
        delay_seconds=to_seconds(settings.delay),
        jitter_seconds=to_seconds(settings.jitter),
        rate_bytes_per_second=settings.rate,
    )


def _is_whole(node: SimNode, size: int) -> bool:
    peers = node.machine.peers
    return node.is_alive and is_linked(peers.members.counts[MemberState.ALIVE], len(peers.table.active()), size)


def _core_settings(plan: Plan) -> dict[str, Any]:
    """What the settings of a scenario, which are those of the configuration, change in those of the core."""
    given: dict[str, Any] = dict(plan.topology.settings)
    plain, asked = (core_settings(NetworkConfig(port=0, **one), "x", (0, 0)) for one in ({}, given))
    transport = _changes(plain.transport, asked.transport)
    if plan.has_traces:
        transport["qlog_bytes_max"] = plan.traces_bytes_max // TRACES_PER_NODE
    return _changes(plain, asked) | {"transport": replace(TRANSPORT, **transport)}


def _changes(plain: Any, asked: Any) -> dict[str, Any]:
    names = [one.name for one in fields(plain)]
    return {name: getattr(asked, name) for name in names if getattr(asked, name) != getattr(plain, name)}
