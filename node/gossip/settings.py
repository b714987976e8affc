"""Settings of gossip, already validated by whoever makes them."""

from __future__ import annotations

from dataclasses import dataclass

from node.types import SECOND, Duration
from node.wire.limits import RETAINED_BYTES_MAX

__all__ = ["FULL_MESH_MAX", "GossipSettings"]

FULL_MESH_MAX = 13
"""Nodes up to which everybody is in everybody's mesh: one hop, at the price that a mesh of the largest degree has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipSettings:
    """How messages spread.

    network_id: part of what is signed. epoch: start of this process in wall milliseconds.
    wall_offset: wall clock minus monotonic clock, in nanoseconds.
    degree: peers in the mesh, to which every small message is pushed at once; 1 to 64. The mesh may hold three
        quarters to three halves of it, and three eighths of it are links that this node chose itself.
    retention, retention_bytes: how long, and how much of, what was said is kept for peers that were cut off.
    """

    network_id: str
    epoch: int
    wall_offset: Duration
    degree: int = 8
    retention: Duration = 600 * SECOND
    retention_bytes: int = RETAINED_BYTES_MAX

    @property
    def degree_min(self) -> int:
        """Fewer members of the mesh than this are made up for at once."""
        return (3 * self.degree + 3) // 4

    @property
    def degree_wanted(self) -> int:
        """What a mesh that was too small is brought to: others graft this node too."""
        return (self.degree_min + self.degree) // 2

    @property
    def degree_max(self) -> int:
        """More members of the mesh than this are never admitted."""
        return 3 * self.degree // 2

    @property
    def degree_outbound(self) -> int:
        """Members of the mesh that this node dialled itself: whoever dials it cannot surround it."""
        return 3 * self.degree // 8
