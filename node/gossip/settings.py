"""Settings of gossip, already validated by whoever makes them."""

from __future__ import annotations

from dataclasses import dataclass

from node.types import Duration

__all__ = ["GossipSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipSettings:
    """How messages spread.

    network_id: part of what is signed. epoch: start of this process in wall milliseconds.
    fanout: peers that a relay pushes a message to. announce_interval: time between two announcements of what was not
    pushed, ± 10 %. wall_offset: wall clock minus monotonic clock, in nanoseconds.
    """

    network_id: str
    epoch: int
    wall_offset: Duration
    fanout: int
    announce_interval: Duration
