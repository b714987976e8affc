"""Anti-entropy: finds out by 8 bytes per heartbeat that a peer has other messages than this node, and by an exchange of
claims which ones; what each lacks is told by id and pulled like any other message.

A digest is the exclusive or of the ids of everything a node accepted. Two nodes that began at different times never
have equal digests, but their difference stays the same as long as both accept the same messages: after an exchange
that found nothing, that difference is agreed, and only another one is a mismatch. So no history needs to be shared.

    frame = [GOSSIP_MESSAGE, 5, flags, digest, age, low, high, rows, told]

flags: 1 the answer to one, 2 the last page. age: milliseconds before now from which on the sender wants messages.
rows: what it has (`node.gossip.claims`). told: ids that it has just told the other of.

Knows nothing of links; the gossip service sends what it returns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag

from node.errors import DecodeError
from node.gossip.budget import Budget
from node.gossip.claims import PREFIX_BYTES, Claims, Page, claims_of
from node.messages.packing import Value
from node.types import MILLISECOND, SECOND, Duration, Instant, NodeId
from node.wire.limits import SYNC_IDS_MAX, SYNC_PAGES_MAX

__all__ = ["DIGEST_BYTES", "Flag", "SyncFrame", "SyncPeer", "Syncs", "parse_sync"]

DIGEST_BYTES = 8

SYNC_INTERVAL: Duration = 1 * SECOND
SYNC_INTERVAL_MAX: Duration = 4 * SECOND
"""Time between two exchanges with one peer: after one that found something, and at most after those that did not."""

SYNC_QUIET: Duration = 300 * MILLISECOND
"""Without news for that long, one digest that differs is reason enough; else it takes two in a row, since messages that
are under way make digests differ too."""


BARREN_ENOUGH = 2
"""Exchanges in a row that leave a difference which the peer does not fill: then it cannot."""


class Flag(IntFlag):
    """Numbers are wire format."""

    NONE = 0
    ANSWER = 1
    LAST = 2


@dataclass(frozen=True, slots=True)
class SyncFrame:
    """One page of an exchange."""

    flags: Flag
    digest: int
    age: int
    page: Page
    claims: Claims
    told: int


@dataclass(slots=True)
class SyncPeer:
    """One linked peer.

    agreed: difference of the digests when neither had anything for the other; None before the first exchange.
    theirs: its last digest. mismatches: in a row. found: what the exchange under way has found so far.
    is_behind: it has shown that the peer has more. barren: exchanges in a row in which the peer had more and told
    of nothing.
    credit: ids that it may tell in answer to this node's pages, beyond its allowance.
    """

    pages: Budget
    agreed: int | None = None
    theirs: int | None = None
    mismatches: int = 0
    next_at: Instant = 0
    pause: Duration = SYNC_INTERVAL
    found: int = 0
    is_behind: bool = False
    barren: int = 0
    credit: int = field(default=0)


class Syncs:
    """The exchanges of one node. own: the digest of everything that it accepted."""

    def __init__(self) -> None:
        self.own = 0
        self._changed_at: Instant = 0
        self._peers: dict[NodeId, SyncPeer] = {}

    def accepted(self, message_id: bytes, now: Instant) -> None:
        """Takes a message into the digest."""
        self.own ^= int.from_bytes(message_id[:DIGEST_BYTES], "big")
        self._changed_at = now

    def add(self, peer: NodeId, now: Instant) -> None:
        """A link is there."""
        self._peers[peer] = SyncPeer(Budget(2 * SYNC_PAGES_MAX, 4 * SYNC_PAGES_MAX, now))

    def remove(self, peer: NodeId) -> None:
        """A link is gone."""
        self._peers.pop(peer, None)

    def get(self, peer: NodeId) -> SyncPeer | None:
        """The state of that peer."""
        return self._peers.get(peer)

    def heard(self, peer: NodeId, digest: int, now: Instant) -> bool:
        """A heartbeat brought that digest; whether to begin an exchange."""
        state = self._peers.get(peer)
        if state is None:
            return False
        state.theirs = digest
        if not self.differs(peer):
            state.mismatches = 0
            return False
        state.mismatches += 1
        is_settled = state.mismatches >= 2 or now - self._changed_at >= SYNC_QUIET
        return is_settled and now >= state.next_at

    def differs(self, peer: NodeId) -> bool:
        """Whether the last digest of that peer shows a difference that was not agreed."""
        state = self._peers.get(peer)
        return state is not None and (state.theirs is None or state.agreed != self.own ^ state.theirs)

    def has_differed(self, peer: NodeId) -> bool:
        """Whether the last heartbeat of that peer differed when it came, or none has come yet."""
        state = self._peers.get(peer)
        return state is not None and (state.theirs is None or state.mismatches > 0)

    def begin(self, peer: NodeId, pages: int, now: Instant) -> None:
        """An exchange of that many pages is under way."""
        state = self._peers[peer]
        state.found, state.is_behind = 0, False
        state.credit = min(state.credit + pages * SYNC_IDS_MAX, SYNC_PAGES_MAX * SYNC_IDS_MAX)
        state.next_at = now + state.pause

    def finish(self, peer: NodeId, digest: int, now: Instant) -> None:
        """An exchange is over; the peer's digest was this one."""
        state = self._peers[peer]
        state.theirs = digest
        state.mismatches = 0
        state.barren = state.barren + 1 if state.is_behind and not state.found else 0
        if state.found:
            state.pause = SYNC_INTERVAL
            state.next_at = now + state.pause
        elif not state.is_behind or state.barren >= BARREN_ENOUGH:
            # What the peer has more, it no longer keeps; or it was too young the first time, and not the second.
            state.agreed = self.own ^ digest
            state.pause = min(2 * state.pause, SYNC_INTERVAL_MAX)

    def digest(self) -> bytes:
        """The digest as it travels."""
        return self.own.to_bytes(DIGEST_BYTES, "big")


def parse_sync(fields: list[Value]) -> SyncFrame:
    """The page in these fields, action left out; DecodeError if anything is wrong."""
    match fields:
        case [int(flags), bytes(digest), int(age), bytes(low), bytes(high), list(rows), int(told), *_]:
            if len(digest) != DIGEST_BYTES or len(low) not in (0, PREFIX_BYTES) or len(high) not in (0, PREFIX_BYTES):
                raise DecodeError("malformed", "a sync with a digest or a range of another length")
            if told < 0 or age < 0 or flags < 0:
                raise DecodeError("malformed", "a negative number in a sync")
            page = Page(low, high)
            known = Flag(flags & (Flag.ANSWER | Flag.LAST))
            return SyncFrame(known, int.from_bytes(digest, "big"), age, page, claims_of(page, rows), told)
        case _:
            raise DecodeError("malformed", "a sync of another shape")
