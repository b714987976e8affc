"""Keeps the list of everybody true: what this node says of itself and others, and what it makes of what it is told.

The network is told by signed gossip (`notices`): this node is there, it does not reach somebody, somebody is gone, this
node goes. Two nodes that meet again after either held the other for dead show each other their whole lists; whoever is
present for one and gone for the other is suspected aloud, refutes that with a higher incarnation, and is back
everywhere. So partitions of any length heal, and no word but a node's own raises its incarnation.

    row = [key, host, UDP port, TCP port, incarnation, state]   of a PEER_ANNOUNCEMENT; hearsay

Knows nothing of links. Input are notices, rows and the verdicts of the detector; output are actions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from node.errors import DecodeError
from node.messages.packing import Value, pack
from node.messages.types import MessageType
from node.peers.actions import Action, Changed, Publish
from node.peers.hearsay import Hearsay
from node.peers.members import Change, Member, Members, MemberState
from node.peers.notices import (
    Accused,
    Presence,
    accusation,
    parse_accusation,
    parse_leave,
    parse_presence,
)
from node.peers.records import Record, Row
from node.peers.settings import PeersSettings
from node.peers.stats import PeerStats
from node.types import SECOND, Duration, Instant, NodeId
from node.wire.limits import ACCUSED_PER_MESSAGE_MAX, MEMBERS_MAX, ROWS_PER_MESSAGE_MAX

__all__ = ["Membership"]

CONFIRM_INTERVALS, CONFIRM_INTERVALS_MIN = 4, 1
CONFIRMATIONS = 2
"""Heartbeat intervals that a suspect has to refute, shrinking with each of CONFIRMATIONS others that suspect it too, or
of as many as there are that this node does not suspect itself (as memberlist does in small clusters)."""

MANY = 4
"""Others of whom nobody believes that all are gone at once: a node that hears none of them is itself cut off."""

REFUTE_PERCENT = 75
"""Of an interval that a suspect has to refute whatever others say: less than accusers wait, so that a path that jitters
does not put the end off."""

ACCUSERS_ENOUGH = 3
"""Accusers after which one more adds nothing."""

CHALLENGE_INTERVAL: Duration = 10 * SECOND
"""A node that others hold for gone is asked aloud to show itself at most so often."""

INCARNATION_BELIEVED_MAX = 1 << 42
"""Milliseconds: no wall clock shows a later time before the year 2109, so no honest node began above it."""

STATES = (MemberState.ALIVE, MemberState.SUSPECT, MemberState.DEAD, MemberState.LEFT)
"""The position of a state in this tuple is its number on the wire."""

LINKED = len(STATES)
"""The number of one that is alive and linked with whoever tells of it."""


class Membership:
    """The membership of one node.

    health: see `Detector.health`. is_lively: whether this node hears from that one itself, so that it knows better than
    any accuser. is_linked: whether that one is an active peer. on_change: told of every change of a state. host: of
    this node, as others see it.
    """

    def __init__(self, settings: PeersSettings, actions: deque[Action], stats: PeerStats) -> None:
        self.members = Members(settings.own_id, settings.heartbeat_interval * REFUTE_PERCENT // 100)
        self.hearsay = Hearsay(settings.book_secret)
        self.hearsay.is_signed = self.members.is_confirmed
        self.members.on_forgotten = self.hearsay.remove
        self.incarnation = max(1, settings.hello.epoch)
        self.host = settings.hello.host
        self.health: Callable[[], int] = lambda: 1
        self.is_lively: Callable[[NodeId], bool] = lambda node_id: False
        self.is_linked: Callable[[NodeId], bool] = lambda node_id: False
        self.on_change: Callable[[Change, Instant], None] = lambda change, now: None
        self._settings = settings
        self._actions = actions
        self._stats = stats
        self._is_announced = False
        self._own_suspicions: dict[NodeId, Instant] = {}
        self._challenged_at: dict[NodeId, Instant] = {}

    # --- of this node -------------------------------------------------------------------------------------------

    def learn_host(self, host: str) -> None:
        """A peer says at which address it sees this node; the first word counts, unless one was configured."""
        if not self.host:
            self.host = host

    def announce(self) -> None:
        """Tells everybody that this node is there, once."""
        if not self._is_announced:
            self._is_announced = True
            self._publish_presence()

    def presume(self, others: Iterable[tuple[Record, int, str]], now: Instant) -> None:
        """Begins among these nodes as if all had met: their records, incarnations and names. Nobody is told of it."""
        self._is_announced = True
        for record, incarnation, name in others:
            member = self.members.meet(record.node_id, now)
            if member is not None:
                self.members.present_again(record.node_id, incarnation, now)
                member.record, member.name = record, name
        self._settle(now)

    def leave(self) -> None:
        """Tells everybody that this node goes."""
        self._actions.append(Publish(kind=MessageType.LEAVE, payload=pack([self.incarnation])))

    def own_row(self) -> Value | None:
        """The row of this node; None while it does not know where it is."""
        hello = self._settings.hello
        if not self.host:
            return None
        return [self._settings.own_id, self.host, hello.udp_port, hello.tcp_port, self.incarnation, 0]

    # --- of others, by own evidence -----------------------------------------------------------------------------

    def greeted(self, node_id: NodeId, incarnation: int, record: Record | None, name: str, now: Instant) -> bool:
        """A node introduced itself over its own connection; whether it had been held for gone."""
        members = self.members
        known = members.get(node_id)
        was_gone = known is not None and not known.is_present
        member = members.meet(node_id, now)
        if member is not None:
            members.present_again(node_id, incarnation, now)
            member.record, member.name = record or member.record, name
            members.shown(member, now)
        self._own_suspicions.pop(node_id, None)
        self.hearsay.remove(node_id)
        self._settle(now)
        return was_gone

    def heard(self, node_id: NodeId, now: Instant) -> None:
        """A suspect shows itself to this node, which so knows better than any accuser."""
        member = self.members.get(node_id)
        if member is not None and member.is_present:
            self._stats.false_suspicions += self._own_suspicions.pop(node_id, None) is not None
            self.members.shown(member, now)
            self._settle(now)

    def answered(self, node_id: NodeId, now: Instant) -> None:
        """Others hear from a node that this one suspects."""
        if self._own_suspicions.pop(node_id, None) is None:
            return
        member = self.members.get(node_id)
        if member is not None:
            self._stats.false_suspicions += 1
            self.members.answered(member, now)
            self._settle(now)

    def left(self, node_id: NodeId, now: Instant) -> None:
        """A node took leave over its own connection."""
        member = self.members.get(node_id)
        if member is not None:
            self.members.leave(node_id, member.incarnation, now)
            self._own_suspicions.pop(node_id, None)
            self._settle(now)

    def silent(self, node_id: NodeId, now: Instant) -> None:
        """A node does not answer this one, whatever was tried."""
        member = self.members.get(node_id)
        if member is None or not member.is_present or node_id in self._own_suspicions:
            return
        self._own_suspicions[node_id] = now
        is_needed = len(member.suspected_by) < ACCUSERS_ENOUGH
        self.members.suspect(node_id, self._settings.own_id, member.incarnation, now)
        if is_needed:
            self._accuse(MessageType.SUSPECT, [Accused(node_id, member.incarnation)])
        self._settle(now)

    def unreachable(self, node_id: NodeId, now: Instant) -> None:
        """A node that is known by hearsay alone cannot be dialled: it is gone, as far as this node is concerned."""
        member = self.members.get(node_id)
        if member is not None and not member.incarnation:
            self.members.accuse(node_id, self._settings.own_id, 0, now)
            self._settle(now)

    def doubt_own_suspicions(self, now: Instant) -> None:
        """Whomever this node suspects has, since it heard nobody for a while, all its time to refute from now on."""
        self._own_suspicions = dict.fromkeys(self._own_suspicions, now)

    def is_suspected_here(self, node_id: NodeId) -> bool:
        """Whether this node has accused that one and still waits for it to refute."""
        return node_id in self._own_suspicions

    @property
    def has_accused(self) -> bool:
        """Whether anybody whom this node accused still has time to refute."""
        return bool(self._own_suspicions)

    @property
    def has_many(self) -> bool:
        """Whether there are more others than are gone all at once, as far as can be believed."""
        return self.members.population > MANY

    # --- of others, by their word -------------------------------------------------------------------------------

    def notice(self, kind: int, origin: NodeId, payload: bytes, teller: bytes, now: Instant) -> None:
        """Signed gossip about members, brought by a peer in that group of addresses.

        DecodeError for a payload that no honest node signs.
        """
        match kind:
            case MessageType.MEMBER:
                self._receive_presence(origin, parse_presence(payload), teller, now)
            case MessageType.SUSPECT | MessageType.DEAD:
                for accused in parse_accusation(payload):
                    self._receive_accused(kind, origin, accused, now)
            case MessageType.LEAVE:
                if self.members.leave(origin, parse_leave(payload), now):
                    self._own_suspicions.pop(origin, None)
            case _:
                raise DecodeError("unexpected", f"kind {kind}")
        self._settle(now)

    def rows(self) -> Iterator[list[Value]]:
        """Everybody as rows, this node included, in messages; whoever is linked with this node first."""
        rows: list[Value] = [] if (own := self.own_row()) is None else [own]
        for member in sorted(self.members.all(), key=lambda member: not self.is_linked(member.node_id)):
            if member.record is None:
                continue
            rows.append(self.row_of(member))
            if len(rows) >= ROWS_PER_MESSAGE_MAX:
                yield rows
                rows = []
        if rows:
            yield rows

    def row_of(self, member: Member) -> list[Value]:
        """One member as a row, which needs a record."""
        record = member.record
        assert record is not None
        is_linked = member.state is MemberState.ALIVE and self.is_linked(member.node_id)
        number = LINKED if is_linked else STATES.index(member.state)
        return [member.node_id, record.host, record.udp_port, record.tcp_port, member.incarnation, number]

    def receive_rows(self, teller: bytes, rows: list[Row], now: Instant) -> None:
        """Rows of a peer in that group of addresses."""
        challenged: list[Accused] = []
        for row in rows:
            record = row.record
            state = STATES[row.state] if row.state < len(STATES) else MemberState.ALIVE
            is_gone = state in (MemberState.DEAD, MemberState.LEFT)
            if record.node_id == self._settings.own_id:
                if is_gone or state is MemberState.SUSPECT or row.incarnation > self.incarnation:
                    self._refute(row.incarnation)
                continue
            member = self.members.get(record.node_id)
            if member is None or not member.incarnation:
                self._hear_of(teller, record, is_gone=is_gone, now=now)
                member = self.members.get(record.node_id)
            elif is_gone and member.is_present and self._may_challenge(member, now):
                challenged.append(Accused(record.node_id, member.incarnation))
            if member is not None and row.state == LINKED:
                member.is_vouched = True
        for start in range(0, len(challenged), ACCUSED_PER_MESSAGE_MAX):
            self._accuse(MessageType.SUSPECT, challenged[start : start + ACCUSED_PER_MESSAGE_MAX])
        self._settle(now)

    # --- time ---------------------------------------------------------------------------------------------------

    def tick(self, now: Instant) -> None:
        """Declares dead whoever did not refute in time."""
        for node_id, since in list(self._own_suspicions.items()):
            member = self.members.get(node_id)
            if member is None or not member.is_present:
                del self._own_suspicions[node_id]
            elif now - since >= self._window(member):
                del self._own_suspicions[node_id]
                is_needed = len(member.dead_by) < ACCUSERS_ENOUGH
                self.members.accuse(node_id, self._settings.own_id, member.incarnation, now)
                if is_needed:
                    self._accuse(MessageType.DEAD, [Accused(node_id, member.incarnation)])
        self.members.expire(now)
        self._settle(now)

    def _window(self, member: Member) -> Duration:
        # Nobody of a few can confirm it where nobody is left, or nobody whom this node still hears.
        others = max(0, self.members.population - 1 - len(self._own_suspicions))
        expected = CONFIRMATIONS if self.has_many else min(CONFIRMATIONS, others)
        confirmations = min(max(0, len(member.suspected_by) - 1), expected)
        shrunk = math.log(confirmations + 1) / math.log(expected + 1) if expected else 1.0
        intervals = CONFIRM_INTERVALS - (CONFIRM_INTERVALS - CONFIRM_INTERVALS_MIN) * shrunk
        return round(intervals * self._settings.heartbeat_interval * self.health())

    # --- private ------------------------------------------------------------------------------------------------

    def _receive_presence(self, origin: NodeId, presence: Presence, teller: bytes, now: Instant) -> None:
        known = self.members.get(origin)
        was_suspect = known is not None and known.state is MemberState.SUSPECT
        if origin == self._settings.own_id or (known is not None and presence.incarnation <= known.incarnation):
            return
        # A signature proves a key, and anybody can make keys: until it is met, it has its place among the hearsay.
        if not (known is not None and known.is_met) and not self._admit(origin, teller, is_signed=True):
            return
        self.members.present_again(origin, presence.incarnation, now)
        if was_suspect:
            self._stats.refutations += 1
        self._own_suspicions.pop(origin, None)
        member = self.members.get(origin)
        assert member is not None
        member.name = presence.name
        host = presence.host or (member.record.host if member.record is not None else "")
        if host:
            member.record = Record(origin, host, presence.udp_port, presence.tcp_port)

    def _receive_accused(self, kind: int, accuser: NodeId, accused: Accused, now: Instant) -> None:
        if accused.node_id == self._settings.own_id:
            self._refute(accused.incarnation)
        elif self.is_lively(accused.node_id):
            return
        elif kind == MessageType.SUSPECT:
            self.members.suspect(accused.node_id, accuser, accused.incarnation, now)
        else:
            self.members.accuse(accused.node_id, accuser, accused.incarnation, now)

    def _refute(self, incarnation: int) -> None:
        if incarnation < self.incarnation:
            return
        # An earlier life may have begun later by its clock: nothing that this one says counts until it is above that.
        # Beyond what any clock shows an accuser has made the number up.
        self.incarnation = 1 + (incarnation if incarnation < INCARNATION_BELIEVED_MAX else self.incarnation)
        self._stats.own_refutations += 1
        self._is_announced = True
        self._publish_presence()

    def _hear_of(self, teller: bytes, record: Record, *, is_gone: bool, now: Instant) -> None:
        known = self.members.get(record.node_id)
        if is_gone or (known is not None and (known.is_met or not known.is_present)):
            # Whoever was met in an earlier life is looked for where it was met: nobody else can have it moved.
            return
        if self._admit(record.node_id, teller) and self.members.heard_of(record, now):
            self._stats.addresses_learned += 1

    def _admit(self, node_id: NodeId, teller: bytes, *, is_signed: bool = False) -> bool:
        """Whether there is room among the hearsay for a node of which a peer in the group `teller` tells."""
        is_known = self.members.get(node_id) is not None
        has_room = is_known or self.members.find_room()
        admission = self.hearsay.admit(node_id, teller, has_room=has_room, is_signed=is_signed)
        if admission.displaced is not None:
            self.members.forget(admission.displaced)
        self._stats.addresses_refused += not admission.is_admitted
        return admission.is_admitted

    def _may_challenge(self, member: Member, now: Instant) -> bool:
        asked_at = self._challenged_at.pop(member.node_id, None)
        if asked_at is not None and now - asked_at < CHALLENGE_INTERVAL:
            self._challenged_at[member.node_id] = asked_at
            return False
        self._challenged_at[member.node_id] = now
        if len(self._challenged_at) > MEMBERS_MAX:
            del self._challenged_at[next(iter(self._challenged_at))]
        return True

    def _accuse(self, kind: MessageType, accused: list[Accused]) -> None:
        self._stats.accusations += len(accused)
        self._actions.append(Publish(kind=kind, payload=accusation(accused)))

    def _publish_presence(self) -> None:
        hello = self._settings.hello
        if not (hello.udp_port or hello.tcp_port):
            return
        presence = Presence(
            incarnation=self.incarnation,
            host=self.host,
            udp_port=hello.udp_port,
            tcp_port=hello.tcp_port,
            name=hello.name,
        )
        self._actions.append(Publish(kind=MessageType.MEMBER, payload=presence.packed()))

    def _settle(self, now: Instant) -> None:
        """Reports what has changed."""
        changes, self.members.changes = self.members.changes, []
        for change in changes:
            if change.state in (MemberState.DEAD, MemberState.LEFT):
                self.hearsay.remove(change.node_id)
            self.on_change(change, now)
            self._stats.deaths += change.state is MemberState.DEAD
            self._actions.append(Changed(node_id=change.node_id, state=change.state, incarnation=change.incarnation))
        self._stats.members = {state.value: count for state, count in self.members.counts.items()}
