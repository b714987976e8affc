"""The mesh: which of the linked peers get every message at once, and which of those send large ones unasked.

Both ends of a link are in each other's mesh or neither is: GRAFT puts it there, PRUNE takes it out and names the time
for which it stays out. Up to FULL_MESH_MAX nodes everybody is in. Beyond that the mesh keeps `degree` members, makes
up for lost ones at once, and holds a few that this node dialled itself, so that whoever dials it cannot surround it.

Of the members, the few whose copies arrive first on average are eager: they send bodies over SMALL_BODY_BYTES unasked,
the others only tell of them. The number of eager ones follows the loss on the links and the duplicates they cause.

Knows nothing of messages and frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag

from node.gossip.settings import FULL_MESH_MAX, GossipSettings
from node.types import SECOND, Duration, Instant, NodeId, Random
from node.wire.limits import LINKS_ALL_MAX

__all__ = ["Mesh", "Wish"]

BACKOFF: Duration = 10 * SECOND
BACKOFF_MAX: Duration = 60 * SECOND
"""Time for which a link that was pruned is not grafted again, and the most that a peer may ask for."""

REFUSAL_INTERVAL: Duration = 1 * SECOND
"""Time between two refusals of a peer that asks to be in the mesh again and again."""

EAGER_MIN = 2
"""Eager members at least: one alone would make every loss a wait."""

GUARDED_EAGER = 3
"""Eager members for small messages while this node's processor is the bottleneck."""

REDUNDANCY_WANTED = (0.9, 1.1)
"""Duplicates per large message between which the number of eager members stays."""

SWAP_MARGIN = 0.8
"""A member becomes eager in place of another only if it is this much earlier: choices that flutter teach nothing."""

_LATENESS_WEIGHT = 8


class Wish(IntFlag):
    """What a GRAFT asks of its receiver. Numbers are wire format.

    EAGER: send large bodies unasked. GUARDED: send small ones too only if eager. NEEDY: this mesh lacks the receiver.
    """

    NONE = 0
    EAGER = 1
    GUARDED = 2
    NEEDY = 4


@dataclass(slots=True)
class _Link:
    """One linked peer. asked: what this node wishes of it, None outside the mesh. asks: what it wishes.

    is_needed: this node grafted it itself, since its mesh lacked members, or such as it dialled.
    lateness: mean time by which its copies come after the first one, in nanoseconds; None before the first.
    refuse_at: when a refusal may be said again.
    """

    is_outbound: bool
    asked: Wish | None = None
    asks: Wish = Wish.EAGER
    is_needed: bool = False
    free_at: Instant = 0
    lateness: int | None = None
    refuse_at: Instant = 0


class Mesh:
    """The mesh of one node. Methods that change it return the peers that must be told."""

    def __init__(self, settings: GossipSettings, *, random: Random) -> None:
        self.population = 1
        self.is_guarded = False
        self.rank: Callable[[NodeId], float] = lambda peer: 0.0
        self._settings = settings
        self._random = random
        self._links: dict[NodeId, _Link] = {}
        self._eager_wanted = EAGER_MIN
        self._eager_limit = settings.degree

    def __len__(self) -> int:
        return sum(link.asked is not None for link in self._links.values())

    def __contains__(self, peer: NodeId) -> bool:
        link = self._links.get(peer)
        return link is not None and link.asked is not None

    @property
    def is_full(self) -> bool:
        """Whether the network is so small that everybody belongs to everybody's mesh."""
        return self.population <= FULL_MESH_MAX

    @property
    def is_complete(self) -> bool:
        """Whether everybody is linked with everybody, so that an author reaches all of them itself."""
        return self.population <= LINKS_ALL_MAX + 1

    @property
    def copies_max(self) -> int:
        """Copies of a small body that a relay pushes at most: a mesh of the degree makes one more than is needed."""
        return self._settings.degree_wanted - 1

    @property
    def eager_wanted(self) -> int:
        """How many members are to send large bodies unasked."""
        return self._eager_wanted

    def members(self) -> list[NodeId]:
        """The peers in the mesh, oldest link first."""
        return [peer for peer, link in self._links.items() if link.asked is not None]

    def others(self) -> list[NodeId]:
        """The linked peers outside the mesh, oldest link first."""
        return [peer for peer, link in self._links.items() if link.asked is None]

    def senders(self, author: NodeId) -> list[NodeId]:
        """The members that send this node large bodies of that author unasked."""
        return [
            peer
            for peer, link in self._links.items()
            if link.asked is not None and (peer == author or Wish.EAGER in link.asked)
        ]

    def wants_body(self, peer: NodeId, *, is_small: bool) -> bool:
        """Whether that member wants such a body unasked."""
        asks = self._links[peer].asks
        return Wish.EAGER in asks or (is_small and Wish.GUARDED not in asks)

    # --- links --------------------------------------------------------------------------------------------------

    def add(self, peer: NodeId, now: Instant, *, is_outbound: bool, is_member: bool = False) -> list[NodeId]:
        """A link is there; whom to graft at once.

        is_member: the process before was in the mesh. The new one stays, and is told so: it may have grafted this node
        already, with a frame that came before the one by which it is known to be new.
        """
        link = self._links[peer] = _Link(is_outbound)
        if not is_member:
            return self.graft(now)
        self._admit(link)
        return [peer, *self.graft(now)]

    def remove(self, peer: NodeId, now: Instant) -> list[NodeId]:
        """A link is gone; whom to graft instead."""
        self._links.pop(peer, None)
        return self.graft(now)

    def wish(self, peer: NodeId) -> Wish:
        """What a GRAFT to that member says."""
        link = self._links[peer]
        return (link.asked or Wish.NONE) | (Wish.NEEDY if link.is_needed else Wish.NONE)

    def grafted(self, peer: NodeId, asks: Wish, now: Instant) -> bool:
        """That peer put this node into its mesh; False if it must be told, now, that it is not in this one."""
        link = self._links.get(peer)
        if link is None:
            return True
        link.asks = asks
        if link.asked is not None:
            return True
        size = len(self)
        room = self._settings.degree_max if Wish.NEEDY in asks or self.is_full else self._settings.degree
        if size >= room or (now < link.free_at and not self.is_full):
            is_told = now < link.refuse_at
            link.refuse_at = link.refuse_at if is_told else now + REFUSAL_INTERVAL
            return is_told
        self._admit(link)
        return True

    def pruned(self, peer: NodeId, backoff: Duration, now: Instant) -> list[NodeId]:
        """That peer put this node out of its mesh; whom to graft instead."""
        link = self._links.get(peer)
        if link is None:
            return []
        link.asked = None
        link.free_at = now + min(max(backoff, SECOND), BACKOFF_MAX)
        return self.graft(now)

    # --- maintenance --------------------------------------------------------------------------------------------

    def maintain(self, now: Instant) -> tuple[list[NodeId], list[NodeId], list[NodeId]]:
        """Once a second: whom to graft, whom to prune, and whom to tell a changed wish."""
        pruned = self._prune(now)
        return self.graft(now), pruned, self._choose_eager()

    def arrived(self, peer: NodeId, lateness: Duration) -> None:
        """A copy, or word of one, came from that peer, so long after the first one."""
        link = self._links.get(peer)
        if link is not None:
            known = link.lateness
            link.lateness = lateness if known is None else known + (lateness - known) // _LATENESS_WEIGHT

    def tune(self, loss: float, delivered: int, duplicates: int) -> None:
        """Sets the number of eager members by the loss on the links, and by the duplicates of large messages."""
        if delivered:
            redundancy = duplicates / delivered
            if redundancy > REDUNDANCY_WANTED[1]:
                self._eager_limit = max(EAGER_MIN, min(self._eager_limit, self._eager_wanted) - 1)
            elif redundancy < REDUNDANCY_WANTED[0]:
                self._eager_limit = min(self._settings.degree, self._eager_limit + 1)
        self._eager_wanted = min(_eager_for(loss), self._eager_limit, self._settings.degree)

    def graft(self, now: Instant) -> list[NodeId]:
        """Puts linked peers into the mesh while it lacks some; whom to graft."""
        settings = self._settings
        size = len(self)
        free = [peer for peer, link in self._links.items() if link.asked is None and now >= link.free_at]
        if self.is_full:
            chosen = free
        elif size < settings.degree_min:
            # Not up to the degree: others graft this node too, and every member more is a duplicate per message.
            chosen = self._best(free, settings.degree_wanted - size)
        elif (lacking := settings.degree_outbound - self._outbound()) > 0:
            count = max(0, min(lacking, settings.degree_max - size))
            chosen = self._best([peer for peer in free if self._links[peer].is_outbound], count)
        else:
            return []
        for peer in chosen:
            self._links[peer].is_needed = True
            self._admit(self._links[peer])
        return chosen

    def _prune(self, now: Instant) -> list[NodeId]:
        most = (self._settings.degree + self._settings.degree_max) // 2
        if self.is_full or len(self) <= most:
            # Room up to the limit is left for peers whose own mesh is too small: without it they would stay apart.
            return []
        members = self.members()
        self._random.shuffle(members)
        members.sort(key=self.rank)
        spare_outbound = self._outbound() - self._settings.degree_outbound
        pruned: list[NodeId] = []
        for peer in members:
            link = self._links[peer]
            if len(pruned) == len(members) - self._settings.degree:
                break
            if link.is_outbound:
                if spare_outbound <= 0:
                    continue
                spare_outbound -= 1
            link.asked = None
            link.free_at = now + BACKOFF
            pruned.append(peer)
        return pruned

    def _best(self, candidates: list[NodeId], count: int) -> list[NodeId]:
        """The best ranked; among equals some that this node dialled before others, and chance decides the rest."""
        self._random.shuffle(candidates)
        lacking = self._settings.degree_outbound - self._outbound()
        outbound = [peer for peer in candidates if self._links[peer].is_outbound][: max(0, lacking)]
        rest = [peer for peer in candidates if peer not in outbound]
        rest.sort(key=self.rank, reverse=True)
        return [*outbound, *rest][:count]

    def _admit(self, link: _Link) -> None:
        eager = sum(other.asked is not None and Wish.EAGER in other.asked for other in self._links.values())
        link.asked = (Wish.EAGER if eager < self._eager_wanted else Wish.NONE) | self._guard()

    def _guard(self) -> Wish:
        return Wish.GUARDED if self.is_guarded else Wish.NONE

    def _choose_eager(self) -> list[NodeId]:
        members = [(peer, link) for peer, link in self._links.items() if link.asked is not None]
        wanted = max(self._eager_wanted, GUARDED_EAGER) if self.is_guarded else self._eager_wanted

        def order(entry: tuple[NodeId, _Link]) -> tuple[bool, float]:
            link = entry[1]
            is_eager = link.asked is not None and Wish.EAGER in link.asked
            if link.lateness is None:
                # Nothing is known of it: it stays what it is, after those that are known.
                return not is_eager, math.inf
            return False, link.lateness * (SWAP_MARGIN if is_eager else 1.0)

        changed = []
        for position, (peer, link) in enumerate(sorted(members, key=order)):
            asked = (Wish.EAGER if position < wanted else Wish.NONE) | self._guard()
            if asked != link.asked:
                link.asked = asked
                changed.append(peer)
        return changed

    def _outbound(self) -> int:
        return sum(link.is_outbound and link.asked is not None for link in self._links.values())


def _eager_for(loss: float) -> int:
    """Members of which all lose their first copy at most once in a hundred times, and a spare."""
    if loss <= 0.0:
        return EAGER_MIN
    return max(EAGER_MIN, 1 + math.ceil(math.log(0.01) / math.log(min(loss, 0.99))))
