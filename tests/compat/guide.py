"""The integration guide's own classes, as its steps write them, on the transports of this package.

Lines marked "as in the guide" are its snippets; what differs says why. They are no part of the package: they show that
a program written after the guide runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from node import MessageAdapter, MessageType, NetworkConfig, TCPTransport, UDPTransport
from node.transport.shell import random_identity

Peer = tuple[str, int]


class GuideGossip:
    """Step 2."""

    def __init__(self, transport: UDPTransport, targets: Callable[[], Sequence[Peer]]) -> None:
        self.transport = transport
        self.logger = logging.getLogger("guide")
        self.timeouts: list[Peer] = []
        self._targets = targets

    async def propagate(self, payload: bytes) -> None:
        """Propagate message via gossip. The guide packs here what `broadcast` had packed already."""
        for peer_addr in self._targets():
            try:  # as in the guide
                await self.transport.send_reliable(
                    peer_addr=peer_addr,
                    data=payload,
                    timeout=2.0,  # Short timeout for gossip
                )
            except asyncio.TimeoutError:  # noqa: UP041 - as in the guide
                self.logger.info("Gossip timed out")
                self.timeouts.append(peer_addr)


class GuidePeerManager:
    """Step 3."""

    def __init__(self, transport: UDPTransport) -> None:
        self.transport = transport
        self.active_peers: dict[Peer, dict[str, float]] = {}
        self.slow: list[Peer] = []
        self.down: list[Peer] = []

    def _create_handshake_message(self) -> dict[str, str]:
        return {"hello": "guide"}

    async def connect_to_peer(self, peer_addr: Peer) -> None:
        handshake = self._create_handshake_message()  # as in the guide
        await self.transport.send_reliable(peer_addr=peer_addr, data=msgpack.packb(handshake), timeout=5.0)
        self.active_peers[peer_addr] = {"connected_at": time.monotonic(), "last_seen": time.monotonic()}

    def get_connection_stats(self, peer_addr: Peer) -> dict[str, Any]:
        conn = self.transport.connections.get(peer_addr)  # as in the guide
        if conn:
            return {
                "state": conn.state.name,
                "rtt": conn.srtt,
                "rto": conn.rto,
                "packets_sent": len(conn.sent_packets),
            }
        return {}

    async def mark_peer_slow(self, peer_addr: Peer) -> None:
        self.slow.append(peer_addr)

    async def mark_peer_down(self, peer_addr: Peer) -> None:
        self.down.append(peer_addr)


class GuideNode:
    """Steps 1, 5, 7 and 8."""

    def __init__(self, config: NetworkConfig) -> None:
        self.identity = random_identity()
        # As in the guide.
        self.udp_transport = UDPTransport(host=config.host, port=config.port)
        self.tcp_transport = TCPTransport(host=config.host, port=config.port + 1)
        self.udp_transport.register_handler(self._on_udp_packet)
        self.tcp_transport.register_handler(self._on_tcp_packet)
        self.peer_manager = GuidePeerManager(self.udp_transport)
        self.gossip = GuideGossip(self.udp_transport, lambda: list(self.peer_manager.active_peers))
        self.received: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def start(self) -> None:
        await self.udp_transport.start()
        await self.tcp_transport.start()

    async def stop(self) -> None:
        await self.udp_transport.stop()
        await self.tcp_transport.stop()

    async def _on_udp_packet(self, packet: Any, peer_addr: Peer) -> None:
        await self._handle_packet("udp", packet)

    async def _on_tcp_packet(self, packet: Any, peer_addr: Peer) -> None:
        await self._handle_packet("tcp", packet)

    async def broadcast(self, data: dict[str, Any]) -> None:
        # The guide signs one time stamp and sends another; `seal` signs the bytes that travel.
        transport_data = MessageAdapter.seal(self.identity, MessageType.CUSTOM_DATA, data, time.monotonic())
        await self.gossip.propagate(transport_data)

    async def _handle_packet(self, carrier: str, packet: Any) -> None:
        value = msgpack.unpackb(packet.payload)  # as in the guide
        if isinstance(value, dict):
            await self.received.put((carrier, value))
            return
        message = MessageAdapter.open(packet.payload)  # deserializes and verifies
        if message["msg_type"] == MessageType.CUSTOM_DATA:
            await self.received.put((carrier, message))

    async def send_message(self, peer_addr: Peer, message: bytes, reliable: bool = True) -> None:
        try:  # as in the guide
            if reliable:
                await self.udp_transport.send_reliable(peer_addr=peer_addr, data=message, timeout=0.5)
            else:
                await self.udp_transport.send_unreliable(peer_addr=peer_addr, data=message)
        except asyncio.TimeoutError:  # noqa: UP041 - as in the guide
            await self.peer_manager.mark_peer_slow(peer_addr)
        except ConnectionError:
            await self.peer_manager.mark_peer_down(peer_addr)

    def get_stats(self) -> dict[str, Any]:
        return {
            "node_id": self.identity.node_id,
            "active_peers": len(self.peer_manager.active_peers),
            "transport": {"udp": self.udp_transport.get_stats(), "tcp": self.tcp_transport.get_stats()},
            # The guide's keys are pairs, which JSON cannot hold.
            "connections": {
                f"{host}:{port}": self._get_connection_stats((host, port))
                for host, port in self.peer_manager.active_peers
            },
        }

    def _get_connection_stats(self, peer_addr: Peer) -> dict[str, Any] | None:
        conn = self.udp_transport.connections.get(peer_addr)  # as in the guide
        if conn:
            return {
                "state": conn.state.name,
                "rtt": conn.srtt,
                "rto": conn.rto,
                "retransmissions": conn.retransmissions,
            }
        return None
