"""The nodes that this node has met or heard of, by key, with an index by address.

Knows nothing of dialling and talking. Bounded: when the table is full, the node that was never met and heard of first
goes, else the one that is down the longest; a connected one never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from node.errors import Code
from node.messages.types import Carrier
from node.peers.actions import Link
from node.peers.records import Record
from node.transport.events import Closed
from node.types import SECOND, Address, Duration, Instant, NodeId
from node.wire.limits import ADDRESSES_PER_PEER_MAX, HELLO_TIMEOUT, PEERS_KNOWN_MAX

__all__ = ["LinkState", "Peer", "PeerState", "PeerTable"]

REFUSAL_TIME: Duration = 1 * SECOND
"""Age of a connection at which whoever found no room is sent away: what it was told of others is with it by then."""

LETTING_GO_TIME: Duration = 3 * SECOND
"""Time in which all connections of a peer end that closed one: a closed one says so again for three of its timeouts."""

_BROKEN = (Code.CONNECTION_LOST, Code.RETRIES_EXHAUSTED, Code.PEER_RESTARTED)


class PeerState(StrEnum):
    """How a peer is doing. UP and SLOW are active: it takes part in everything."""

    CONNECTING = "connecting"
    UP = "up"
    SLOW = "slow"
    DOWN = "down"


@dataclass(slots=True)
class LinkState:
    """One established connection with a peer.

    address: the other end of it. is_greeted: the peer introduced itself. epoch: of the peer's process, as it said.
    is_refused: there was no room for it.
    """

    address: Address
    is_initiator: bool
    since: Instant
    is_greeted: bool = False
    is_refused: bool = False
    epoch: int = 0


@dataclass(slots=True)
class Peer:
    """One node.

    record: where it can be dialled, None until it said so or somebody did. source: who told of it, None once met.
    links: its established connections. goods_needed: signs of life that a slow peer still owes. heard_at: last sign
    of life. violations: invalid messages it passed on since it connected. is_met: it was an active peer at some time.
    ended: how the last connection of an active peer ended while the one that replaces it is still awaited.
    let_go_at: when it closed a connection that it has no use for.
    """

    node_id: NodeId
    name: str = ""
    state: PeerState = PeerState.CONNECTING
    record: Record | None = None
    aliases: dict[Address, None] = field(default_factory=dict)
    source: NodeId | None = None
    links: dict[Link, LinkState] = field(default_factory=dict)
    epoch: int = 0
    is_met: bool = False
    has_left: bool = False
    connected_at: Instant | None = None
    heard_at: Instant | None = None
    probed_at: Instant | None = None
    down_at: Instant = 0
    ended: Closed | None = None
    ended_at: Instant = 0
    let_go_at: Instant | None = None
    goods_needed: int = 0
    violations: int = 0
    asked_at: Instant | None = None
    heartbeats_sent: int = 0
    heartbeats_received: int = 0

    @property
    def is_active(self) -> bool:
        """Whether it introduced itself over a connection that is still there."""
        return self.state in (PeerState.UP, PeerState.SLOW)

    @property
    def is_outbound(self) -> bool:
        """Whether this node made one of its connections."""
        return any(state.is_initiator for state in self.links.values())

    @property
    def address(self) -> Address:
        """Where it is dialled over UDP, or over TCP if it has no UDP; ("", 0) while unknown."""
        if self.record is not None:
            return self.record.host, self.record.udp_port or self.record.tcp_port
        for state in self.links.values():
            return state.address
        return "", 0

    def end_of(self, event: Closed, now: Instant) -> Closed:
        """How one of its connections really ended.

        A peer without use for this node closes all of them. Where the word of it is lost on one, that seems to break
        off a moment later, which is no reason to doubt that the peer lives.
        """
        if event.code is Code.CONNECTION_LIMIT and event.by_peer:
            self.let_go_at = now
        elif event.code in _BROKEN and self.let_go_at is not None and now - self.let_go_at < LETTING_GO_TIME:
            return replace(event, code=Code.CONNECTION_LIMIT, by_peer=True)
        return event

    def is_at(self, address: Address) -> bool:
        """Whether that address leads to it."""
        if address in self.aliases or any(state.address == address for state in self.links.values()):
            return True
        record = self.record
        return record is not None and address in ((record.host, record.udp_port), (record.host, record.tcp_port))

    def link(self, carrier: Carrier) -> Link | None:
        """Its newest connection over that carrier."""
        for link in reversed(self.links):
            if link.carrier is carrier:
                return link
        return None

    def add_alias(self, address: Address) -> None:
        """Remembers another address that leads to it, and forgets the oldest if there are too many."""
        self.aliases.pop(address, None)
        self.aliases[address] = None
        if len(self.aliases) > ADDRESSES_PER_PEER_MAX:
            del self.aliases[next(iter(self.aliases))]


class PeerTable:
    """All known nodes. Whoever changes an address, a state or the links of a peer calls `touch`.

    is_kept: whether the address book remembers a node, so that it goes after all others.
    """

    def __init__(self) -> None:
        self.is_kept: Callable[[NodeId], bool] = lambda node_id: False
        self._peers: dict[NodeId, Peer] = {}
        self._by_address: dict[Address, NodeId] | None = None
        self._active: list[Peer] | None = None
        self._linked: dict[NodeId, Peer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers.values())

    def get(self, node_id: NodeId) -> Peer | None:
        """The peer with that key."""
        return self._peers.get(node_id)

    def is_active(self, node_id: NodeId) -> bool:
        """Whether that node is an active peer."""
        peer = self.get(node_id)
        return peer is not None and peer.is_active

    def active(self) -> list[Peer]:
        """The active peers, in the order in which they were linked."""
        if self._active is None:
            self._active = [peer for peer in self._linked.values() if peer.is_active]
        return self._active

    def host_of(self, node_id: NodeId) -> str:
        """The other end of that peer's newest connection; "" without one."""
        peer = self._peers.get(node_id)
        return "" if peer is None else next((state.address[0] for state in reversed(peer.links.values())), "")

    def linked(self) -> list[Peer]:
        """The peers with a connection, and active ones whose next connection is awaited."""
        return list(self._linked.values())

    def overdue(self, now: Instant) -> Iterator[tuple[Link, Code, str]]:
        """Connections to be closed and why: no introduction came, or there was no room for who introduced itself."""
        for peer in self._linked.values():
            for link, state in peer.links.items():
                if state.is_refused and now - state.since >= REFUSAL_TIME:
                    yield link, Code.CONNECTION_LIMIT, "too many links"
                elif not state.is_greeted and now - state.since >= HELLO_TIMEOUT:
                    yield link, Code.APPLICATION, "no introduction"

    def add(self, node_id: NodeId) -> Peer | None:
        """The peer with that key, made if it is new; None if the table is full of better ones."""
        peer = self._peers.get(node_id)
        if peer is None:
            if len(self._peers) >= PEERS_KNOWN_MAX and not self._make_room():
                return None
            peer = self._peers[node_id] = Peer(node_id)
        return peer

    def remove(self, node_id: NodeId) -> None:
        """Forgets a peer."""
        self._peers.pop(node_id, None)
        self._linked.pop(node_id, None)
        self.forget_addresses()

    def touch(self, peer: Peer) -> None:
        """That peer has other links, another state or another address."""
        if peer.links or peer.is_active:
            self._linked[peer.node_id] = peer
        else:
            self._linked.pop(peer.node_id, None)
        self._active = None
        self._by_address = None

    def forget_addresses(self) -> None:
        """Many addresses may have changed."""
        self._active = None
        self._by_address = None

    def at(self, address: Address) -> Peer | None:
        """The peer at that address: an active one before others, its UDP address before its TCP address."""
        if self._by_address is None:
            self._by_address = self._index()
        node_id = self._by_address.get(address)
        return self._peers.get(node_id) if node_id is not None else None

    def _index(self) -> dict[Address, NodeId]:
        index: dict[Address, NodeId] = {}
        ranked = sorted(self._peers.values(), key=lambda peer: not peer.is_active)
        for peer in ranked:
            if peer.record is not None and peer.record.udp_port:
                index.setdefault((peer.record.host, peer.record.udp_port), peer.node_id)
        for peer in ranked:
            for alias in peer.aliases:
                index.setdefault(alias, peer.node_id)
        for peer in ranked:
            if peer.record is not None and peer.record.tcp_port:
                index.setdefault((peer.record.host, peer.record.tcp_port), peer.node_id)
            for state in peer.links.values():
                index.setdefault(state.address, peer.node_id)
        return index

    def _make_room(self) -> bool:
        idle = [peer for peer in self._peers.values() if not peer.links]
        if not idle:
            return False
        self.remove(min(idle, key=lambda peer: (self.is_kept(peer.node_id), peer.is_met, peer.down_at)).node_id)
        return True
