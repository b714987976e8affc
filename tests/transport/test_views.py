"""Connections as the public API shows them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.transport.state import ConnectionState
from node.transport.stats import ConnectionSnapshot, ConnectionStats
from node.transport.views import Connections, view_of
from node.types import MILLISECOND, SECOND, Address, NodeId

PEER = ("192.0.2.1", 9000)


@pytest.fixture
def snapshot() -> ConnectionSnapshot:
    stats = ConnectionStats(packets_sent=12, packets_received=9, bytes_sent=1200, bytes_received=900)
    stats.packets_retransmitted["timeout"] = 2
    stats.packets_retransmitted["probe"] = 1
    return ConnectionSnapshot(
        connection=1, transport="udp", peer_id=NodeId(bytes(32)), address=PEER, state="established",
        is_initiator=True, established_at=0, latest_rtt=MILLISECOND, smoothed_rtt=40 * MILLISECOND,
        rttvar=5 * MILLISECOND, min_rtt=MILLISECOND, computed_rto=70 * MILLISECOND, effective_rto=SECOND,
        rto_backoff=0, congestion_window=14_000, slow_start_threshold=None, bytes_in_flight=1400, mtu=1400,
        send_queue_messages=3, stats=stats,
    )  # fmt: skip


def test_times_are_seconds_and_counts_are_counts(snapshot: ConnectionSnapshot) -> None:
    view = view_of(snapshot)
    assert view.state is ConnectionState.ESTABLISHED
    assert (view.srtt, view.rttvar, view.rto, view.computed_rto) == (0.04, 0.005, 1.0, 0.07)
    assert (view.retransmissions, len(view.sent_packets)) == (3, 12)


def test_what_was_never_measured_is_none(snapshot: ConnectionSnapshot) -> None:
    view = view_of(replace(snapshot, smoothed_rtt=None, rttvar=None))
    assert view.srtt is None
    assert view.rttvar is None


@pytest.mark.parametrize("state", ["handshake", "established", "closing", "closed"])
def test_every_state_has_a_name(snapshot: ConnectionSnapshot, state: str) -> None:
    assert view_of(replace(snapshot, state=state)).state.name == state.upper()


def test_connections_are_looked_up_by_address(snapshot: ConnectionSnapshot) -> None:
    def find(address: Address) -> ConnectionSnapshot | None:
        return snapshot if address == PEER else None

    connections = Connections(find, lambda: [snapshot, replace(snapshot, connection=2)])
    assert connections[PEER].address == PEER
    assert connections.get(("192.0.2.2", 9000)) is None
    assert (list(connections), len(connections)) == ([PEER], 1)


def test_every_connection_that_is_listed_can_be_looked_up(snapshot: ConnectionSnapshot) -> None:
    """Nobody can send over one that a stranger has begun, or one that is closing."""
    closing = replace(snapshot, connection=2, state="closing")
    connections = Connections(lambda _: None, lambda: [snapshot, closing])
    assert [view.state for view in connections.values()] == [ConnectionState.CLOSING]
    assert dict(connections) == {PEER: connections[PEER]}
    with pytest.raises(KeyError):
        connections["192.0.2.2", 9000]
