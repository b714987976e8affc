"""Counters of peering: plain integers in slots, bumped in place and read at scrape time."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.messages.types import zero_rejections

__all__ = ["PeerStats"]


@dataclass(slots=True)
class PeerStats:
    """What the peer service has counted since the node began.

    dials, dials_failed: connections begun by this node, and those of them that never became established.
    heartbeats_sent, heartbeats_received: datagrams or records, answers included.
    suspicions: times a peer fell silent and was probed. losses: times a silent peer was given up.
    accusations: of those, the times that the network was told. false_suspicions: accused by this node and shown to be
    alive. refutations: suspects that refuted. own_refutations: times that this node refuted. deaths: members that died
    as this node sees it. probes_relayed: questions asked for others. members: by state. local_health: 1 when this node
    is well, up to 8 when its own verdicts are not to be trusted.
    peers_up, peers_down: transitions. addresses_learned: records of other nodes accepted from peers.
    addresses_refused: records that were invalid or found no room. rejected: refused messages by reason.
    """

    dials: int = 0
    dials_failed: int = 0
    heartbeats_sent: int = 0
    heartbeats_received: int = 0
    suspicions: int = 0
    losses: int = 0
    accusations: int = 0
    false_suspicions: int = 0
    refutations: int = 0
    own_refutations: int = 0
    deaths: int = 0
    probes_relayed: int = 0
    members: dict[str, int] = field(default_factory=dict)
    local_health: int = 1
    peers_up: int = 0
    peers_down: int = 0
    addresses_learned: int = 0
    addresses_refused: int = 0
    rejected: dict[str, int] = field(default_factory=zero_rejections)
