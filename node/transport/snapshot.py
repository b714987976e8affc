"""What others may see of a connection: read at scrape time, from its public parts, without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.transport.stats import ConnectionSnapshot

if TYPE_CHECKING:
    from node.transport.connection import Connection

__all__ = ["snapshot_of"]


def snapshot_of(connection: Connection) -> ConnectionSnapshot:
    """The connection at this instant."""
    sending = connection.sending
    return ConnectionSnapshot(
        connection=connection.origin.handle,
        transport="udp",
        peer_id=connection.peer_id,
        address=connection.path.address,
        state=connection.state.name.lower(),
        is_initiator=connection.origin.is_initiator,
        established_at=connection.established_at,
        latest_rtt=sending.rtt.latest_rtt,
        smoothed_rtt=sending.rtt.smoothed_rtt,
        rttvar=sending.rtt.rttvar,
        min_rtt=sending.rtt.min_rtt,
        computed_rto=sending.rtt.computed_rto(),
        effective_rto=sending.recovery.effective_rto(),
        rto_backoff=sending.recovery.rto_backoff,
        congestion_window=sending.controller.congestion_window,
        slow_start_threshold=sending.controller.slow_start_threshold,
        bytes_in_flight=sending.recovery.bytes_in_flight,
        mtu=connection.sending.mtu.current,
        send_queue_messages=len(sending.outbox.queue.messages),
        stats=connection.stats,
        hint=connection.hint,
    )
