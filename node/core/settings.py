"""Settings of a whole node, already validated: the shells make them from the node's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.errors import UsageError
from node.transport.settings import TransportSettings
from node.types import SECOND, Address, Duration, is_name
from node.wire.limits import RETAINED_BYTES_MAX

__all__ = ["PORT_MAX", "CoreSettings"]

PORT_MAX = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """What a node is called, where it listens, and how it keeps its network together.

    name: what people call this node; 1 to 64 of A-Z a-z 0-9 . _ and -; not unique, never used for decisions.
    transport: settings of both endpoints; its network_id is the node's.
    udp_port, tcp_port: ports that were really bound, told to peers; 0 where the carrier is disabled.
    advertise_host: IP literal told to peers; empty to let them use the address they see.
    bootstrap: addresses dialled until they answer, and for ever again when they are lost. They name UDP ports, or TCP
        ports when UDP is disabled. `Machine.add_bootstrap` adds to them at run time.
    enable_udp, enable_tcp: carriers in use; at least one.
    is_seed: ready without a peer, because others come to it.
    heartbeat_interval: time between two heartbeats to a peer, ± 10 %; 50 ms or more. A peer that is silent for 2 of
        them is probed, for 3 it is slow, for 6 it is down.
    gossip_fanout: peers in the mesh, to which a node passes on every message at once; 1 to 64.
    gossip_timeout: time in which one peer must acknowledge one copy before it is withdrawn and announced instead.
    peers_max, outbound_max, inbound_max: links that are kept, in all, by own choice and by that of others; 0 stands for
        half of peers_max, so that strangers never use up what this node needs for links of its own choice.
    gossip_retention, gossip_retention_bytes: how long, and how much of, what was said is kept for whoever missed it.
    """

    name: str
    transport: TransportSettings = field(default_factory=TransportSettings)
    udp_port: int = 0
    tcp_port: int = 0
    advertise_host: str = ""
    bootstrap: tuple[Address, ...] = ()
    enable_udp: bool = True
    enable_tcp: bool = True
    is_seed: bool = False
    heartbeat_interval: Duration = SECOND // 2
    gossip_fanout: int = 8
    gossip_timeout: Duration = 10 * SECOND
    peers_max: int = 64
    outbound_max: int = 0
    inbound_max: int = 0
    gossip_retention: Duration = 600 * SECOND
    gossip_retention_bytes: int = RETAINED_BYTES_MAX

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise UsageError(f"name {self.name!r}: allowed are 1 to 64 of A-Z a-z 0-9 . _ and -")
        if not (self.enable_udp or self.enable_tcp):
            raise UsageError("enable_udp and enable_tcp are both off: at least one must be on")
        for field_name in ("udp_port", "tcp_port"):
            port = getattr(self, field_name)
            if not 0 <= port <= PORT_MAX:
                raise UsageError(f"{field_name} {port}: allowed is 0 to {PORT_MAX}")
        if self.heartbeat_interval < SECOND // 20:
            raise UsageError(f"heartbeat_interval {self.heartbeat_interval}: allowed is {SECOND // 20} and more")
        if not 1 <= self.gossip_fanout <= 64:
            raise UsageError(f"gossip_fanout {self.gossip_fanout}: allowed is 1 to 64")
        for field_name in ("gossip_timeout", "peers_max", "gossip_retention", "gossip_retention_bytes"):
            if getattr(self, field_name) < 1:
                raise UsageError(f"{field_name} {getattr(self, field_name)}: allowed is 1 and more")

    @property
    def network_id(self) -> str:
        """Name of the network; nodes of different networks refuse each other."""
        return self.transport.network_id
