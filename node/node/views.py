"""A node's peers and its gossip, as objects with the names that users of the node know.

Knows the node through `Members` only: whatever is shown is read from the machine when it is asked for, and whatever is
changed is a command to it. Peers are named by node id (64 hexadecimal digits) or by address (host, port).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from node.config import parse_address
from node.config.kinds import Unacceptable, is_host
from node.core.settings import PORT_MAX
from node.core.snapshot import NodeSnapshot, PeerSnapshot
from node.errors import UsageError
from node.identity.keys import NODE_ID_BYTES, parse_node_id
from node.messages.packing import Value
from node.messages.types import MessageType
from node.node.report import gossip_report, link_report, peer_report, trust_report, trust_stats
from node.types import Address, NodeId

__all__ = ["ActivePeers", "GossipView", "Members", "PeerManager", "PeerName", "TrustView", "named"]

PeerName: TypeAlias = str | NodeId | Address
"""A peer by its key, hexadecimal or raw, or by one of its addresses."""


def named(peer: PeerName) -> NodeId | Address:
    """The peer as the machine knows it: by its key or by an address. UsageError for what is neither."""
    match peer:
        case str() if ":" in peer:
            try:
                return parse_address(peer)
            except Unacceptable as error:
                raise UsageError(f"{peer[:80]!r} is neither a node id nor HOST:PORT") from error
        case str():
            return parse_node_id(peer)
        case bytes() if len(peer) == NODE_ID_BYTES:
            return NodeId(peer)
        case (str() as host, int() as port) if is_host(host) and not isinstance(port, bool) and 0 < port <= PORT_MAX:
            return host, port
        case _:
            raise UsageError(f"{str(peer)[:80]!r} is neither a node id nor an address: host and port, 1 to {PORT_MAX}")


class Members(Protocol):
    """What the views ask of a node."""

    @property
    def wall_offset(self) -> int: ...
    def snapshot(self) -> NodeSnapshot: ...
    async def connect(self, peer: PeerName, seconds: float) -> str: ...
    async def broadcast(self, data: dict[str, Value], *, exclude: Iterable[PeerName] | None = None) -> str: ...
    def mark_slow(self, peer: PeerName) -> None: ...
    def mark_down(self, peer: PeerName) -> None: ...
    def take(self, peer: PeerName, kind: MessageType, body: bytes, signature: bytes) -> None: ...


class ActivePeers(Mapping[PeerName, dict[str, Any]]):
    """The active peers now: iterates over node ids, and is looked up by node id or by address."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def __getitem__(self, name: PeerName) -> dict[str, Any]:
        snapshot = self._members.snapshot()
        for peer in _active(snapshot):
            if _is_called(peer, name):
                return peer_report(peer, snapshot, self._members.wall_offset)
        raise KeyError(name)

    def __iter__(self) -> Iterator[PeerName]:
        return iter([peer.node_id.hex() for peer in _active(self._members.snapshot())])

    def __len__(self) -> int:
        return self._members.snapshot().active_peers


class PeerManager:
    """The peers of a node."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self.active_peers = ActivePeers(members)

    async def connect_to_peer(self, peer_addr: PeerName, timeout: float = 10.0) -> str:  # noqa: ASYNC109
        """Returns the node id of the peer at that address, once it has introduced itself.

        peer_addr: an address, or the id of a known node. timeout: seconds for everything together. Raises
        ConnectionFailed, SendTimeout, NotRunning, UnknownPeer, UsageError.
        """
        return await self._members.connect(peer_addr, timeout)

    def get_connection_stats(self, peer_addr: PeerName) -> dict[str, Any]:
        """State, round trip time, timeouts and counters of the connection with that peer; {} if there is none."""
        snapshot = self._members.snapshot()
        keys = [known.node_id for known in snapshot.peers if _is_called(known, peer_addr)]
        links = [
            link_report(link, self._members.wall_offset) for link in snapshot.links if link.connection.peer_id in keys
        ]
        links.sort(key=lambda link: (link["state"] != "established", link["transport"] != "udp"))
        return links[0] if links else {}

    async def mark_peer_slow(self, peer_addr: PeerName) -> None:
        """Takes note that a peer is slow; a few signs of life in a row end it. UnknownPeer."""
        self._members.mark_slow(peer_addr)

    async def mark_peer_down(self, peer_addr: PeerName) -> None:
        """Gives a peer up for now: its connections are closed, and it is dialled anew. UnknownPeer."""
        self._members.mark_down(peer_addr)


class GossipView:
    """The gossip of a node."""

    def __init__(self, members: Members) -> None:
        self._members = members

    async def propagate(self, message: dict[str, Value], exclude: Iterable[PeerName] | None = None) -> str:
        """Sends a message to every node; returns its id. exclude: peers that get no copy from this node itself."""
        return await self._members.broadcast(message, exclude=exclude)

    async def handle_message(self, message: Sequence[bytes], peer_addr: PeerName) -> None:
        """Takes in a broadcast that came from that peer by a way of the application's own, and passes it on.

        message: body and signature of its author, as frames of GOSSIP_MESSAGE carry them. Errors as those of
        `TrustView.handle_update`; a peer that is not active may bring nothing either (`unexpected`).
        """
        self._members.take(peer_addr, MessageType.GOSSIP_MESSAGE, *_signed(message))

    def get_stats(self) -> dict[str, Any]:
        """Counters since the node began, fit for JSON."""
        return gossip_report(self._members.snapshot().gossip)


class TrustView:
    """Whom a node trusts. Statements of peers arrive by themselves; trust orders choices and forbids no message."""

    def __init__(self, members: Members) -> None:
        self._members = members

    async def handle_update(self, message: Sequence[bytes], peer_addr: PeerName) -> None:
        """Takes in a statement of that peer that came by a way of the application's own.

        message: body and signature, as frames of TRUST_UPDATE carry them. Raises UnknownPeer, NotRunning, UsageError
        for another shape, and DecodeError if no honest peer sends that, for which the peer is blamed.
        """
        self._members.take(peer_addr, MessageType.TRUST_UPDATE, *_signed(message))

    def get_trust(self, peer_addr: PeerName) -> float:
        """0 to 1, higher for a better choice; 0.5 for whoever nothing is known of."""
        snapshot = self._members.snapshot()
        keys = {peer.node_id.hex() for peer in snapshot.peers if _is_called(peer, peer_addr)}
        keys.add(peer_addr.hex() if isinstance(peer_addr, bytes) else str(peer_addr).lower())
        found = [entry["trust"] for entry in self.report()["peers"] if entry["node_id"] in keys]
        return float(found[0]) if found else 0.5

    def report(self) -> dict[str, Any]:
        """Every node that anything is known of, best first, with the evidence; fit for JSON."""
        return trust_report(self._members.snapshot())

    def get_stats(self) -> dict[str, Any]:
        """Counters since the node began, fit for JSON."""
        return trust_stats(self._members.snapshot().trust)


def _signed(message: Sequence[bytes]) -> tuple[bytes, bytes]:
    match message:
        case [bytes(body), bytes(signature)]:
            return body, signature
        case _:
            raise UsageError("what somebody signed is its body and its signature, both bytes")


def _active(snapshot: NodeSnapshot) -> list[PeerSnapshot]:
    return [peer for peer in snapshot.peers if peer.state in ("up", "slow")]


def _is_called(peer: PeerSnapshot, name: PeerName) -> bool:
    """Whether that is one of the peer's names, as `named` reads them; what names nobody is nobody's."""
    try:
        meant = named(name)
    except UsageError:
        return False
    return peer.node_id == meant or peer.address == meant or meant in peer.aliases
