"""Carries frames to peers over whichever connection fits, and finds out what became of them.

Chooses by the delivery map among the peer's connections, opens a TCP connection when one is preferred and missing, and
moves a frame to another connection of the same peer when its own ends before the frame was acknowledged: the receiver
drops what it got twice. Every frame given to `send` with a purpose has exactly one outcome. Knows nothing of what
frames mean.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from node.core.delivery import Route
from node.core.stats import CoreStats
from node.errors import (
    Code,
    ConnectionFailed,
    MessageTooLarge,
    PositronError,
    QueueFull,
    SendTimeout,
    UnknownPeer,
    UsageError,
)
from node.messages.types import LABELS, Carrier, MessageType
from node.peers.actions import Link
from node.peers.table import Peer
from node.transport.endpoint import Endpoint
from node.transport.events import Closed, Delivery, MessageAcknowledged, MessageFailed
from node.transport.packet import Message
from node.transport.stream import StreamEndpoint
from node.types import Instant, NodeId
from node.wire.limits import PEERS_KNOWN_MAX, TCP_BLOCKED_TIME

__all__ = ["Endpoints", "Outcome", "Parcel", "Switch"]


Purpose: TypeAlias = object
"""What the sender of a frame wants to be reminded of when its fate is known; it knows the type."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The transports of this node; at least one."""

    udp: Endpoint | None
    tcp: StreamEndpoint | None

    def of(self, carrier: Carrier) -> Endpoint | StreamEndpoint | None:
        """The endpoint of that carrier, None where it is disabled."""
        return self.udp if carrier is Carrier.UDP else self.tcp


@dataclass(slots=True, kw_only=True)
class Parcel:
    """One frame for one peer. deadline: when it is withdrawn, None for never. purpose: None if nobody asks.

    name: by which it can be withdrawn before, None if nobody will.
    """

    kind: MessageType
    data: bytes
    route: Route
    deadline: Instant | None
    purpose: Purpose | None
    name: bytes | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a frame. error: None when the peer acknowledged it."""

    peer: NodeId
    purpose: Purpose
    error: PositronError | None


@dataclass(slots=True)
class _Tracked:
    """is_withdrawn: the peer does not need it any more, so that its fate is settled whatever becomes of it."""

    peer: Peer
    parcel: Parcel
    is_withdrawn: bool = False


class Switch:
    """The outgoing side of one node. After each call, drain `poll_outcome`."""

    def __init__(self, endpoints: Endpoints, stats: CoreStats) -> None:
        self._endpoints = endpoints
        self._stats = stats
        self._tracked: dict[Link, dict[int, _Tracked]] = {}
        self._orphans: dict[Link, list[_Tracked]] = {}
        self._adrift: dict[NodeId, list[_Tracked]] = {}
        self._opening: dict[NodeId, Link] = {}
        self._blocked_until: dict[NodeId, Instant] = {}
        self._outcomes: deque[Outcome] = deque()

    # --- sending ------------------------------------------------------------------------------------------------

    def send(self, peer: Peer, parcel: Parcel, now: Instant, *, link: Link | None = None) -> None:
        """Hands a frame to the transport, over `link` or as its route says; its outcome follows.

        UnknownPeer without a connection, QueueFull, MessageTooLarge: nothing was sent then, and no outcome follows.
        """
        chosen = link or self._choose(peer, parcel, now, avoid=None)
        if chosen is None:
            raise UnknownPeer(f"there is no connection to {peer.node_id.hex()[:8]}")
        self._hand_over(peer, parcel, chosen, now)

    def withdraw(self, peer: Peer | None, name: bytes, now: Instant) -> None:
        """Repeats no more of that frame for that peer, and reports it as acknowledged: the peer has what it carries."""
        for link in peer.links if peer is not None else ():
            for transport_id, tracked in self._tracked.get(link, {}).items():
                if tracked.parcel.name == name and not tracked.is_withdrawn:
                    tracked.is_withdrawn = True
                    endpoint = self._endpoints.of(link.carrier)
                    assert endpoint is not None
                    endpoint.withdraw(link.connection, transport_id, now)
                    self._stats.withdrawn += 1
                    return

    def poll_outcome(self) -> Outcome | None:
        """The next outcome, oldest first."""
        return self._outcomes.popleft() if self._outcomes else None

    # --- what the transport tells -------------------------------------------------------------------------------

    def acknowledged(self, carrier: Carrier, event: MessageAcknowledged) -> NodeId | None:
        """A message was acknowledged; by whom, if it was sent here."""
        tracked = self._take(Link(carrier, event.connection), event.message_id)
        if tracked is None:
            return None
        self._report(tracked, None)
        return tracked.peer.node_id

    def failed(self, carrier: Carrier, event: MessageFailed, now: Instant) -> bool:
        """A message failed; whether it was sent here. It is sent over another connection if its own ended."""
        link = Link(carrier, event.connection)
        tracked = self._take(link, event.message_id)
        if tracked is None:
            return False
        if tracked.is_withdrawn:
            self._report(tracked, None)
        elif event.expired:
            if carrier is Carrier.TCP:
                # Its other end may be gone without a word, which the kernel notices late.
                self._block(tracked.peer.node_id, now)
            self._report(tracked, SendTimeout("not acknowledged in time"))
        elif not self._send_again(tracked, link, now):
            self._orphans.setdefault(link, []).append(tracked)
        return True

    def opened(self, peer: NodeId, link: Link, now: Instant) -> None:
        """A connection with that peer is established."""
        if link.carrier is Carrier.TCP:
            self._opening.pop(peer, None)
            self._blocked_until.pop(peer, None)
        for tracked in self._adrift.pop(peer, ()):
            if not self._send_again(tracked, None, now):
                self._report(tracked, ConnectionFailed(Code.REPLACED, "no room on the connection that stays"))

    def gone(self, peer: NodeId) -> None:
        """That peer has no connection any more and none is expected."""
        for tracked in self._adrift.pop(peer, ()):
            self._report(tracked, ConnectionFailed(Code.REPLACED, "the connection that should stay never came"))

    def closed(self, link: Link, event: Closed) -> None:
        """A connection is gone, and with it what could not be sent again, unless another one is about to come."""
        for peer, opening in list(self._opening.items()):
            if opening == link:
                del self._opening[peer]
        lost = [*self._orphans.pop(link, ()), *self._tracked.pop(link, {}).values()]
        for tracked in lost:
            if tracked.is_withdrawn:
                self._report(tracked, None)
                continue
            has_other = any(other != link for other in tracked.peer.links)
            if event.code in (Code.REPLACED, Code.PEER_RESTARTED) and tracked.peer.is_active and not has_other:
                self._adrift.setdefault(tracked.peer.node_id, []).append(tracked)
            else:
                self._report(tracked, ConnectionFailed(event.code, event.reason))

    # --- choosing -----------------------------------------------------------------------------------------------

    def _choose(self, peer: Peer, parcel: Parcel, now: Instant, *, avoid: Link | None) -> Link | None:
        udp = self._newest(peer, Carrier.UDP, avoid)
        if udp is not None and parcel.route.carrier is Carrier.UDP:
            return udp
        tcp = self._newest(peer, Carrier.TCP, avoid)
        if parcel.route.carrier is Carrier.UDP:
            return tcp
        if self._blocked_until.get(peer.node_id, now) > now:
            return udp or tcp
        return tcp or self._open(peer, now, avoid) or udp

    def _newest(self, peer: Peer, carrier: Carrier, avoid: Link | None) -> Link | None:
        for link in reversed(peer.links):
            if link.carrier is carrier and link != avoid:
                return link
        return None

    def _open(self, peer: Peer, now: Instant, avoid: Link | None) -> Link | None:
        tcp, record = self._endpoints.tcp, peer.record
        opening = self._opening.get(peer.node_id)
        if opening is not None:
            if opening != avoid:
                return opening
            # It failed before it was there: the way may be blocked, so the other carrier serves for a while.
            del self._opening[peer.node_id]
            self._block(peer.node_id, now)
            return None
        if tcp is None or record is None or not record.tcp_port or not peer.links:
            return None
        try:
            handle = tcp.connect((record.host, record.tcp_port), now, expected=peer.node_id)
        except UsageError:
            # max_connections are there already; the caller takes the other carrier.
            self._block(peer.node_id, now)
            return None
        self._opening[peer.node_id] = Link(Carrier.TCP, handle)
        return self._opening[peer.node_id]

    def _block(self, peer: NodeId, now: Instant) -> None:
        self._blocked_until.pop(peer, None)
        self._blocked_until[peer] = now + TCP_BLOCKED_TIME
        if len(self._blocked_until) > PEERS_KNOWN_MAX:
            del self._blocked_until[next(iter(self._blocked_until))]

    # --- tracking -----------------------------------------------------------------------------------------------

    def _hand_over(self, peer: Peer, parcel: Parcel, link: Link, now: Instant) -> None:
        endpoint = self._endpoints.of(link.carrier)
        assert endpoint is not None
        delivery = parcel.route.delivery
        deadline = parcel.deadline if delivery is Delivery.RELIABLE else None
        message_id = endpoint.send(
            link.connection, Message(parcel.data, delivery, deadline, priority=parcel.route.priority), now
        )
        self._stats.sent[LABELS[parcel.kind]] += 1
        if delivery is not Delivery.UNRELIABLE:
            self._tracked.setdefault(link, {})[message_id] = _Tracked(peer, parcel)
        elif parcel.purpose is not None:
            self._report(_Tracked(peer, parcel), None)

    def _send_again(self, tracked: _Tracked, failed: Link | None, now: Instant) -> bool:
        link = self._choose(tracked.peer, tracked.parcel, now, avoid=failed)
        if link is None:
            return False
        try:
            self._hand_over(tracked.peer, tracked.parcel, link, now)
        except (QueueFull, UnknownPeer, MessageTooLarge):
            return False
        self._stats.resent += 1
        return True

    def _take(self, link: Link, message_id: int) -> _Tracked | None:
        return self._tracked.get(link, {}).pop(message_id, None)

    def _report(self, tracked: _Tracked, error: PositronError | None) -> None:
        purpose = tracked.parcel.purpose
        if purpose is not None:
            self._outcomes.append(Outcome(tracked.peer.node_id, purpose, error))
