"""What a look into the running nodes must find: tables within their bounds, counters that tell the truth.

Unlike the other checkers these see the network itself, once per second and at the end.
"""

from __future__ import annotations

from node.gossip.gossip import MAINTENANCE_INTERVAL
from node.gossip.settings import FULL_MESH_MAX, GossipSettings
from node.sim.checks.base import Check, Report, Situation
from node.sim.history import Record, node_name
from node.sim.network import Network
from node.sim.nodes import SimNode
from node.types import SECOND, Address, Duration, Instant, NodeId
from node.wire.header import PacketType
from node.wire.limits import (
    HALF_OPEN_MAX,
    HEADER_BYTES,
    ORIGINS_MAX,
    PEERS_KNOWN_MAX,
    PENDING_SENDS_MAX,
    RETAINED_MESSAGES_MAX,
)

__all__ = ["CountersTellTheTruth", "HonestStayBlameless", "MeshIsSound", "NothingInClear", "TablesAreBounded"]


CALM: Duration = 5 * SECOND
"""Time without a start, a pause or a cut after which a mesh must be in order."""

_TYPE_OFFSET = 2
"""Version and packet type share the byte behind the magic number."""


class TablesAreBounded(Check):
    """No table of an honest node ever holds more than its limit, whatever its peers send."""

    name = "tables-are-bounded"

    def __init__(self, situation: Situation, report: Report, network: Network) -> None:
        super().__init__(situation, report)
        self._network = network

    def tick(self, now: Instant) -> None:
        for number in self.situation.honest_living():
            for table, size, limit in _tables(self._network.nodes[number]):
                if size > limit:
                    self.fail(number, f"table {table}", f"holds {size}, allowed are {limit}")

    def finish(self, now: Instant) -> None:
        self.tick(now)


def _tables(node: SimNode) -> list[tuple[str, int, int]]:
    machine = node.machine
    connections = sum(len(endpoint.snapshots()) for endpoint in (machine.udp, machine.tcp) if endpoint is not None)
    return [
        ("peers", len(machine.peers.table), PEERS_KNOWN_MAX),
        ("retained messages", machine.gossip.stats.cached, RETAINED_MESSAGES_MAX),
        ("retained bytes", machine.gossip.stats.cached_bytes, machine.settings.gossip_retention_bytes),
        ("origins", machine.gossip.stats.origins, ORIGINS_MAX),
        ("connections", connections, 2 * (machine.settings.transport.max_connections + HALF_OPEN_MAX)),
        ("pending sends", len(machine._outbox), PENDING_SENDS_MAX),
    ]


class MeshIsSound(Check):
    """At rest, the meshes join all honest nodes, and both ends of each edge know of it.

    Each holds enough of them and not too many, and some that the node dialled itself.
    """

    name = "mesh-is-sound"

    def __init__(self, situation: Situation, report: Report, network: Network) -> None:
        super().__init__(situation, report)
        self._network = network

    def finish(self, now: Instant) -> None:
        nodes = [self._network.nodes[number] for number in self.situation.honest_living()]
        if any(self.situation.undisturbed_since(node.number) > now - CALM for node in nodes):
            return
        numbers = self._network.number_of
        meshes = {
            node.number: [numbers[peer] for peer in node.machine.gossip.mesh.members() if peer in numbers]
            for node in nodes
        }
        for node in nodes:
            mesh = meshes[node.number]
            least, most = _degrees(node, len(nodes))
            if not least <= len(node.machine.gossip.mesh.members()) <= most:
                self.fail(node.number, "mesh", f"has {len(mesh)} members, allowed are {least} to {most}")
            self._judge_outbound(node)
            for peer in mesh:
                if peer in meshes and node.number not in meshes[peer]:
                    self.fail(node.number, node_name(peer), "is in its mesh, and not the other way round")
        for lost in sorted(set(meshes) - _reached(meshes)):
            self.fail(lost, "mesh", "no way leads there from the first node")

    def _judge_outbound(self, node: SimNode) -> None:
        assert node.host is not None
        links, now = node.machine.gossip.mesh._links, self._network.world.clock_of(node.host)
        # A peer whose own mesh was too large has pruned this node, and is not asked again before the next maintenance
        # after that.
        since = now - 2 * MAINTENANCE_INTERVAL
        dialled = [
            link for link in links.values() if link.is_outbound and (link.asked is not None or link.free_at <= since)
        ]
        wanted = min(_settings(node).degree_outbound, len(dialled))
        has = sum(link.asked is not None for link in dialled)
        if has < wanted:
            self.fail(node.number, "mesh", f"has {has} members that it dialled itself, wanted are {wanted}")


def _settings(node: SimNode) -> GossipSettings:
    return GossipSettings(network_id="", epoch=1, wall_offset=0, degree=node.machine.settings.gossip_fanout)


def _degrees(node: SimNode, nodes: int) -> tuple[int, int]:
    if nodes <= FULL_MESH_MAX and node.machine.gossip.mesh.is_full:
        # Whoever was told of a crowd that does not exist keeps the mesh of a large network.
        return nodes - 1, FULL_MESH_MAX
    settings = _settings(node)
    return min(settings.degree_min, nodes - 1), settings.degree_max


def _reached(edges: dict[int, list[int]]) -> set[int]:
    frontier = list(edges)[:1]
    reached = set(frontier)
    while frontier:
        for other in edges[frontier.pop()]:
            if other in edges and other not in reached:
                reached.add(other)
                frontier.append(other)
    return reached


class HonestStayBlameless(Check):
    """No honest node has anything to blame an honest peer for, nor any evidence against it."""

    name = "honest-stay-blameless"

    def __init__(self, situation: Situation, report: Report, network: Network) -> None:
        super().__init__(situation, report)
        self._network = network

    def finish(self, now: Instant) -> None:
        for number in self.situation.honest_living():
            node = self._network.nodes[number]
            assert node.host is not None
            for peer in node.machine.peers.table:
                if peer.violations:
                    self._judge(number, peer.node_id, f"blamed {peer.violations} times, though it is honest")
            for entry in node.machine.trust.overview(self._network.world.clock_of(node.host)).entries:
                if entry.penalties:
                    self._judge(number, entry.node_id, f"held to have done {entry.penalties}, though it is honest")

    def _judge(self, number: int, accused: NodeId, text: str) -> None:
        other = self._network.number_of.get(accused)
        # What a node did in a hostile life is remembered in the honest ones after it, and rightly so.
        if other is not None and self.situation.is_honest(other) and other not in self.situation.ever_hostile:
            self.fail(number, node_name(other), text)


class CountersTellTheTruth(Check):
    """What a node counts is what happened: messages published and delivered, packets sent (handshakes apart)."""

    name = "counters-tell-the-truth"

    def __init__(self, situation: Situation, report: Report, network: Network) -> None:
        super().__init__(situation, report)
        self._network = network
        self._published: dict[int, int] = {}
        self._delivered: dict[int, int] = {}
        self._sent: dict[Address, int] = {}
        network.world.taps.append(self._count)

    def observe(self, record: Record) -> None:
        match record.kind:
            case "started":
                self._published[record.node] = self._delivered[record.node] = 0
                self._sent[self._network.nodes[record.node].address] = 0
            case "published":
                self._published[record.node] += 1
            case "delivered":
                self._delivered[record.node] += 1
            case _:
                pass

    def finish(self, now: Instant) -> None:
        for number in self.situation.honest_living():
            stats = self._network.nodes[number].machine.gossip.stats
            self._compare(number, "published", stats.published, self._published[number])
            self._compare(number, "delivered", stats.delivered, self._delivered[number])
            node = self._network.nodes[number]
            if node.machine.udp is not None:
                self._compare(number, "packets sent", node.machine.udp.stats.packets_sent, self._sent[node.address])

    def _count(self, source: Address, _target: Address, data: bytes) -> None:
        if len(data) >= HEADER_BYTES and data[_TYPE_OFFSET] & 0x0F == PacketType.DATA:
            self._sent[source] = self._sent.get(source, 0) + 1

    def _compare(self, node: int, counter: str, counted: int, true: int) -> None:
        if counted != true:
            self.fail(node, f"counter {counter}", f"says {counted}, true is {true}")


class NothingInClear(Check):
    """No byte sequence that applications broadcast is ever seen on a link. Senseless without real encryption."""

    name = "nothing-in-clear"

    CANARY = b"\xc4\x94sing-a-song-of-sixpence"
    """Part of every payload that the load of a scenario publishes."""

    def __init__(self, situation: Situation, report: Report, network: Network) -> None:
        super().__init__(situation, report)
        self._network = network
        network.world.taps.append(self._look)

    def _look(self, source: Address, target: Address, data: bytes) -> None:
        if self.CANARY in data:
            number = next((node.number for node in self._network.nodes if node.address == source), -1)
            self.fail(number, f"{len(data)} bytes to {target[0]}", "a payload went over the link in clear")
