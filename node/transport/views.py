"""Connections as the public API shows them: read-only, in seconds, by address.

Knows snapshots, no sockets. Input is whatever endpoint the transport runs; output goes to callers and to `get_stats`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from node.transport.state import ConnectionState
from node.transport.stats import ConnectionSnapshot
from node.types import Address, Duration, NodeId, to_seconds

__all__ = ["ConnectionView", "Connections", "view_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionView:
    """One connection at one instant; durations in seconds, None where nothing was measured yet.

    rto: the timeout that is in force; computed_rto: what the measurements alone would give. sent_packets: a sequence
    whose length is the number of packets sent.
    """

    state: ConnectionState
    peer_id: NodeId | None
    address: Address
    is_initiator: bool
    srtt: float | None
    rttvar: float | None
    rto: float | None
    computed_rto: float | None
    retransmissions: int
    sent_packets: range
    packets_received: int
    bytes_sent: int
    bytes_received: int
    bytes_in_flight: int
    congestion_window: int


def view_of(snapshot: ConnectionSnapshot) -> ConnectionView:
    """The public form of a snapshot."""
    stats = snapshot.stats
    return ConnectionView(
        state=ConnectionState[snapshot.state.upper()],
        peer_id=snapshot.peer_id,
        address=snapshot.address,
        is_initiator=snapshot.is_initiator,
        srtt=_seconds(snapshot.smoothed_rtt),
        rttvar=_seconds(snapshot.rttvar),
        rto=to_seconds(snapshot.effective_rto),
        computed_rto=to_seconds(snapshot.computed_rto),
        retransmissions=sum(stats.packets_retransmitted.values()),
        sent_packets=range(stats.packets_sent),
        packets_received=stats.packets_received,
        bytes_sent=stats.bytes_sent,
        bytes_received=stats.bytes_received,
        bytes_in_flight=snapshot.bytes_in_flight,
        congestion_window=snapshot.congestion_window,
    )


class Connections(Mapping[Address, ConnectionView]):
    """The connections that are there now, by the peer's address; always current, each look-up a fresh view.

    find: the connection that answers to an address, also to a name or to one of several addresses of its peer.
    """

    def __init__(
        self,
        find: Callable[[Address], ConnectionSnapshot | None],
        list_all: Callable[[], list[ConnectionSnapshot]],
        view: Callable[[ConnectionSnapshot], ConnectionView] = view_of,
    ) -> None:
        self._find = find
        self._list_all = list_all
        self._view = view

    def __getitem__(self, address: Address) -> ConnectionView:
        snapshot = self._find(address)
        if snapshot is None:
            # One that takes no messages yet, or none any more, is listed as well.
            snapshot = next((one for one in reversed(self._list_all()) if one.address == address), None)
        if snapshot is None:
            raise KeyError(address)
        return self._view(snapshot)

    def __iter__(self) -> Iterator[Address]:
        return iter(dict.fromkeys(snapshot.address for snapshot in self._list_all()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _seconds(duration: Duration | None) -> float | None:
    return None if duration is None else to_seconds(duration)
