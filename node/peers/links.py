"""Which nodes this one wants to be linked with, and which links it gives up again.

Up to LINKS_ALL_MAX others everybody is linked with everybody. Beyond that a node wants its neighbours on the rings,
who watch it and whom it watches, and LINKS_RANDOM nodes picked at random, which nobody can arrange. Other nodes pick it
too, so it has about twenty links whatever the size of the network; `peers_max` is never exceeded for long.

Works on the member list, the peer table and the dialer; what is to be closed is returned.
"""

from __future__ import annotations

from collections.abc import Callable

from node.peers.dialer import Dialer
from node.peers.members import Members
from node.peers.settings import PeersSettings
from node.peers.table import Peer, PeerTable
from node.types import SECOND, Duration, Instant, NodeId, Random
from node.wire.limits import LINKS_ALL_MAX, LINKS_RANDOM

__all__ = ["Links"]

LINK_GRACE: Duration = 10 * SECOND
"""Time that a link which nobody needs is kept, so that what it was made for can happen."""

CROWD_GRACE: Duration = 3 * SECOND
"""The same while there are more links than allowed."""

LINKS_FEW = 3
"""Links up to which any link is wanted."""


class Links:
    """The links of one node. is_precious: whether a link is used beyond what is decided here."""

    def __init__(
        self, settings: PeersSettings, members: Members, table: PeerTable, dialer: Dialer, *, random: Random
    ) -> None:
        self.is_precious: Callable[[NodeId], bool] = lambda node_id: False
        self.rank: Callable[[NodeId], float] = lambda node_id: 0.0
        self.neighbours: dict[NodeId, None] = {}
        self._settings = settings
        self._members = members
        self._table = table
        self._dialer = dialer
        self._random = random
        self._picked: dict[NodeId, None] = {}
        self._refused: dict[NodeId, Instant] = {}
        self._is_small = True
        dialer.is_desired = self.is_desired

    def is_desired(self, node_id: NodeId) -> bool:
        """Whether this node wants a link with that one."""
        member = self._members.get(node_id)
        if member is None or not member.is_present:
            return False
        if len(self._table.active()) + self._dialer.under_way >= self._settings.peers_max:
            return False
        is_chosen = self._is_small or node_id in self.neighbours or node_id in self._picked
        return is_chosen or len(self._table.active()) < LINKS_FEW

    def refused(self, node_id: NodeId, now: Instant) -> None:
        """That node has no room for this one, which picks another."""
        self._picked.pop(node_id, None)
        self._refused[node_id] = now
        if len(self._refused) > LINKS_ALL_MAX:
            del self._refused[next(iter(self._refused))]

    def refresh(self, now: Instant) -> None:
        """Follows the member list: asks the dialer for what is missing, and to forget what is not wanted any more."""
        members = self._members
        self.neighbours = dict.fromkeys(members.rings.neighbours(self._settings.own_id))
        self._is_small = members.population - 1 <= LINKS_ALL_MAX
        if self._is_small:
            self._picked.clear()
            wanted = [member.node_id for member in members.present()]
        else:
            self._pick()
            wanted = [*self.neighbours, *self._picked]
        for node_id in wanted:
            member, peer = members.get(node_id), self._table.get(node_id)
            if member is not None and member.record is not None and (peer is None or not peer.links):
                self._dialer.learn(node_id, member.record, now)
        self._dialer.forget_undesired()

    def surplus(self, now: Instant) -> list[Peer]:
        """Active peers whose links are to be given up: those that this node made and needs no more, and whoever is
        too many.
        """
        active = self._table.active()
        if self._is_small and len(active) <= self._settings.peers_max:
            return []
        crowd = len(active) - self._settings.peers_max
        grace = CROWD_GRACE if crowd > 0 else LINK_GRACE
        spare = [
            peer
            for peer in active
            if peer.connected_at is not None
            and now - peer.connected_at >= grace
            and peer.node_id not in self.neighbours
            and peer.node_id not in self._picked
            and not self.is_precious(peer.node_id)
        ]
        given_up = [peer for peer in spare if any(state.is_initiator for state in peer.links.values())]
        if len(active) - len(given_up) < LINKS_FEW:
            given_up = []
        if crowd > len(given_up):
            inbound = [peer for peer in spare if peer not in given_up]
            inbound.sort(key=lambda peer: (self.rank(peer.node_id), -(peer.connected_at or 0)))
            given_up += inbound[: crowd - len(given_up)]
        return given_up

    def _pick(self) -> None:
        for node_id in list(self._picked):
            member = self._members.get(node_id)
            if member is None or not member.is_present or node_id in self.neighbours:
                del self._picked[node_id]
        lacking = LINKS_RANDOM - len(self._picked)
        if lacking <= 0:
            return
        free = [
            member.node_id
            for member in self._members.present()
            if member.node_id not in self.neighbours
            and member.node_id not in self._picked
            and member.node_id not in self._refused
            and member.record is not None
        ]
        chosen = self._random.sample(free, min(2 * lacking, len(free)))
        chosen.sort(key=self.rank, reverse=True)
        self._picked.update(dict.fromkeys(chosen[:lacking]))
