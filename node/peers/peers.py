"""Keeps a node connected: introductions, the list of members, links, heartbeats.

A connection that the transport reports is authenticated but nameless; both ends introduce themselves over it
(HANDSHAKE by the one that dialled, HANDSHAKE_ACK in answer), and from then on the peer is active. Who belongs to the
network is the list of `membership`, whom to be linked with is decided by `links` and carried out by `dialer`, and who
does not answer is found out by `detector`; this service joins them.

Knows nothing of endpoints and sockets. Input comes from the node machine: what happened to connections, frames of the
six kinds that belong here, and signed gossip about members; output are actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from node.errors import Code, DecodeError
from node.messages.packing import Value
from node.messages.types import MessageType
from node.peers.actions import Action, Blamed, Down, Drop, Link, Report, Restarted, Say, Up
from node.peers.book import Book
from node.peers.dialer import Dialer
from node.peers.groups import group_of
from node.peers.hello import Hello, is_reachable_host, parse_hello
from node.peers.links import Links
from node.peers.members import Change, MemberState
from node.peers.membership import Membership
from node.peers.records import Record, parse_rows
from node.peers.rivals import Rivals
from node.peers.settings import PeersSettings
from node.peers.stats import PeerStats
from node.peers.table import LinkState, Peer, PeerState, PeerTable
from node.peers.targets import TargetKey
from node.peers.watch import Watch
from node.transport.events import Closed, Connected
from node.types import (
    MILLISECOND,
    SECOND,
    Address,
    Duration,
    Instant,
    NodeId,
    Random,
    earlier,
    format_address,
    short_id,
)
from node.wire.limits import LINKS_ALL_MAX, SUCCESSOR_TIME, VIOLATIONS_MAX

__all__ = ["Peers"]

DISCOVERY_FAST: Duration = 1 * SECOND
DISCOVERY_SLOW: Duration = 10 * SECOND
DISCOVERY_FAST_TIME: Duration = 5 * SECOND
"""Time between two comparisons of the list of members with a peer: soon after a change of a short list, or not."""

ANSWER_INTERVAL: Duration = 100 * MILLISECOND
"""A peer that asks for members more often than this is not answered."""

QUESTIONS_AT_START = 2
"""Peers that are asked for members as soon as they are linked."""

HEAL_INTERVAL: Duration = 2 * SECOND
"""Time between two dials of somebody who is gone, shortened or lengthened by half: partitions of any length heal."""

REFRESH_DELAY: Duration = 20 * MILLISECOND
"""Changes of the list of members are gathered for so long before links follow."""

REFRESH_INTERVAL: Duration = 1 * SECOND
"""Links are looked after this often without any change: some were lost, some refused."""

DIGEST_BYTES = 8

_DOUBTED = (Code.CONNECTION_LOST, Code.RETRIES_EXHAUSTED, Code.IDLE_TIMEOUT)
"""Ends of connections that speak against the other end."""


class Peers:
    """The peer service of one node. After each call, drain `poll_action`."""

    def __init__(self, settings: PeersSettings, *, random: Random) -> None:
        self.stats = PeerStats()
        self.table = PeerTable()
        self._settings = settings
        self._random = random
        self._actions: deque[Action] = deque()
        self._dialer = Dialer(settings, self.table, self._actions, self.stats, random=random)
        self.membership = Membership(settings, self._actions, self.stats)
        self.members = self.membership.members
        self.watch = Watch(settings, self.table, self.membership, self._actions, self.stats, random=random)
        self.book = Book(settings, self.table, self.members, self._dialer)
        self.links = Links(settings, self.members, self.table, self._dialer, random=random)
        self._is_running = False
        self._now: Instant = 0
        self._tick_at: Instant | None = None
        self._refresh_at: Instant | None = None
        self._discover_at: Instant = 0
        self._heal_at: Instant = 0
        self._changed_at: Instant = 0
        self._questions_left = QUESTIONS_AT_START
        self._rivals = Rivals()
        self.membership.on_change = self._on_change
        self.membership.is_lively = lambda node_id: self.watch.is_lively(node_id, self._now)
        self.membership.is_linked = self.table.is_active
        self._dialer.is_present = self.members.is_present
        self._dialer.is_confirmed = self.members.is_confirmed
        self._dialer.on_unreachable = self.membership.unreachable

    # --- commands -----------------------------------------------------------------------------------------------

    def start(self, now: Instant) -> None:
        """Begins to dial and to watch."""
        self._is_running = True
        self._now = self._changed_at = now
        self._heal_at = now + HEAL_INTERVAL
        for address in self._settings.bootstrap:
            self._dialer.add_bootstrap(address, now)
        self._tick_at = self.watch.detector.next_tick(now, 1.0)
        self._plan()

    def stop(self) -> None:
        """Takes leave of every active peer and begins nothing more."""
        self.membership.leave()
        for peer in self.table.active():
            self._say(peer, MessageType.DISCONNECT)
        self._is_running = False
        self._tick_at = self._refresh_at = None
        self._dialer.stop()

    def add_bootstrap(self, address: Address, now: Instant) -> None:
        """Dials that address now, and for ever again whenever nobody from there is connected."""
        self._dialer.add_bootstrap(address, now)
        self._plan()

    def connect(self, address: Address, now: Instant) -> NodeId | None:
        """The active peer at that address; None if it is dialled now, and then one outcome follows as an action."""
        peer = self.table.at(address)
        if peer is not None and peer.is_active:
            return peer.node_id
        self._dialer.connect(address, now)
        self._plan()
        return None

    def mark_slow(self, node_id: NodeId) -> None:
        """The application found that peer slow; a few signs of life in a row end it."""
        peer = self.table.get(node_id)
        if peer is not None:
            self.watch.detector.mark_slow(peer)

    def mark_down(self, node_id: NodeId, reason: str) -> None:
        """The application gives that peer up: its connections are closed, and it is dialled anew."""
        peer = self.table.get(node_id)
        if peer is not None:
            self._drop_all(peer, Code.APPLICATION, reason)

    def expel(self, node_id: NodeId, reason: str) -> bool:
        """That node broke the rules: its connections are closed. Whether it is a peer at all."""
        peer = self.table.get(node_id)
        if peer is not None:
            self._drop_all(peer, Code.PROTOCOL_VIOLATION, reason)
        return peer is not None

    def shun(self, is_shunned: Callable[[NodeId], bool]) -> None:
        """From now on, nodes of which that is true are not dialled, unless a person asks for it."""
        self._dialer.is_shunned = is_shunned

    def blame(self, node_id: NodeId, reason: str) -> None:
        """That peer sent what no honest peer sends; too much of it ends its connections."""
        peer = self.table.get(node_id)
        if peer is None:
            return
        self._actions.append(Blamed(peer=node_id, reason=reason))
        peer.violations += 1
        if peer.violations == VIOLATIONS_MAX:
            where = f"{short_id(node_id)} at {format_address(peer.address)}"
            text = f"peer {where} sent {VIOLATIONS_MAX} invalid messages, the last one {reason}"
            self._actions.append(Report(kind="misbehaving_peer", text=text))
            self._drop_all(peer, Code.PROTOCOL_VIOLATION, "too many invalid messages")

    # --- what happened ------------------------------------------------------------------------------------------

    def dialling(self, key: TargetKey, connection: int) -> None:
        """A dial that was asked for is under way."""
        self._dialer.dialling(key, connection)
        self._plan()

    def dial_refused(self, key: TargetKey, reason: str, now: Instant) -> None:
        """A dial that was asked for could not begin."""
        self._dialer.refused(key, reason, now)
        self._plan()

    def connected(self, link: Link, event: Connected, now: Instant) -> None:
        """A connection is established and the peer's key proved."""
        peer = self.table.add(event.peer_id)
        if peer is None:
            self._actions.append(Drop(link=link, code=Code.CONNECTION_LIMIT, reason="no room for another peer"))
            return
        peer.ended = None
        if not peer.is_active and not peer.links:
            peer.has_left = False
            peer.violations = 0
            peer.heard_at = now
            peer.state = PeerState.CONNECTING
        peer.links[link] = LinkState(event.address, event.is_initiator, now)
        self.table.touch(peer)
        self._dialer.connected(link, peer)
        if event.is_initiator:
            self._introduce(peer, MessageType.HANDSHAKE, link)
        self._plan()

    def closed(self, link: Link, event: Closed, now: Instant) -> None:
        """A connection ended, or never came to be."""
        self._now = now
        if event.code is Code.CONNECTION_LIMIT and event.by_peer and event.peer_id is not None:
            self.links.refused(event.peer_id, now)
        self._dialer.closed(link, event, now)
        peer = self.table.get(event.peer_id) if event.peer_id is not None else None
        if peer is not None and peer.links.pop(link, None) is not None:
            self.table.touch(peer)
            event = peer.end_of(event, now)
            if not peer.links and peer.is_active and event.code is Code.REPLACED:
                # The peer chose another connection, which is not established at this end yet.
                peer.ended, peer.ended_at = event, now
                self._dialer.postpone(peer, now + SUCCESSOR_TIME)
            elif not peer.links and peer.is_active and event.code is Code.PEER_RESTARTED:
                # Its new process is there already: what is under way waits for the connection with that.
                peer.ended, peer.ended_at = event, now
                self._dialer.lost(peer, event, now, was_active=True)
            elif not peer.links:
                self._lose(peer, event, now)
        self._plan()

    def heard(self, node_id: NodeId, now: Instant) -> None:
        """Anything authenticated came from that peer."""
        peer = self.table.get(node_id)
        if peer is not None:
            self._now = now
            self.watch.heard(peer, now)

    def receive(self, link: Link, node_id: NodeId, kind: MessageType, fields: list[Value], now: Instant) -> None:
        """A frame from that peer; never raises for any fields."""
        peer = self.table.get(node_id)
        if peer is None or link not in peer.links or not self._is_running:
            self.stats.rejected["unexpected"] += 1
            return
        try:
            self._receive(peer, link, kind, fields, now)
        except DecodeError as error:
            self.stats.rejected[error.reason] += 1
            if error.reason != "unexpected":
                self.blame(node_id, error.reason)

    def notice(self, kind: int, origin: NodeId, payload: bytes, via: NodeId, now: Instant) -> None:
        """Signed gossip about members, with its author and the peer that brought it; never raises."""
        self._now = now
        try:
            self.membership.notice(kind, origin, payload, group_of(self.table.host_of(via)), now)
        except DecodeError as error:
            # It was the author who signed it, and nobody who passed it on.
            self.stats.rejected[error.reason] += 1

    def visit(self, node_id: NodeId, now: Instant) -> None:
        """Links with a member for a while, if it is not linked."""
        member, peer = self.members.get(node_id), self.table.get(node_id)
        if member is not None and member.record is not None and (peer is None or not peer.links):
            self._dialer.try_once(node_id, member.record, now)
            self._plan()

    def handle_timeout(self, now: Instant) -> None:
        """Heartbeats, questions and dials that are due."""
        self._now = now
        if self._tick_at is not None and self._tick_at <= now:
            is_calm = self._tick(now)
            self._tick_at = self.watch.detector.next_tick(now, self._random.uniform(0.9, 1.1), is_calm=is_calm)
        if self._refresh_at is not None and self._refresh_at <= now:
            self._refresh_at = now + REFRESH_INTERVAL
            self.links.refresh(now)
            for peer in self.links.surplus(now):
                self._drop_all(peer, Code.CONNECTION_LIMIT, "this link is not needed")
        if self._dialer.dial_at is not None and self._dialer.dial_at <= now:
            self._dialer.run(now)
        self._plan()

    # --- outputs ------------------------------------------------------------------------------------------------

    def poll_action(self) -> Action | None:
        """The next thing to do, oldest first."""
        return self._actions.popleft() if self._actions else None

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` is due."""
        return earlier(earlier(self._tick_at, self._dialer.dial_at), self._refresh_at)

    # --- frames -------------------------------------------------------------------------------------------------

    def _receive(self, peer: Peer, link: Link, kind: MessageType, fields: list[Value], now: Instant) -> None:
        match kind:
            case MessageType.HANDSHAKE | MessageType.HANDSHAKE_ACK:
                self._receive_hello(peer, link, kind, parse_hello(fields), now)
            case MessageType.HEARTBEAT:
                self.watch.receive(peer, fields, now)
            case MessageType.PEER_DISCOVERY:
                self._receive_discovery(peer, fields, now)
            case MessageType.PEER_ANNOUNCEMENT:
                teller = group_of(peer.links[link].address[0])
                self.membership.receive_rows(teller, parse_rows(fields), now)
            case MessageType.DISCONNECT:
                peer.has_left = True
                self.membership.left(peer.node_id, now)
                self._drop_all(peer, Code.OK, "the peer took leave")
            case _:
                raise DecodeError("unexpected", kind.name)

    def _receive_hello(self, peer: Peer, link: Link, kind: MessageType, hello: Hello, now: Instant) -> None:
        state = peer.links[link]
        if state.is_initiator != (kind is MessageType.HANDSHAKE_ACK) or state.is_greeted or state.is_refused:
            raise DecodeError("unexpected", kind.name)
        if not state.is_initiator and not self.links.has_room(peer):
            # It is told of others where it can look for room, and sent away a moment later.
            state.is_refused = True
            self._say(peer, MessageType.PEER_ANNOUNCEMENT, next(self.membership.rows(), []))
            return
        state.is_greeted, state.epoch = True, hello.epoch
        self._drop_earlier_lives(peer, hello.epoch)
        if kind is MessageType.HANDSHAKE:
            self._introduce(peer, MessageType.HANDSHAKE_ACK, link)
        peer.name, peer.epoch = hello.name, hello.epoch
        if hello.udp_port or hello.tcp_port:
            host = hello.host or state.address[0]
            peer.record = Record(peer.node_id, host, hello.udp_port, hello.tcp_port)
        if state.is_initiator:
            peer.add_alias(state.address)
        self.table.touch(peer)
        self.membership.learn_host(hello.seen_host)
        if not peer.is_active:
            self._rise(peer, hello, now)
        self.book.met(peer, state.address[0], now)
        self._dialer.greeted(peer, now)
        self._plan()

    def _meet(self, peer: Peer, hello: Hello, now: Instant) -> None:
        """Compares what either thinks of the other and of everybody."""
        member = self.members.get(peer.node_id)
        is_gone = member is not None and not member.is_present
        if member is not None and member.record is not None and hello.incarnation < member.incarnation + is_gone:
            # It learns that it is held for gone, or that an earlier life counts for more, and refutes that everywhere.
            self._say(peer, MessageType.PEER_ANNOUNCEMENT, [self.membership.row_of(member)])
        self.membership.greeted(peer.node_id, hello.incarnation, peer.record, hello.name, now)
        self.membership.announce()
        if is_gone:
            self._show_members(peer)
        if is_gone or self._questions_left:
            self._questions_left = max(0, self._questions_left - 1)
            self._ask_members(peer)

    def _receive_discovery(self, peer: Peer, fields: list[Value], now: Instant) -> None:
        match fields:
            case [bytes(digest), *_] if len(digest) == DIGEST_BYTES:
                pass
            case _:
                raise DecodeError("malformed", "a question for members carries a digest")
        if peer.asked_at is not None and now - peer.asked_at < ANSWER_INTERVAL:
            raise DecodeError("unexpected", "questions too close together")
        peer.asked_at = now
        if int.from_bytes(digest, "big") != self.members.digest:
            self._show_members(peer)

    # --- rise and fall ------------------------------------------------------------------------------------------

    def _rise(self, peer: Peer, hello: Hello, now: Instant) -> None:
        peer.state = PeerState.UP
        peer.is_met = True
        peer.source = None
        peer.connected_at = now
        peer.heard_at, peer.probed_at, peer.let_go_at = now, None, None
        self.table.touch(peer)
        self.watch.linked(peer.node_id)
        self.stats.peers_up += 1
        node_id, name, aliases = peer.node_id, peer.name, tuple(peer.aliases)
        self._actions.append(
            Up(peer=node_id, is_outbound=peer.is_outbound, name=name, address=peer.address, aliases=aliases)
        )
        self._meet(peer, hello, now)

    def _lose(self, peer: Peer, event: Closed, now: Instant) -> None:
        was_active = peer.is_active
        peer.ended = None
        peer.state = PeerState.DOWN if peer.is_met else PeerState.CONNECTING
        peer.connected_at = None
        peer.down_at = now
        self.table.touch(peer)
        if was_active and not peer.has_left and event.code in _DOUBTED:
            self.watch.broken(peer.node_id, now)
        if was_active:
            self.stats.peers_down += 1
            reason = "left" if peer.has_left else event.code.name.lower()
            self._actions.append(Down(peer=peer.node_id, name=peer.name, address=peer.address, reason=reason))
        elif not peer.is_met and self.members.get(peer.node_id) is None:
            self.table.remove(peer.node_id)
        if self._is_running:
            self._dialer.lost(peer, event, now, was_active=was_active)

    def _miss_successor(self, peer: Peer, ended: Closed, now: Instant) -> None:
        self._lose(peer, ended, now)
        if ended.code is Code.REPLACED:
            report = self._rivals.usurped(now, is_late=self.watch.detector.health > 1)
            self._actions.extend([] if report is None else [report])

    def _drop_all(self, peer: Peer, code: Code, reason: str) -> None:
        for link in peer.links:
            self._actions.append(Drop(link=link, code=code, reason=reason))

    def _drop_earlier_lives(self, peer: Peer, epoch: int) -> None:
        for link, state in peer.links.items():
            if state.is_greeted and state.epoch < epoch:
                self._actions.append(Drop(link=link, code=Code.REPLACED, reason="the peer was started again"))
        if peer.is_active and peer.epoch != epoch:
            self._actions.append(Restarted(peer=peer.node_id, is_outbound=peer.is_outbound))

    # --- time ---------------------------------------------------------------------------------------------------

    def _tick(self, now: Instant) -> bool:
        """Whether nothing but silence has to be noticed next, and no connection is waited for."""
        neighbours: list[Peer] = []
        others: list[Peer] = []
        for peer in self.table.active():
            if peer.links:
                (neighbours if self.links.is_watched(peer.node_id) else others).append(peer)
        is_calm = self.watch.tick(neighbours, others, now)
        for peer in self.table.linked():
            is_calm = is_calm and peer.ended is None
            if peer.ended is not None and now - peer.ended_at >= SUCCESSOR_TIME:
                self._miss_successor(peer, peer.ended, now)
        for link, code, reason in self.table.overdue(now):
            self._actions.append(Drop(link=link, code=code, reason=reason))
        self.book.tick(now)
        if now >= self._discover_at:
            self._discover(now)
        if now >= self._heal_at:
            self._heal(now)
        return is_calm

    def _discover(self, now: Instant) -> None:
        is_fresh = now - self._changed_at < DISCOVERY_FAST_TIME and self.members.population <= LINKS_ALL_MAX
        pause = DISCOVERY_FAST if is_fresh else DISCOVERY_SLOW
        self._discover_at = now + round(pause * self._random.uniform(0.9, 1.1))
        active = self.table.active()
        if active:
            self._ask_members(active[self._random.randrange(0, len(active))])

    def _heal(self, now: Instant) -> None:
        """Dials somebody who is gone: a partition is over for everybody as soon as one dial succeeds."""
        self._heal_at = now + round(HEAL_INTERVAL * self._random.uniform(0.5, 1.5))
        gone = self.members.gone()
        gone = [node_id for node_id in gone if self.members.is_met(node_id)] or gone
        if gone:
            member = self.members.get(gone[self._random.randrange(0, len(gone))])
            if member is not None and member.record is not None:
                self._dialer.try_once(member.node_id, member.record, now)

    def _on_change(self, change: Change, now: Instant) -> None:
        """A member is in another state."""
        self._changed_at = now
        if self._is_running:
            self._refresh_at = min(self._refresh_at or now + REFRESH_DELAY, now + REFRESH_DELAY)
        member, peer = self.members.get(change.node_id), self.table.add(change.node_id)
        if member is None or peer is None:
            return
        if not peer.links and member.record is not None and peer.record != member.record:
            peer.record, peer.name = member.record, member.name
            self.table.forget_addresses()
        if change.state is MemberState.DEAD and peer.links:
            self.stats.losses += 1
            self._drop_all(peer, Code.IDLE_TIMEOUT, "no sign of life")

    def _plan(self) -> None:
        if self._is_running:
            self._dialer.plan()

    # --- saying -------------------------------------------------------------------------------------------------

    def _introduce(self, peer: Peer, kind: MessageType, link: Link) -> None:
        seen_host = peer.links[link].address[0]
        hello = replace(
            self._settings.hello,
            incarnation=self.membership.incarnation,
            seen_host=seen_host if is_reachable_host(seen_host) else "",
        )
        self._actions.append(Say(peer=peer.node_id, kind=kind, fields=tuple(hello.fields()), link=link))

    def _ask_members(self, peer: Peer) -> None:
        self._say(peer, MessageType.PEER_DISCOVERY, self.members.digest.to_bytes(DIGEST_BYTES, "big"))

    def _show_members(self, peer: Peer) -> None:
        for rows in self.membership.rows():
            self._say(peer, MessageType.PEER_ANNOUNCEMENT, rows)

    def _say(self, peer: Peer, kind: MessageType, *fields: Value) -> None:
        self._actions.append(Say(peer=peer.node_id, kind=kind, fields=fields))
