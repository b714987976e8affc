"""What others may see of a connection: read at scrape time, from its public parts, without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.transport.stats import ConnectionSnapshot

if TYPE_CHECKING:
    from node.transport.connection import Connection

__all__ = ["snapshot_of"]


def snapshot_of(connection: Connection) -> ConnectionSnapshot:
    """The connection at this instant."""
    return ConnectionSnapshot(
        connection=connection.origin.handle,
        transport="udp",
        peer_id=connection.peer_id,
        address=connection.origin.address,
        state=connection.state.name.lower(),
        is_initiator=connection.origin.is_initiator,
        established_at=connection.established_at,
        latest_rtt=connection.rtt.latest_rtt,
        smoothed_rtt=connection.rtt.smoothed_rtt,
        rttvar=connection.rtt.rttvar,
        min_rtt=connection.rtt.min_rtt,
        computed_rto=connection.rtt.computed_rto(),
        effective_rto=connection.recovery.effective_rto(),
        rto_backoff=connection.recovery.rto_backoff,
        congestion_window=connection.controller.congestion_window,
        slow_start_threshold=connection.controller.slow_start_threshold,
        bytes_in_flight=connection.recovery.bytes_in_flight,
        send_queue_messages=len(connection.outbox.queue.messages),
        stats=connection.stats,
    )
