"""Carries out syncs: asks, compares, tells what the other lacks, and agrees when neither lacks anything.

The one that asks sends its claims page by page; the other tells it the ids that it lacks and answers each page with its
own claims; the first then tells ids in turn. Pulling does the rest, so that ten peers that tell of the same message
still send it once. Works on what the gossip service has accepted and sends through its spreader.
"""

from __future__ import annotations

from node.gossip.admission import Admission
from node.gossip.budget import Budget
from node.gossip.claims import Page, pages_of, rows_of
from node.gossip.frames import Act, Urgency, encode
from node.gossip.mesh import Mesh
from node.gossip.settings import GossipSettings
from node.gossip.spread import Spreader
from node.gossip.stats import GossipStats
from node.gossip.sync import Flag, SyncFrame, Syncs, parse_sync
from node.messages.packing import Value
from node.types import MILLISECOND, SECOND, Duration, Instant, NodeId, Random
from node.wire.limits import SYNC_IDS_MAX, SYNC_PAGES_MAX, SYNC_ROWS_BURST, SYNC_ROWS_MAX, SYNC_ROWS_PER_SECOND

__all__ = ["Reconciler"]

GRACE: Duration = 300 * MILLISECOND
"""A message this young is left to the mesh, whose copies are probably under way."""

TRANSIT: Duration = 200 * MILLISECOND
"""Time that a page may take to come: later ones do not tell of what came here in the first moments of their sender."""

LOOKS_PER_PAGE = 2048
"""Messages that may be compared with one page of a peer: an exchange of all that a node keeps, both ways, takes what a
peer may send in a second, and whoever wants that done all the time is answered twice a second."""

EXPLORE_INTERVAL: Duration = 5 * SECOND
EXPLORE_PEERS = 2
"""Peers outside the mesh with which a difference is looked into every so often, whatever the heartbeats say: who owns a
node's whole mesh does not own those."""


class Reconciler:
    """The syncs of one node. wanted_since: wall milliseconds from which on messages are wanted that were made before
    this life of the node; None for none of them.
    """

    def __init__(
        self,
        admission: Admission,
        mesh: Mesh,
        spreader: Spreader,
        stats: GossipStats,
        settings: GossipSettings,
        *,
        random: Random,
    ) -> None:
        self.wanted_since: int | None = None
        self._admission = admission
        self._mesh = mesh
        self._spreader = spreader
        self._stats = stats
        self._began_at = settings.epoch
        self._wall_offset = settings.wall_offset
        self._random = random
        self._syncs = Syncs()
        self._explore_at: Instant = 0
        self._rows = Budget(SYNC_ROWS_PER_SECOND, SYNC_ROWS_BURST, 0)

    def begin(self, wall: Duration) -> None:
        """The node starts, by its own clock: earlier than its epoch says where the clock went back between lives."""
        self._began_at = min(self._began_at, wall // MILLISECOND)

    def peer_up(self, peer: NodeId, now: Instant, *, is_outbound: bool) -> None:
        """A link is there; the end that dialled asks at once."""
        self._syncs.add(peer, now)
        if is_outbound:
            self._ask(peer, now)

    def peer_down(self, peer: NodeId) -> None:
        """A link is gone."""
        self._syncs.remove(peer)

    def accepted(self, message_id: bytes, now: Instant) -> None:
        """Takes note of another message that is here."""
        self._syncs.accepted(message_id, now)

    def wants(self, timestamp: int) -> bool:
        """Whether a message that only a sync brings is wanted, by its wall milliseconds."""
        return timestamp >= self.since()

    def since(self) -> int:
        """The wall millisecond from which on this node wants messages: what is older may be delivered already."""
        return self._began_at if self.wanted_since is None else min(self.wanted_since, self._began_at)

    def digest(self) -> bytes:
        """What this node has, in 8 bytes."""
        return self._syncs.digest()

    def spend(self, peer: NodeId, count: int) -> bool:
        """Whether that peer was asked to tell so many ids."""
        state = self._syncs.get(peer)
        if state is None or state.credit < count:
            return False
        state.credit -= count
        return True

    def heard(self, peer: NodeId, digest: int, now: Instant) -> None:
        """A heartbeat brought that digest."""
        is_due = self._syncs.heard(peer, digest, now)
        self._stats.sync_mismatches += self._syncs.differs(peer)
        if is_due:
            self._ask(peer, now)

    def maintain(self, now: Instant) -> None:
        """Now and then asks peers outside the mesh that differ."""
        if now < self._explore_at:
            return
        self._explore_at = now + round(EXPLORE_INTERVAL * self._random.uniform(0.9, 1.1))
        others = [peer for peer in self._mesh.others() if self._syncs.has_differed(peer)]
        for peer in self._random.sample(others, min(EXPLORE_PEERS, len(others))):
            self._ask(peer, now)

    def receive(self, peer: NodeId, fields: list[Value], now: Instant) -> None:
        """A page of a sync from that peer; DecodeError if it is wrong."""
        frame = parse_sync(fields)
        state = self._syncs.get(peer)
        if state is None:
            return
        if state.pages.wait(now):
            self._stats.rate_limited += 1
            return
        # By no clock but this one: that of a peer that has just begun is not known yet.
        since = now - frame.age * MILLISECOND - TRANSIT
        lacking = frame.claims.lacking(self._admission.store, since=since, before=now - GRACE, count=SYNC_IDS_MAX)
        # What costs more than a page should is paid for by the pages that follow.
        state.pages.take(1 + frame.claims.looked_at // LOOKS_PER_PAGE, now)
        self._spreader.tell([peer], lacking, Urgency.MISSED)
        is_behind = frame.claims.exceed(self._admission.origins)
        state.found += len(lacking) + frame.told
        state.is_behind = state.is_behind or is_behind
        if Flag.ANSWER not in frame.flags:
            self._answer(peer, frame, len(lacking), now)
            state.credit = max(state.credit, SYNC_IDS_MAX)
            if lacking or is_behind:
                return
        if Flag.LAST in frame.flags:
            self._syncs.finish(peer, frame.digest, now)

    def _ask(self, peer: NodeId, now: Instant) -> None:
        # The next heartbeat of a peer that differs asks again, and whoever was asked meanwhile tells the same.
        if not self._rows.take(len(self._admission.origins), now):
            return
        self._stats.syncs += 1
        pages = pages_of(self._admission.origins, SYNC_ROWS_MAX, SYNC_PAGES_MAX)
        self._syncs.begin(peer, len(pages), now)
        for page in pages:
            flags = Flag.LAST if page is pages[-1] else Flag.NONE
            self._say(peer, flags, page, rows_of(self._admission.origins, page), 0, now)

    def _answer(self, peer: NodeId, frame: SyncFrame, told: int, now: Instant) -> None:
        self._say(peer, Flag.ANSWER | frame.flags, frame.page, rows_of(self._admission.origins, frame.page), told, now)

    def _say(self, peer: NodeId, flags: Flag, page: Page, rows: list[Value], told: int, now: Instant) -> None:
        # The clock that the node began with, also where it was set since.
        age = max(0, (now + self._wall_offset) // MILLISECOND - self.since())
        data = encode(Act.SYNC, int(flags), self._syncs.digest(), age, page.low, page.high, rows, told)
        self._spreader.say([peer], data)
