"""Counters of gossip: plain integers in slots, bumped in place and read at scrape time."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.messages.types import zero_rejections
from node.transport.stats import Histogram
from node.types import MILLISECOND, SECOND, Duration

__all__ = ["AGE_BOUNDS", "REPAIR_PATHS", "GossipStats"]

AGE_BOUNDS: tuple[Duration, ...] = (
    *(milliseconds * MILLISECOND for milliseconds in (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750)),
    *(seconds * SECOND for seconds in (1, 2, 5, 10, 30)),
)
"""From one loopback hop to a repair after a partition."""

REPAIR_PATHS = ("pull", "sync")


def _zero_repairs() -> dict[str, int]:
    return dict.fromkeys(REPAIR_PATHS, 0)


@dataclass(slots=True)
class GossipStats:
    """What gossip has counted since the node began.

    published: messages of this node's own. delivered: messages of others handed to the application, each once.
    duplicates: copies that arrived again; those of bodies over SMALL_BODY_BYTES are duplicates_large too, as such
    messages accepted are accepted_large. accepted: first copies of any kind. relayed: copies forwarded.
    announced: ids told to peers. requested: ids asked for. served: copies sent on request.
    repaired: deliveries that came on request, by how this node learned of them.
    failed_sends: copies that a peer did not acknowledge in time, or that its queue had no room for.
    overflows: copies that found no room in the lane of a peer and became ids. rate_limited: messages, lists of ids,
    grafts and prunes dropped because their sender exceeded its allowance.
    grafts, prunes: peers put into the mesh and out of it, by either side. syncs: exchanges begun. sync_mismatches:
    heartbeats whose digest differed.
    rejected: refused copies by reason (`node.messages.types.REJECTION_REASONS`).
    age: time from publishing to delivery, as the two clocks see it; a negative difference counts as 0.
    hops: deliveries by links travelled. cached, cached_bytes, origins, mesh_size, eager_wanted: what is there now.
    """

    published: int = 0
    delivered: int = 0
    accepted: int = 0
    duplicates: int = 0
    accepted_large: int = 0
    duplicates_large: int = 0
    relayed: int = 0
    announced: int = 0
    requested: int = 0
    served: int = 0
    repaired: dict[str, int] = field(default_factory=_zero_repairs)
    failed_sends: int = 0
    overflows: int = 0
    rate_limited: int = 0
    grafts: int = 0
    prunes: int = 0
    syncs: int = 0
    sync_mismatches: int = 0
    rejected: dict[str, int] = field(default_factory=zero_rejections)
    age: Histogram = field(default_factory=lambda: Histogram(AGE_BOUNDS))
    hops: dict[int, int] = field(default_factory=dict)
    cached: int = 0
    cached_bytes: int = 0
    origins: int = 0
    mesh_size: int = 0
    eager_wanted: int = 0
