"""Fixes everything that a scenario leaves to chance, and takes composite faults apart.

The result is a list of two simple things: links that get other settings for a while, and nodes to which something
happens. The same scenario and seed give the same list, whoever carries it out; replay repeats it as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from node.impairment.link import LinkSettings
from node.testnet.scenario.faults import KINDS
from node.testnet.scenario.links import SETTINGS, described, parse_settings
from node.testnet.scenario.scenario import Direction, Entry, Scenario, Target
from node.testnet.scenario.topology import ALL, SEED, Topology, link_table
from node.types import SECOND, Duration

__all__ = ["LinkFault", "NodeFault", "Schedule", "Unresolvable", "faults_of", "resolve"]

CUT = LinkSettings(loss=1.0)
FLAP_TIME: Duration = SECOND
RESTART_EVERY: Duration = 5 * SECOND
CHURN_EVERY: Duration = 5 * SECOND
CHURN_DOWN: Duration = 3 * SECOND
PARTS_OF_FAULT_MAX = 1000

Link = tuple[str, str]


class Unresolvable(ValueError):
    """A fault cannot be: it excludes an earlier one, hits nobody, or has more parts than there may be. step: its id."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(text)
        self.step = step


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFault:
    """Links that get those settings on top of their own, from `at` until `until`. step: id of its fault."""

    step: str
    kind: str
    at: Duration
    until: Duration
    links: tuple[Link, ...]
    settings: LinkSettings

    def record(self) -> dict[str, object]:
        """The same for people and for JSON."""
        links = [f"{source} > {target}" for source, target in self.links]
        return _record(self.step, self.kind, self.at, self.until) | {
            "links": links,
            "settings": described(self.settings),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFault:
    """Something that happens to one node from `at` until `until`, at once where they are equal."""

    step: str
    kind: str
    at: Duration
    until: Duration
    node: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    def record(self) -> dict[str, object]:
        """The same for people and for JSON."""
        return _record(self.step, self.kind, self.at, self.until) | {
            "node": self.node,
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A scenario with nothing left to chance. links: of every pair, before any fault. faults: in order of time."""

    links: Mapping[Link, LinkSettings]
    faults: tuple[LinkFault | NodeFault, ...]

    def targets(self, step: str) -> tuple[str, ...]:
        """The nodes that a fault hits, or on whose links it acts as the sender, in their order."""
        names: dict[str, None] = {}
        for fault in self.faults:
            if fault.step == step:
                hit = [fault.node] if isinstance(fault, NodeFault) else [source for source, _ in fault.links]
                names.update(dict.fromkeys(hit))
        return tuple(sorted(names, key=_number))


def resolve(scenario: Scenario) -> Schedule:
    """What will happen; see `faults_of`."""
    links = link_table(scenario.topology, scenario.base, scenario.rules)
    return Schedule(links=links, faults=tuple(faults_of(scenario)))


def faults_of(scenario: Scenario) -> list[LinkFault | NodeFault]:
    """Every part of every fault, in order of time. Raises Unresolvable for one that cannot be."""
    faults: list[LinkFault | NodeFault] = []
    for index, entry in enumerate(scenario.timeline):
        # A stream for each fault: taking one out of the scenario leaves the choices of the others as they were.
        random = Random(f"{scenario.seed}/{index}/{entry.id}")  # noqa: S311 (no secret, and must repeat)
        parts = list(_parts(entry, scenario.topology, random))
        if not parts or any(isinstance(part, LinkFault) and not part.links for part in parts):
            raise Unresolvable(entry.id, f"{entry.kind} hits nobody: allowed is one that hits a node or a link")
        faults += parts
    faults.sort(key=lambda fault: fault.at)
    _check_overlaps(faults)
    return faults


def _parts(entry: Entry, topology: Topology, random: Random) -> Iterator[LinkFault | NodeFault]:
    match entry.kind:
        case "partition":
            yield _link_fault(entry, _cut_links(entry, topology, random), CUT)
        case "flap":
            yield from _flaps(entry, _links(entry, topology, random))
        case "loss" | "reorder" | "duplicate" | "corrupt":
            settings = parse_settings({entry.kind: entry.parameters["share"]})
            yield _link_fault(entry, _links(entry, topology, random), settings)
        case "bursts":
            yield _link_fault(
                entry, _links(entry, topology, random), parse_settings({"bursts": dict(entry.parameters)})
            )
        case "delay" | "rate" | "mtu":
            yield _link_fault(entry, _links(entry, topology, random), _as_settings(entry.parameters))
        case "rolling_restart":
            yield from _rolling(entry, topology, random)
        case "churn":
            yield from _churn(entry, topology, random)
        case _:
            for node in _nodes(entry.target, topology, random):
                yield _node_fault(entry, node)


def _link_fault(entry: Entry, links: Sequence[Link], settings: LinkSettings) -> LinkFault:
    return LinkFault(
        step=entry.id, kind=entry.kind, at=entry.at, until=entry.until, links=tuple(links), settings=settings
    )


def _node_fault(entry: Entry, node: str) -> NodeFault:
    return NodeFault(
        step=entry.id, kind=entry.kind, at=entry.at, until=entry.until, node=node, parameters=entry.parameters
    )


def _as_settings(parameters: Mapping[str, object]) -> LinkSettings:
    """Parsed parameters, which have base units, as settings of a link."""
    fields = {}
    for name, value in parameters.items():
        quantity = SETTINGS[name].quantity
        fields[name] = value if quantity is None else quantity.show(float(str(value)))
    return parse_settings(fields)


# --- who ----------------------------------------------------------------------------------------------------------


def _nodes(target: Target | None, topology: Topology, random: Random) -> list[str]:
    """The nodes that a target comes to. The seed is hit by name only, never by chance or as one of all."""
    if target is None:
        target = Target(names=(ALL,))
    is_by_chance = target.pick is not None or target.share is not None
    found: dict[str, None] = {}
    for name in target.names:
        members = topology.members(name)
        found.update(dict.fromkeys(one for one in members if one != SEED or (name != ALL and not is_by_chance)))
    names = list(found)
    if not is_by_chance:
        return names
    count = target.pick if target.pick is not None else round(len(names) * (target.share or 0.0))
    return sorted(random.sample(names, min(max(count, 1), len(names))), key=_number)


def _links(entry: Entry, topology: Topology, random: Random) -> list[Link]:
    assert entry.target is not None
    if entry.target.names == (ALL,) and entry.target.pick is None and entry.target.share is None:
        nodes = list(topology.names)
    else:
        nodes = _nodes(entry.target, topology, random)
    peers = [peer for name in entry.peers for peer in topology.members(name)]
    links: dict[Link, None] = {}
    for node in nodes:
        for peer in peers:
            if node != peer and entry.direction is not Direction.IN:
                links[node, peer] = None
            if node != peer and entry.direction is not Direction.OUT:
                links[peer, node] = None
    return list(links)


def _cut_links(entry: Entry, topology: Topology, random: Random) -> list[Link]:
    names = list(topology.names)
    shape = entry.parameters["shape"]
    if shape == "groups":
        groups = entry.parameters["groups"]
        assert isinstance(groups, list)
        return _between([[one for name in part for one in topology.members(name)] for part in groups])
    if shape in ("one", "one-way"):
        chosen = _nodes(entry.target or Target(names=(ALL,), pick=1), topology, random)
        others = [name for name in names if name not in chosen]
        # One way: those hear everybody, and nobody hears them.
        return (
            [(one, other) for one in chosen for other in others] if shape == "one-way" else _between([chosen, others])
        )
    random.shuffle(names)
    if shape == "ring":
        return _outside_of_ring(names)
    parts = {"halves": 1 / 2, "third": 1 / 3, "majority": 0.5}
    smaller = max(1, round(len(names) * parts[str(shape)]))
    if shape == "majority":
        smaller = (len(names) - 1) // 2
    return _between([names[:smaller], names[smaller:]])


def _between(parts: Sequence[Sequence[str]]) -> list[Link]:
    """Every link from one part to another, both ways; nodes in no part are cut from nobody."""
    return [
        (source, target)
        for one in parts
        for other in parts
        if one is not other
        for source in one
        for target in other
        if source != target
    ]


def _outside_of_ring(names: Sequence[str]) -> list[Link]:
    """Every link but those to the two neighbours: each node sees a majority that nobody else sees (as Jepsen does)."""
    count = len(names)
    reach = max(1, count // 4)
    near = {(a, (a + step) % count) for a in range(count) for step in range(-reach, reach + 1)}
    return [(names[a], names[b]) for a in range(count) for b in range(count) if a != b and (a, b) not in near]


# --- composite faults ---------------------------------------------------------------------------------------------


def _flaps(entry: Entry, links: Sequence[Link]) -> Iterator[LinkFault]:
    up, down = _time(entry, "up", FLAP_TIME), _time(entry, "down", FLAP_TIME)
    _check_parts(entry, up + down)
    at = entry.at
    while at < entry.until:
        until = min(at + down, entry.until)
        yield LinkFault(step=entry.id, kind=entry.kind, at=at, until=until, links=tuple(links), settings=CUT)
        at = until + up


def _check_parts(entry: Entry, every: Duration) -> None:
    parts = -(-entry.duration // every)
    if parts > PARTS_OF_FAULT_MAX:
        raise Unresolvable(entry.id, f"{entry.kind} has {parts} parts: allowed are up to {PARTS_OF_FAULT_MAX}")


def _rolling(entry: Entry, topology: Topology, random: Random) -> Iterator[NodeFault]:
    nodes = _nodes(entry.target, topology, random)
    every = _time(entry, "every", RESTART_EVERY)
    for number, node in enumerate(nodes):
        at = entry.at + number * every
        if at < entry.until:
            yield NodeFault(step=entry.id, kind="restart", at=at, until=at, node=node)


def _churn(entry: Entry, topology: Topology, random: Random) -> Iterator[NodeFault]:
    nodes = _nodes(entry.target, topology, random)
    every, down = _time(entry, "every", CHURN_EVERY), _time(entry, "down", CHURN_DOWN)
    lose_state = {"lose_state": True} if entry.parameters.get("lose_state") else {}
    up_again_at = dict.fromkeys(nodes, entry.at)
    _check_parts(entry, every)
    for at in range(entry.at, entry.until, every):
        up = [node for node in nodes if up_again_at[node] <= at]
        if not up:
            continue
        node = up[random.randrange(len(up))]
        until = min(at + down, entry.until)
        # A node that has just come back is left alone for a second.
        up_again_at[node] = until + SECOND
        yield NodeFault(step=entry.id, kind="kill", at=at, until=until, node=node, parameters=lose_state)


def _check_overlaps(faults: Sequence[LinkFault | NodeFault]) -> None:
    last: dict[tuple[str, str], NodeFault] = {}
    for fault in faults:
        if isinstance(fault, NodeFault) and (name := KINDS[fault.kind].exclusive):
            earlier = last.get((fault.node, name))
            if earlier is not None and (fault.at < earlier.until or fault.at == earlier.at):
                text = f"{fault.step} and {earlier.step} hit {fault.node} at the same time, and exclude each other"
                raise Unresolvable(fault.step, text)
            last[fault.node, name] = fault


def _time(entry: Entry, name: str, default: Duration) -> Duration:
    value = entry.parameters.get(name)
    return default if value is None else round(float(str(value)))


def _record(step: str, kind: str, at: Duration, until: Duration) -> dict[str, object]:
    return {"step": step, "kind": kind, "at": at / SECOND, "until": until / SECOND}


def _number(name: str) -> int:
    return int(name.rpartition("-")[2]) if name != SEED else 0
