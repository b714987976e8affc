"""Everybody who belongs to the network, as far as this node knows, and who says what against whom (after SWIM).

A member is ALIVE, SUSPECT, DEAD or LEFT, at an incarnation that it alone raises. It dies here by this node's own
evidence, by the word of DEAD_ACCUSERS accusers, or when a suspicion stays unrefuted for SUSPICION_MAX. Whatever others
say, it is suspected first for as long as its own word needs to come by any path that is left, since anybody can make
keys that accuse: so nobody can talk a living node to death. The dead are remembered for DEAD_MEMORY, and GONE_KEPT of
those who were met for ever, so that whoever comes back is found again however long it was away.

Whoever proved its key over a connection with this node is met. Anybody can make keys and sign for them, so members that
were not met make room for those that were, never the other way round, and are kept on rings of all, not of the met.

Knows nothing of links and probes; those who have evidence tell it here. Bounded: the gone that were never met go first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile

from node.peers.records import Record
from node.peers.rings import Rings
from node.types import SECOND, Duration, Instant, NodeId
from node.wire.limits import DEAD_MEMORY, GONE_KEPT, MEMBERS_MAX

__all__ = ["Change", "Member", "MemberState", "Members"]

DEAD_ACCUSERS = 2
ACCUSERS_MAX = 8
SUSPICION_MAX: Duration = 10 * SECOND


class MemberState(StrEnum):
    """What is known of a member. ALIVE and SUSPECT ones take part in everything."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


@dataclass(slots=True)
class Member:
    """One node of the network.

    incarnation: the highest that the node itself told; 0 while it is known by hearsay alone. record: where it can be
    dialled. suspected_by, dead_by: who accuses it at this incarnation. since: when its state last changed.
    is_met: this node had a connection with it, in this life or one before. is_vouched: a peer says that it has one.
    """

    node_id: NodeId
    since: Instant
    state: MemberState = MemberState.ALIVE
    incarnation: int = 0
    record: Record | None = None
    name: str = ""
    is_met: bool = False
    is_vouched: bool = False
    suspected_by: dict[NodeId, None] = field(default_factory=dict)
    dead_by: dict[NodeId, None] = field(default_factory=dict)

    @property
    def is_present(self) -> bool:
        """Whether it takes part."""
        return self.state in (MemberState.ALIVE, MemberState.SUSPECT)


@dataclass(frozen=True, slots=True)
class Change:
    """A member whose state has changed."""

    node_id: NodeId
    state: MemberState
    incarnation: int


class Members:
    """The membership as one node sees it, itself apart.

    digest: exclusive or over the keys of all who take part: equal for nodes that see the same network.
    rings, met: of all who take part, and of those among them that this node met. on_forgotten: told who is no member
    any more. refute_time: of a suspicion before the word of others kills.
    """

    def __init__(self, own: NodeId, refute_time: Duration = 0) -> None:
        self.counts: dict[MemberState, int] = dict.fromkeys(MemberState, 0)
        self.changes: list[Change] = []
        self.rings = Rings(own)
        self.met = Rings(own)
        self.digest = int.from_bytes(own[:8], "big")
        self.on_forgotten: Callable[[NodeId], None] = lambda node_id: None
        self._own = own
        self._refute_time = refute_time
        self._members: dict[NodeId, Member] = {}
        self._unsigned: dict[NodeId, None] = {}
        self._suspects: dict[NodeId, None] = {}
        self._gone: dict[NodeId, None] = {}

    def __len__(self) -> int:
        return len(self._members)

    @property
    def population(self) -> int:
        """Nodes that take part, this one included."""
        return len(self.rings)

    @property
    def signed(self) -> int:
        """Others that take part and said so themselves, so that they are known by more than hearsay."""
        return len(self.rings) - 1 - len(self._unsigned)

    def get(self, node_id: NodeId) -> Member | None:
        """The member with that key."""
        return self._members.get(node_id)

    def is_present(self, node_id: NodeId) -> bool:
        """Whether that node takes part."""
        member = self._members.get(node_id)
        return member is not None and member.is_present

    def is_met(self, node_id: NodeId) -> bool:
        """Whether this node had a connection with that one."""
        member = self._members.get(node_id)
        return member is not None and member.is_met

    def is_confirmed(self, node_id: NodeId) -> bool:
        """Whether that node has shown itself, so that it is known by more than hearsay."""
        member = self._members.get(node_id)
        return member is not None and member.incarnation > 0

    def all(self) -> list[Member]:
        """Every member, in the order in which they became known."""
        return list(self._members.values())

    def present(self) -> list[Member]:
        """The members that take part."""
        return [member for member in self._members.values() if member.is_present]

    def is_suspect(self, node_id: NodeId) -> bool:
        """Whether that node is suspected."""
        return node_id in self._suspects

    def suspects(self) -> list[Member]:
        """The members that are suspected."""
        return [self._members[node_id] for node_id in self._suspects]

    def gone(self) -> list[NodeId]:
        """The members that are dead or left, longest gone first."""
        return list(self._gone)

    # --- good news ----------------------------------------------------------------------------------------------

    def find_room(self) -> bool:
        """Whether there is a place, or somebody who is gone and was never met can give up his."""
        return len(self._members) < MEMBERS_MAX or self._give_up(self._gone)

    def forget(self, node_id: NodeId) -> None:
        """That node is no member any more."""
        member = self._members.get(node_id)
        if member is not None:
            self._forget(member)

    def heard_of(self, record: Record, now: Instant) -> bool:
        """Somebody says that a node exists; that alone revives nobody, and takes nobody's place."""
        member = self._members.get(record.node_id)
        if member is None:
            if not self.find_room():
                return False
            member = self._add(record.node_id, now)
            if member is None:
                return False
            member.record = record
            return True
        if member.record is None or not member.incarnation:
            member.record = record
        return False

    def recall(self, record: Record, now: Instant) -> None:
        """A node that was met in an earlier life of this one."""
        if self.heard_of(record, now):
            self.meet(record.node_id, now)

    def meet(self, node_id: NodeId, now: Instant) -> Member | None:
        """That node, which proved its key over a connection with this one; None if there is no room for it."""
        member = self._members.get(node_id)
        if member is None and (self.find_room() or self._make_room()):
            member = self._add(node_id, now)
        if member is not None and not member.is_met:
            member.is_met = True
            if member.is_present:
                self.met.add(node_id)
        return member

    def present_again(self, node_id: NodeId, incarnation: int, now: Instant) -> bool:
        """The node itself told that incarnation, over its own connection or signed; whether that is news."""
        member = self._members.get(node_id) or self._add(node_id, now)
        if member is None or incarnation <= member.incarnation:
            return False
        member.incarnation = incarnation
        self._unsigned.pop(node_id, None)
        self.shown(member, now)
        return True

    def answered(self, member: Member, now: Instant) -> None:
        """Takes this node's own accusation back: others hear from the member."""
        if member.is_present:
            member.dead_by.clear()
            member.suspected_by.pop(self._own, None)
            if not member.suspected_by:
                self._move(member, MemberState.ALIVE, now)
        else:
            self.shown(member, now)

    def shown(self, member: Member, now: Instant) -> None:
        """The member showed itself to this node, or refuted: no accusation counts any more."""
        member.suspected_by.clear()
        member.dead_by.clear()
        self._move(member, MemberState.ALIVE, now)

    # --- bad news -----------------------------------------------------------------------------------------------

    def suspect(self, node_id: NodeId, accuser: NodeId, incarnation: int, now: Instant) -> bool:
        """A node does not answer that accuser; whether that is news."""
        member = self._members.get(node_id)
        if member is None or not member.is_present or incarnation < member.incarnation:
            return False
        if accuser in member.suspected_by or len(member.suspected_by) >= ACCUSERS_MAX:
            return False
        member.suspected_by[accuser] = None
        self._move(member, MemberState.SUSPECT, now)
        return True

    def accuse(self, node_id: NodeId, accuser: NodeId, incarnation: int, now: Instant) -> bool:
        """That accuser holds a node for dead; whether it is dead here now, and not only once it had time to refute."""
        member = self._members.get(node_id)
        if member is None or not member.is_present or incarnation < member.incarnation:
            return False
        if len(member.dead_by) < ACCUSERS_MAX:
            member.dead_by[accuser] = None
        self._move(member, MemberState.SUSPECT, now)
        if not self._is_condemned(member, now):
            return False
        self._move(member, MemberState.DEAD, now)
        return True

    def _is_condemned(self, member: Member, now: Instant) -> bool:
        if self._own in member.dead_by or now - member.since >= SUSPICION_MAX:
            return True
        return len(member.dead_by) >= DEAD_ACCUSERS and now - member.since >= self._refute_time

    def leave(self, node_id: NodeId, incarnation: int, now: Instant) -> bool:
        """The node itself took leave."""
        member = self._members.get(node_id)
        if member is None or incarnation < member.incarnation or member.state is MemberState.LEFT:
            return False
        member.incarnation = incarnation
        self._move(member, MemberState.LEFT, now)
        return True

    def expire(self, now: Instant) -> None:
        """Gives up suspects that did not refute in time, and forgets the long dead."""
        for member in self.suspects():
            if self._is_condemned(member, now):
                self._move(member, MemberState.DEAD, now)
        overdue = list(takewhile(lambda node_id: now - self._members[node_id].since >= DEAD_MEMORY, self._gone))
        kept = [node_id for node_id in overdue if self._members[node_id].is_met][-GONE_KEPT:]
        for node_id in overdue:
            if node_id not in kept:
                self._forget(self._members[node_id])

    # --- private ------------------------------------------------------------------------------------------------

    def _add(self, node_id: NodeId, now: Instant) -> Member | None:
        if node_id == self._own or not self.find_room():
            return None
        member = self._members[node_id] = Member(node_id, now)
        self.counts[MemberState.ALIVE] += 1
        self._appear(member)
        self.changes.append(Change(node_id, MemberState.ALIVE, 0))
        return member

    def _make_room(self) -> bool:
        if self._give_up(self._members):
            return True
        oldest = next(iter(self._gone), None)
        if oldest is not None:
            self._forget(self._members[oldest])
        return oldest is not None

    def _give_up(self, candidates: Iterable[NodeId]) -> bool:
        """Forgets the first of them that was never met: nobody here knows whether it ever was."""
        stranger = next((node_id for node_id in candidates if not self._members[node_id].is_met), None)
        if stranger is not None:
            self._forget(self._members[stranger])
        return stranger is not None

    def _forget(self, member: Member) -> None:
        if member.is_present:
            self._vanish(member)
        self.counts[member.state] -= 1
        self._suspects.pop(member.node_id, None)
        self._gone.pop(member.node_id, None)
        del self._members[member.node_id]
        self.on_forgotten(member.node_id)

    def _move(self, member: Member, state: MemberState, now: Instant) -> None:
        if member.state is state:
            return
        was_present = member.is_present
        self.counts[member.state] -= 1
        self.counts[state] += 1
        member.state, member.since = state, now
        if was_present != member.is_present:
            (self._appear if member.is_present else self._vanish)(member)
        self._suspects.pop(member.node_id, None)
        self._gone.pop(member.node_id, None)
        if state is MemberState.SUSPECT:
            self._suspects[member.node_id] = None
        elif not member.is_present:
            self._gone[member.node_id] = None
        self.changes.append(Change(member.node_id, state, member.incarnation))

    def _appear(self, member: Member) -> None:
        self.rings.add(member.node_id)
        self.digest ^= int.from_bytes(member.node_id[:8], "big")
        if member.is_met:
            self.met.add(member.node_id)
        if not member.incarnation:
            self._unsigned[member.node_id] = None

    def _vanish(self, member: Member) -> None:
        self.rings.remove(member.node_id)
        self.digest ^= int.from_bytes(member.node_id[:8], "big")
        if member.is_met:
            self.met.remove(member.node_id)
        self._unsigned.pop(member.node_id, None)
