"""What a node answers to its HTTP API: `node.api.handlers.Source`, for a node.

Knows the node through `Subject` only. Numbers come from the observer, what has happened from the chronicle; sends and
broadcasts are the node's own.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from node.api.handlers import Feed
from node.api.problems import Json
from node.config import NetworkConfig, format_address
from node.config.version import package_version
from node.core.snapshot import NodeSnapshot
from node.errors import QueueFull, UnknownPeer
from node.messages.packing import Value
from node.metrics.text import CONTENT_TYPE
from node.node.chaos import Chaos
from node.node.chronicle import Chronicle
from node.node.naming import find_peer, find_target
from node.node.observer import Observer
from node.node.report import peer_report, trust_report
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_transport import UDPTransport
from node.types import Address, NodeId, short_id, to_seconds

__all__ = ["RECORDINGS_MAX", "ApiSource", "Subject"]

RECORDINGS_MAX = 16
"""Connections recorded at once because somebody asked, of a few MiB each."""


class Subject(Protocol):
    """What the API needs of a node."""

    config: NetworkConfig
    wall_offset: int
    http_address: Address | None
    chronicle: Chronicle

    @property
    def chaos(self) -> Chaos | None: ...
    @property
    def udp_transport(self) -> UDPTransport | None: ...
    @property
    def tcp_transport(self) -> TCPTransport | None: ...
    def snapshot(self) -> NodeSnapshot: ...
    async def broadcast(
        self,
        data: dict[str, Value],
        *,
        wait: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> str: ...
    async def send_message(
        self,
        peer_addr: str | NodeId | Address,
        message: Value,
        reliable: bool = True,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> None: ...


class ApiSource:
    """Answers for one node. Everything is read when it is asked for."""

    metrics_content_type = CONTENT_TYPE

    def __init__(self, subject: Subject, observer: Observer) -> None:
        self._subject = subject
        self._observer = observer

    @property
    def messages(self) -> Feed:
        return self._subject.chronicle.messages

    @property
    def history(self) -> Feed:
        return self._subject.chronicle.history

    async def render_metrics(self) -> bytes:
        return await self._observer.render_metrics()

    def is_healthy(self) -> bool:
        return self._observer.is_healthy()

    def is_ready(self) -> bool:
        return self._observer.is_ready()

    def node(self) -> dict[str, Json]:
        """Who the node is, where it listens, and its two clocks."""
        subject, snapshot = self._subject, self._subject.snapshot()
        monotonic = time.monotonic_ns()
        return {
            "node_id": snapshot.node_id.hex(),
            "name": snapshot.name,
            "network_id": snapshot.network_id,
            "version": package_version(),
            "state": snapshot.state,
            "is_ready": snapshot.is_ready,
            "is_seed": subject.config.is_seed,
            "profile": subject.config.profile,
            "uptime": to_seconds(snapshot.uptime),
            "time": to_seconds(monotonic + subject.wall_offset),
            "monotonic": to_seconds(monotonic),
            "addresses": {
                "udp": _address(subject.udp_transport),
                "tcp": _address(subject.tcp_transport),
                "http": None if subject.http_address is None else format_address(subject.http_address),
            },
        }

    def stats(self) -> dict[str, Any]:
        return self._observer.stats()

    def peers(self) -> list[Json]:
        return self._observer.peers()

    def peer(self, name: str) -> dict[str, Json]:
        """One known peer and its links; UnknownPeer, AmbiguousPeer."""
        snapshot = self._subject.snapshot()
        peer = find_peer(name, snapshot)
        report = peer_report(peer, snapshot, self._subject.wall_offset)
        return report | {"links": list(self._observer.links(peer.node_id, snapshot=snapshot))}

    def qlog(self, name: str) -> bytes:
        """What was recorded of the connection with that peer, or of the last one; UnknownPeer, AmbiguousPeer."""
        peer, udp = find_peer(name, self._subject.snapshot()), self._subject.udp_transport
        trace = None if udp is None else udp.endpoint.traces.of_peer(peer.node_id)
        if trace is None:
            raise UnknownPeer(f"nothing was recorded of peer {short_id(peer.node_id)}")
        return trace.dump()

    def record(self, name: str, bytes_max: int) -> bool:
        """Begins to record the connection with that peer, or with no bytes ends it; whether it was recorded before.

        bytes_max: memory for events.
        Raises UnknownPeer, AmbiguousPeer, QueueFull.
        """
        peer, udp = find_peer(name, self._subject.snapshot()), self._subject.udp_transport
        connection = None if udp is None else udp.endpoint.connection_of(peer.node_id)
        if udp is None or connection is None:
            raise UnknownPeer(f"there is no UDP connection with peer {short_id(peer.node_id)}")
        recorded = udp.endpoint.traces.open
        was_recorded = connection in recorded
        if not bytes_max:
            udp.endpoint.stop_trace(connection)
        elif not was_recorded and len(recorded) >= RECORDINGS_MAX:
            raise QueueFull(f"{RECORDINGS_MAX} connections are recorded; allowed are no more at once")
        else:
            udp.endpoint.start_trace(connection, bytes_max, time.monotonic_ns())
        return was_recorded

    def links(self) -> list[Json]:
        return list(self._observer.links())

    def chaos(self, command: str, body: dict[str, Json]) -> dict[str, Any] | None:
        """Carries out one command of `Chaos`; None where it is switched off. UsageError for what cannot be."""
        chaos = self._subject.chaos
        if chaos is None:
            return None
        return chaos.carry_out(command, body)

    def trust(self) -> dict[str, Json]:
        return trust_report(self._subject.snapshot())

    async def broadcast(self, payload: dict[str, Json], *, wait: str, timeout: float) -> str:  # noqa: ASYNC109
        """As `Node.broadcast`."""
        # JSON's values are a part of a message's.
        return await self._subject.broadcast(payload, wait=wait, timeout=timeout)  # type: ignore[arg-type]

    async def send(self, to: str, data: Json, *, reliable: bool, timeout: float) -> dict[str, Json]:  # noqa: ASYNC109
        """As `Node.send_message`, with the time it took."""
        target = find_target(to, self._subject.snapshot())
        began_at = time.monotonic_ns()
        await self._subject.send_message(target, data, reliable, timeout)  # type: ignore[arg-type]  # as in broadcast
        return {
            "to": target.hex() if isinstance(target, bytes) else format_address(target),
            "is_acknowledged": reliable,
            "seconds": to_seconds(time.monotonic_ns() - began_at),
        }


def _address(transport: UDPTransport | TCPTransport | None) -> str | None:
    return None if transport is None else format_address(transport.local_address)
