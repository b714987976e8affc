"""Settings of peering, already validated by whoever makes them."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.peers.hello import Hello
from node.types import Address, Duration, NodeId

__all__ = ["PeersSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersSettings:
    """Who this node is and how it keeps peers.

    hello: what it tells about itself. enable_udp, enable_tcp: carriers it can dial with.
    heartbeat_interval: time between two heartbeats to a neighbour, ± 10 %. peers_max: active peers at most, but for
    a moment; outbound_max of them by own choice, inbound_max by the choice of others, 0 for half of it.
    wall_offset: wall clock minus monotonic clock, in nanoseconds. book_secret: up to 64 bytes that nobody else knows;
    it places addresses in the address book, and is the same in every life of a node.
    """

    own_id: NodeId
    network_id: str
    hello: Hello
    enable_udp: bool
    enable_tcp: bool
    bootstrap: tuple[Address, ...]
    heartbeat_interval: Duration
    peers_max: int
    outbound_max: int = 0
    inbound_max: int = 0
    wall_offset: Duration = 0
    book_secret: bytes = field(default=b"", repr=False)

    @property
    def outbound_room(self) -> int:
        """Links that this node makes by its own choice, at most."""
        return self.outbound_max or max(1, self.peers_max // 2)

    @property
    def inbound_room(self) -> int:
        """Links by the choice of others that are kept."""
        return self.inbound_max or max(1, self.peers_max - self.peers_max // 2)

    @property
    def links_room(self) -> int:
        """Links in all that are kept."""
        return min(self.peers_max, self.outbound_room + self.inbound_room)
