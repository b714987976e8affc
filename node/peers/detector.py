"""Heartbeats and silence: who answers, who must be asked, who does not answer whatever is tried.

The neighbours on the rings get a heartbeat every interval, other active peers one in OTHERS_RARER of them. A peer that
was silent for QUIET intervals is asked directly with every tick of one more interval, and through relays twice; when
that brings no sign of life either, it is reported. Any message and any acknowledgement is a sign of life.
While nobody can become silent before the next heartbeat, the ticks in between are left out.

A node that is itself the problem must not accuse others. One that was kept from running (its timer fires late) first
forgives everybody that time; and its health, 1 when it is well to HEALTH_MAX, stretches every limit: it gets worse when
ticks are late or nobody of many is heard, and better with every probe that is answered (after SWIM and Lifeguard).

Knows nothing of connections and messages; the peer service sends what it asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from node.peers.stats import PeerStats
from node.peers.table import Peer, PeerState
from node.types import Duration, Instant

__all__ = ["HEALTH_MAX", "QUIET_TENTHS", "TICKS_PER_INTERVAL", "Detector", "Findings"]

TICKS_PER_INTERVAL = 4
OTHERS_RARER = 4
QUIET_TENTHS = 32
"""Tenths of intervals without a sign of life after which a peer is asked: at 20 % loss three heartbeats in a row are
lost every other minute, which costs a few datagrams; a fourth one would cost half a second with every crash."""

HEALTH_MAX = 8
GOODS_AFTER_SLOW = 3
"""Signs of life in a row that end a slowness which the application reported."""


@dataclass(slots=True)
class Findings:
    """What is to be done. beats: peers to send a heartbeat. pings: to ask. relays: to ask others about. silent: do not
    answer at all. is_calm: nobody is asked, or can have to be before the next heartbeat.
    """

    beats: list[Peer] = field(default_factory=list)
    pings: list[Peer] = field(default_factory=list)
    relays: list[Peer] = field(default_factory=list)
    silent: list[Peer] = field(default_factory=list)
    is_calm: bool = True


class Detector:
    """The failure detector of one node, run TICKS_PER_INTERVAL times per heartbeat interval."""

    def __init__(self, interval: Duration, stats: PeerStats) -> None:
        self.health = 1
        self._interval = interval
        self._stats = stats
        self._ticks = 0
        self._expected_at: Instant | None = None

    def heard(self, peer: Peer, now: Instant) -> None:
        """A sign of life."""
        peer.heard_at = now
        if peer.probed_at is not None:
            peer.probed_at = None
            self.better()
        if peer.state is PeerState.SLOW:
            peer.goods_needed -= 1
            if peer.goods_needed <= 0:
                peer.state = PeerState.UP

    def mark_slow(self, peer: Peer) -> None:
        """The application found that peer slow."""
        if peer.is_active:
            peer.state = PeerState.SLOW
            peer.goods_needed = GOODS_AFTER_SLOW

    def doubt(self, peer: Peer, now: Instant) -> None:
        """Something else than silence speaks against that peer: it is asked at once."""
        if peer.probed_at is None:
            self._suspect(peer, now)

    def better(self) -> None:
        """Takes note that all is well with this node."""
        self.health = max(1, self.health - 1)

    def worse(self) -> None:
        """Takes note that this node itself may be the problem."""
        self.health = min(HEALTH_MAX, self.health + 1)

    def tick(self, neighbours: list[Peer], others: list[Peer], now: Instant) -> Findings:
        """What is to be done about these active peers."""
        self._forgive([*neighbours, *others], now)
        findings = Findings()
        for peers, rarity in ((neighbours, 1), (others, OTHERS_RARER)):
            is_beat = self._ticks % (TICKS_PER_INTERVAL * rarity) == 0
            patience = QUIET_TENTHS * self._interval * rarity * self.health // 10
            for peer in peers:
                if is_beat:
                    findings.beats.append(peer)
                self._watch(peer, patience, findings, now)
        self._ticks += 1
        return findings

    def next_tick(self, now: Instant, jitter: float, *, is_calm: bool = False) -> Instant:
        """When `tick` should run next; jitter: 0.9 to 1.1. is_calm: not before the next heartbeat is due."""
        ticks = 1
        if is_calm:
            ticks += -self._ticks % TICKS_PER_INTERVAL
            self._ticks += ticks - 1
        self._expected_at = now + round(self._interval * jitter * ticks / TICKS_PER_INTERVAL)
        return self._expected_at

    def _watch(self, peer: Peer, patience: Duration, findings: Findings, now: Instant) -> None:
        if peer.probed_at is None:
            silent_for = now - peer.heard_at if peer.heard_at is not None else 0
            if silent_for < patience:
                if silent_for + self._interval * 9 // 8 >= patience:
                    findings.is_calm = False
                return
            self._suspect(peer, now)
        findings.is_calm = False
        assert peer.probed_at is not None
        asked_for = now - peer.probed_at
        if asked_for >= self._interval * self.health:
            findings.silent.append(peer)
        else:
            if self._ticks % 2 == 0 or not asked_for:
                findings.relays.append(peer)
        findings.pings.append(peer)

    def _suspect(self, peer: Peer, now: Instant) -> None:
        peer.probed_at = now
        self._stats.suspicions += 1
        peer.state = PeerState.SLOW
        peer.goods_needed = max(peer.goods_needed, 1)

    def _forgive(self, peers: list[Peer], now: Instant) -> None:
        late = now - self._expected_at if self._expected_at is not None else 0
        if late > self._interval // 2:
            self.worse()
            for peer in peers:
                if peer.heard_at is not None:
                    peer.heard_at = min(now, peer.heard_at + late)
                if peer.probed_at is not None:
                    peer.probed_at = min(now, peer.probed_at + late)
