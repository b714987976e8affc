"""Which nodes this one wants to be linked with, and which links it gives up again.

Up to LINKS_ALL_MAX others everybody is linked with everybody. Beyond that a node wants its neighbours on the rings,
who watch it and whom it watches, and LINKS_RANDOM nodes picked at random, which nobody can arrange. Other nodes pick it
too, so it has about twenty links whatever the size of the network; `peers_max` is never exceeded for long. What others
choose has its own share of it, so that whoever dials in cannot take the room of the links that this node chose.

A neighbour that cannot be reached is passed over for the one behind it. One that was never met may be an invention, and
is wanted beside the nearest one that was met, as far as `trials` allow.

Works on the member list, the peer table and the dialer; what is to be closed is returned.
"""

from __future__ import annotations

from collections.abc import Callable

from node.peers.dialer import Dialer
from node.peers.groups import group_of
from node.peers.members import Member, Members
from node.peers.rings import EVERYBODY_MAX, RINGS
from node.peers.settings import PeersSettings
from node.peers.table import Peer, PeerTable
from node.peers.trials import Trials
from node.types import SECOND, Duration, Instant, NodeId, Random
from node.wire.limits import DIALS_OF_STRANGER_MAX, LINKS_ALL_MAX, LINKS_RANDOM

__all__ = ["Links"]

LINK_GRACE: Duration = 10 * SECOND
"""Time that a link which nobody needs is kept, so that what it was made for can happen."""

CROWD_GRACE: Duration = 3 * SECOND
"""The same while there are more links than allowed."""

CROWD_FACTOR = 4
"""Times as many links of others as are kept are let in for a moment, since a newcomer needs one to learn of more."""

REFUSED_TIME: Duration = 30 * SECOND
"""Time for which a node that had no room is left alone, shortened or lengthened by half; not by who has no link."""

LINKS_FEW = 3
"""Links up to which any link is wanted."""

VOUCHED_PAUSE: Duration = 4 * SECOND
"""Time between two times that strangers are dialled because a peer is linked with them: six, or one while in doubt."""

BEHIND, AHEAD = 0, 1
"""The two directions of a ring, in the order of `Rings.around`."""

REACH = 8
"""Members in each direction of a ring of which one is wanted: so many crashes in a row are stepped over."""


class Links:
    """The links of one node.

    is_precious: whether a link is used beyond what is decided here. trials: what came of dials.
    """

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
        self.trials = Trials(random)
        self._picked: dict[NodeId, None] = {}
        self._strangers: dict[NodeId, None] = {}
        self._refused: dict[NodeId, Instant] = {}
        self._vouched_at: Instant = 0
        self._is_small = True
        self._counted: list[Peer] = []
        self._outbound = self._inbound = 0
        dialer.is_desired = self.is_desired
        dialer.on_failed = self.failed
        dialer.on_greeted = self.reached

    def is_desired(self, node_id: NodeId) -> bool:
        """Whether this node wants a link with that one."""
        member = self._members.get(node_id)
        if member is None or not member.is_present:
            return False
        outbound, inbound = self._count()
        if outbound + self._dialer.under_way >= self._outbound_room(inbound):
            return False
        if node_id in self._refused and outbound + inbound:
            return False
        return self._is_small or self._is_chosen(node_id) or outbound + inbound < self._few

    def has_room(self, peer: Peer) -> bool:
        """Whether a peer that has dialled this node may introduce itself; who stays is decided later."""
        return peer.is_active or self._count()[1] < CROWD_FACTOR * self._settings.inbound_room

    def is_watched(self, node_id: NodeId) -> bool:
        """Whether that node's silence is noticed soon: of the neighbours, and of the few who were met in a crowd."""
        return node_id in self.neighbours or (self.trials.are_doubted and self._has_met_few)

    def refused(self, node_id: NodeId, now: Instant) -> None:
        """That node has no room for this one, which picks another."""
        self._picked.pop(node_id, None)
        self._refused[node_id] = now + round(REFUSED_TIME * self._random.uniform(0.5, 1.5))
        if len(self._refused) > LINKS_ALL_MAX:
            del self._refused[next(iter(self._refused))]

    def refresh(self, now: Instant) -> None:
        """Follows the member list: asks the dialer for what is missing, and to forget what is not wanted any more."""
        members = self._members
        self._refused = {node_id: until for node_id, until in self._refused.items() if until > now}
        self._is_small = members.population - 1 <= min(LINKS_ALL_MAX, self._settings.links_room)
        self.neighbours = self._around(now)
        if self._is_small:
            self._picked.clear()
            wanted = [member.node_id for member in members.present()]
        elif self._is_tight:
            self._picked = self._beside(now, AHEAD)
            self.neighbours = {**self._picked, **self._beside(now, BEHIND)}
            wanted = list(self._picked)
        else:
            self._pick(now)
            wanted = [*self.neighbours, *self._picked]
        self._strangers = {node_id: None for node_id in wanted if not self._members.is_met(node_id)}
        for node_id in wanted:
            member, peer = members.get(node_id), self._table.get(node_id)
            if member is not None and member.record is not None and (peer is None or not peer.links):
                self._dialer.learn(node_id, member.record, now)
        self._dialer.forget_undesired()

    def failed(self, node_id: NodeId, now: Instant) -> None:
        """A dial of that node failed."""
        member = self._members.get(node_id)
        if member is None or not member.is_present:
            return
        self._picked.pop(node_id, None)
        self.neighbours.pop(node_id, None)
        member.is_vouched = False
        failures = self.trials.failed(node_id, now, is_met=member.is_met)
        if failures >= DIALS_OF_STRANGER_MAX and not member.is_met:
            self._dialer.on_unreachable(node_id, now)

    def reached(self, node_id: NodeId) -> None:
        """That node introduced itself."""
        self.trials.reached(node_id, is_new=self._strangers.pop(node_id, 0) is None)

    def surplus(self, now: Instant) -> list[Peer]:
        """Active peers whose links are to be given up: those that this node made and needs no more, and whoever is
        too many.
        """
        outbound, inbound = self._count()
        room, inbound_room = self._outbound_room(inbound), self._settings.inbound_room
        is_crowded = outbound > room or inbound > inbound_room
        if self._is_small and not is_crowded:
            return []
        old = self._older_than(CROWD_GRACE if is_crowded else LINK_GRACE, now)
        own = [peer for peer in old if peer.is_outbound]
        given_up = [] if self._is_small else [peer for peer in own if not self._is_needed(peer)]
        if outbound + inbound - len(given_up) < self._few:
            given_up = []
        kept = [peer for peer in own if peer not in given_up]
        given_up += self._least(kept, outbound - len(given_up) - room)
        # Who came last goes first, and waits for its time: else a rush of newcomers would push out whoever was there.
        others = [peer for peer in self._table.active() if not peer.is_outbound]
        patient = {peer.node_id for peer in old}
        return given_up + [peer for peer in self._least(others, inbound - inbound_room) if peer.node_id in patient]

    def _least(self, peers: list[Peer], count: int) -> list[Peer]:
        """So many of these peers, those that are worth least."""
        ranked = sorted(peers, key=lambda peer: (*self._worth(peer.node_id), -(peer.connected_at or 0)))
        return ranked[: max(0, count)]

    def _outbound_room(self, inbound: int) -> int:
        """Links that this node may make itself, beside so many that others made."""
        settings = self._settings
        return min(settings.outbound_room, settings.peers_max - min(inbound, settings.inbound_room))

    def _count(self) -> tuple[int, int]:
        """Peers that this node dialled, those that have not introduced themselves yet among them, and active ones that
        dialled it.
        """
        active = self._table.active()
        if active is not self._counted:  # the table makes a new list after every change
            self._outbound = sum(peer.is_outbound for peer in self._table.linked())
            self._inbound = sum(not peer.is_outbound for peer in active)
            self._counted = active
        return self._outbound, self._inbound

    def _older_than(self, grace: Duration, now: Instant) -> list[Peer]:
        return [
            peer for peer in self._table.active() if peer.connected_at is not None and now - peer.connected_at >= grace
        ]

    def _is_chosen(self, node_id: NodeId) -> bool:
        return node_id in self._picked or (node_id in self.neighbours and not self._is_tight)

    @property
    def _is_tight(self) -> bool:
        """Whether not even the neighbours find room, so that their number may not be left to chance."""
        return not self._is_small and self._settings.outbound_room <= RINGS

    @property
    def _few(self) -> int:
        return min(LINKS_FEW, self._settings.outbound_room)

    def _is_needed(self, peer: Peer) -> bool:
        node_id = peer.node_id
        if self._is_chosen(node_id) or (self.is_precious(node_id) and not self._is_tight):
            return True
        # Among a crowd that may be invented, the few who were met are worth more than a place at random.
        return self._has_met_few and self._members.is_met(node_id)

    @property
    def _has_met_few(self) -> bool:
        return len(self._members.met) - 1 <= LINKS_ALL_MAX

    def _worth(self, node_id: NodeId) -> tuple[bool, bool, float]:
        """What a link that somebody else made is worth to this node, which dials its neighbours itself if need be."""
        return node_id in self.neighbours, self.is_precious(node_id), self.rank(node_id)

    def _around(self, now: Instant) -> dict[NodeId, None]:
        """The neighbours on the rings: of those that can be reached the nearest, and the nearest that was met."""
        own, members = self._settings.own_id, self._members
        if members.population <= EVERYBODY_MAX:
            return dict.fromkeys(members.rings.neighbours(own))
        found: dict[NodeId, None] = {}
        if self.trials.are_doubted and len(members.met) <= EVERYBODY_MAX:
            found.update(dict.fromkeys(members.met.neighbours(own)))
        for near, met in zip(members.rings.around(own, REACH), members.met.around(own, REACH), strict=True):
            nearest = self._first(near, now)
            if nearest is not None and (self._members.is_met(nearest) or self._may_try(nearest, now)):
                found[nearest] = None
            if nearest is None or not self._members.is_met(nearest):
                nearest = self._first(met, now)
                found.update({} if nearest is None else {nearest: None})
        return found

    def _beside(self, now: Instant, side: int) -> dict[NodeId, None]:
        """The next nodes on as many rings as there is room for. Who dials those ahead is dialled as often, by those
        behind, and the links of each ring join everybody.
        """
        found: dict[NodeId, None] = {}
        for near in self._members.rings.around(self._settings.own_id, REACH)[side::2][: self._settings.outbound_room]:
            nearest = self._first([node_id for node_id in near if node_id not in found], now)
            found.update({} if nearest is None else {nearest: None})
        return found

    def _first(self, near: list[NodeId], now: Instant) -> NodeId | None:
        """The first of them that can be reached, as far as known."""
        for node_id in near:
            member, peer = self._members.get(node_id), self._table.get(node_id)
            if peer is not None and peer.links:
                return node_id
            if member is not None and member.record is not None and not self.trials.is_passed_over(node_id, now):
                return node_id
        return None

    def _may_try(self, node_id: NodeId, now: Instant) -> bool:
        if node_id in self._strangers:
            return True
        if not self.trials.may_try(now):
            return False
        self._strangers[node_id] = None
        self.trials.tries(now)
        return True

    def _pick(self, now: Instant) -> None:
        for node_id in list(self._picked):
            member = self._members.get(node_id)
            if member is None or not member.is_present or node_id in self.neighbours:
                del self._picked[node_id]
        # Few that showed themselves among a crowd of others: the crowd may be invented, and all of the few are wanted.
        is_doubted, signed = self.trials.are_doubted, self._members.signed
        is_word_enough = not is_doubted or signed <= LINKS_ALL_MAX
        is_crowd_told = signed <= LINKS_ALL_MAX or (is_doubted and self._has_met_few)
        wanted = LINKS_ALL_MAX if is_crowd_told else LINKS_RANDOM
        self._pick_vouched(wanted, now)
        lacking = wanted - len(self._picked)
        if lacking <= 0:
            for node_id in list(self._picked)[lacking:] if lacking else ():
                del self._picked[node_id]
            return
        shown: dict[bytes, list[NodeId]] = {}
        told: dict[bytes, list[NodeId]] = {}
        for member in self._members.present():
            if self._is_free(member, now):
                assert member.record is not None
                free = shown if member.is_met or (member.incarnation and is_word_enough) else told
                free.setdefault(group_of(member.record.host), []).append(member.node_id)
        # Only who runs short of nodes that showed themselves tries what others tell: that may be anybody's invention.
        chosen = self._sample(shown, 2 * lacking)
        if not chosen and self.trials.may_try(now):
            lacking = min(1 if is_doubted else LINKS_RANDOM, max(0, LINKS_RANDOM - len(self._picked)))
            chosen = self._sample(told, 2 * lacking)
            self.trials.tries(now)
        chosen.sort(key=self.rank, reverse=True)
        self._picked.update(dict.fromkeys(chosen[:lacking]))

    def _pick_vouched(self, wanted: int, now: Instant) -> None:
        """Gives free places, and those of picked strangers that are not there yet, to nodes with which a peer says that
        it is linked: they exist, unless the peer lies.
        """
        absent = [node_id for node_id in self._picked if not self._is_there(node_id)]
        room = wanted - len(self._picked) + len(absent)
        if now < self._vouched_at or room <= 0:
            return
        vouched: dict[bytes, list[NodeId]] = {}
        for member in self._members.present():
            if member.is_vouched and not member.is_met and self._is_free(member, now):
                assert member.record is not None
                vouched.setdefault(group_of(member.record.host), []).append(member.node_id)
        chosen = self._sample(vouched, min(room, 1 if self.trials.are_doubted else LINKS_RANDOM))
        if chosen:
            self._vouched_at = now + VOUCHED_PAUSE
            for node_id in absent[: max(0, len(self._picked) + len(chosen) - wanted)]:
                del self._picked[node_id]
            self._picked.update(dict.fromkeys(chosen))

    def _is_there(self, node_id: NodeId) -> bool:
        peer = self._table.get(node_id)
        return self._members.is_met(node_id) or (peer is not None and bool(peer.links))

    def _is_free(self, member: Member, now: Instant) -> bool:
        node_id = member.node_id
        if member.record is None or node_id in self.neighbours or node_id in self._picked or node_id in self._refused:
            return False
        return not self.trials.is_passed_over(node_id, now)

    def _sample(self, free: dict[bytes, list[NodeId]], count: int) -> list[NodeId]:
        """Members at random, each of a group at random: an attacker with few groups is picked seldom, however many."""
        chosen: list[NodeId] = []
        while free and len(chosen) < count:
            group = list(free)[self._random.randrange(0, len(free))]
            members = free[group]
            position = self._random.randrange(0, len(members))
            members[position], members[-1] = members[-1], members[position]
            chosen.append(members.pop())
            if not members:
                del free[group]
        return chosen
