"""Heartbeats and silence: who is up, who is slow, who is given up.

Every interval each active peer gets a heartbeat. One that gave no sign of life for SILENT_INTERVALS_PROBED of them is
asked for an answer several times per interval; after SILENT_INTERVALS_SLOW it is slow, after SILENT_INTERVALS_DOWN it
is given up. Any message and any acknowledgement is a sign of life. A node that was itself kept from running (its timer
fires late) first forgives everybody that time, so that a busy machine does not declare its healthy peers dead.

    frame = [HEARTBEAT, sequence, wants_answer]

Knows nothing of connections; the peer service sends what it asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.peers.stats import PeerStats
from node.peers.table import Peer, PeerState
from node.types import Duration, Instant
from node.wire.limits import PROBES_PER_INTERVAL, SILENT_INTERVALS_DOWN, SILENT_INTERVALS_PROBED, SILENT_INTERVALS_SLOW

__all__ = ["Heartbeat", "Liveness"]

GOODS_AFTER_SLOW = 3
"""Signs of life in a row that end a slowness which the application reported."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One heartbeat to send."""

    peer: Peer
    wants_answer: bool


class Liveness:
    """The failure detector of one node, run PROBES_PER_INTERVAL times per heartbeat interval."""

    def __init__(self, interval: Duration, stats: PeerStats) -> None:
        self._interval = interval
        self._stats = stats
        self._heartbeat_at: Instant | None = None
        self._expected_at: Instant | None = None

    def heard(self, peer: Peer, now: Instant) -> None:
        """A sign of life."""
        peer.heard_at = now
        peer.probed_at = None
        if peer.state is PeerState.SLOW:
            peer.goods_needed -= 1
            if peer.goods_needed <= 0:
                peer.state = PeerState.UP

    def mark_slow(self, peer: Peer) -> None:
        """The application found that peer slow."""
        if peer.is_active:
            peer.state = PeerState.SLOW
            peer.goods_needed = GOODS_AFTER_SLOW

    def tick(self, peers: list[Peer], now: Instant) -> tuple[list[Heartbeat], list[Peer]]:
        """Heartbeats to send to these active peers, and those of them to give up."""
        self._forgive(peers, now)
        is_heartbeat_due = self._heartbeat_at is None or now >= self._heartbeat_at
        if is_heartbeat_due:
            self._heartbeat_at = now + self._interval - self._interval // (2 * PROBES_PER_INTERVAL)
        heartbeats, lost = [], []
        for peer in peers:
            silence = now - (peer.heard_at if peer.heard_at is not None else now)
            if silence >= SILENT_INTERVALS_DOWN * self._interval:
                self._stats.losses += 1
                lost.append(peer)
            elif silence >= SILENT_INTERVALS_PROBED * self._interval:
                heartbeats.append(Heartbeat(peer, wants_answer=True))
                if silence >= SILENT_INTERVALS_SLOW * self._interval:
                    self._suspect(peer, now)
            elif is_heartbeat_due:
                heartbeats.append(Heartbeat(peer, wants_answer=False))
        return heartbeats, lost

    def next_tick(self, now: Instant, jitter: float) -> Instant:
        """When `tick` should run next; jitter: 0.9 to 1.1."""
        self._expected_at = now + round(self._interval * jitter / PROBES_PER_INTERVAL)
        return self._expected_at

    def _suspect(self, peer: Peer, now: Instant) -> None:
        if peer.probed_at is None:
            peer.probed_at = now
            self._stats.suspicions += 1
        peer.state = PeerState.SLOW
        peer.goods_needed = max(peer.goods_needed, 1)

    def _forgive(self, peers: list[Peer], now: Instant) -> None:
        late = now - self._expected_at if self._expected_at is not None else 0
        if late > self._interval // 2:
            for peer in peers:
                if peer.heard_at is not None:
                    peer.heard_at = min(now, peer.heard_at + late)
