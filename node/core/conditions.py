"""What the network is like, as far as this node's connections show: round trip times, the share that is lost, and
what is arriving.

Reads the counters of connections; the services above are told numbers and know no connections.
"""

from __future__ import annotations

from node.transport.endpoint import Endpoint
from node.transport.stream import StreamEndpoint
from node.types import Duration, Instant, NodeId

__all__ = ["Conditions"]

PACKETS_JUDGED_MIN = 40
"""Packets below which the share of lost ones says nothing."""

MEMORY = 0.75
"""Weight of what was counted before in the next reading."""


class Conditions:
    """The conditions of one node; `read` once in a while, about once a second."""

    def __init__(self, endpoint: Endpoint | None, streams: StreamEndpoint | None = None) -> None:
        self._endpoint = endpoint
        self._streams = streams
        self._before: dict[int, tuple[int, int]] = {}
        self._sent = 0.0
        self._lost = 0.0

    def rtt(self, peer: NodeId) -> Duration | None:
        """Smoothed round trip time to that peer; None while unknown."""
        endpoint = self._endpoint
        handle = endpoint.connection_of(peer) if endpoint is not None else None
        if endpoint is None or handle is None:
            return None
        return endpoint.connections[handle].sending.rtt.smoothed_rtt

    def arriving(self, peer: NodeId, now: Instant) -> int:
        """Bytes that are here of messages from that peer of which parts are missing."""
        endpoint, streams = self._endpoint, self._streams
        return (endpoint.bytes_arriving(peer, now) if endpoint is not None else 0) + (
            streams.bytes_arriving(peer, now) if streams is not None else 0
        )

    def read(self) -> float:
        """The share of packets that is lost, 0 to 1.

        Rather too low than too high: packets that only acknowledge are counted and never declared lost.
        """
        if self._endpoint is None:
            return 0.0
        now: dict[int, tuple[int, int]] = {}
        sent = lost = 0
        for handle, connection in self._endpoint.connections.items():
            stats = connection.stats
            now[handle] = stats.packets_sent, max(0, sum(stats.packets_lost.values()) - stats.spurious_losses)
            before = self._before.get(handle, (0, 0))
            sent += now[handle][0] - before[0]
            lost += now[handle][1] - before[1]
        self._before = now
        self._sent = MEMORY * self._sent + sent
        self._lost = max(0.0, MEMORY * self._lost + lost)
        return min(1.0, self._lost / self._sent) if self._sent >= PACKETS_JUDGED_MIN else 0.0
