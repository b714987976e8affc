"""Keeps a node connected: introductions, address exchange, dialling, heartbeats.

A connection that the transport reports is authenticated but nameless; both ends introduce themselves over it
(HANDSHAKE by the one that dialled, HANDSHAKE_ACK in answer), and from then on the peer is active. Active peers tell
each other of active peers, so that everybody learns of and dials everybody, and each is watched by heartbeats.

Knows nothing of endpoints and sockets. Input comes from the node machine: what happened to connections, and frames of
the six kinds that belong here; output are actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from node.errors import Code, DecodeError
from node.messages.packing import Value
from node.messages.types import MessageType
from node.peers.actions import Action, Blamed, Down, Drop, Heard, Link, Report, Say, Up
from node.peers.book import anchors_of, known_rows, parse_anchors, parse_known
from node.peers.dialer import Dialer
from node.peers.hello import Hello, parse_hello
from node.peers.liveness import Liveness
from node.peers.records import Record, parse_records
from node.peers.settings import PeersSettings
from node.peers.stats import PeerStats
from node.peers.table import LinkState, Peer, PeerState, PeerTable
from node.peers.targets import TargetKey
from node.transport.events import Closed, Connected
from node.types import MILLISECOND, SECOND, Address, Duration, Instant, NodeId, Random, format_address, short_id
from node.wire.limits import (
    ANCHORS_ALONE,
    DEAD_MEMORY,
    HELLO_TIMEOUT,
    RECORDS_PER_MESSAGE_MAX,
    RECORDS_PER_SOURCE_MAX,
    SUCCESSOR_TIME,
    USURPATION_TIME,
    USURPATIONS_MAX,
    VIOLATIONS_MAX,
)

__all__ = ["Peers"]

DISCOVERY_FAST: Duration = 1 * SECOND
DISCOVERY_SLOW: Duration = 10 * SECOND
DISCOVERY_FAST_TIME: Duration = 5 * SECOND
"""Time between two questions for addresses: shortly after something new was learned, and otherwise."""

ANSWER_INTERVAL: Duration = 100 * MILLISECOND
"""A peer that asks for addresses more often than this is not answered."""


class Peers:
    """The peer service of one node. After each call, drain `poll_action`."""

    def __init__(self, settings: PeersSettings, *, random: Random) -> None:
        self.stats = PeerStats()
        self.table = PeerTable()
        self.digest: Callable[[], bytes] = bytes
        self._settings = settings
        self._random = random
        self._actions: deque[Action] = deque()
        self._dialer = Dialer(settings, self.table, self._actions, self.stats, random=random)
        self._liveness = Liveness(settings.heartbeat_interval, self.stats)
        self._is_running = False
        self._tick_at: Instant | None = None
        self._discover_at: Instant = 0
        self._learned_at: Instant = 0
        self._heartbeat_sequence = 0
        self._usurped_at: deque[Instant] = deque(maxlen=USURPATIONS_MAX)

    # --- commands -----------------------------------------------------------------------------------------------

    def start(self, now: Instant) -> None:
        """Begins to dial and to watch."""
        self._is_running = True
        self._learned_at = now
        for address in self._settings.bootstrap:
            self._dialer.add_bootstrap(address, now)
        self._tick_at = self._next_tick(now)
        self._plan()

    def stop(self) -> None:
        """Takes leave of every active peer and begins nothing more."""
        for peer in self.table.active():
            self._say(peer, MessageType.DISCONNECT)
        self._is_running = False
        self._tick_at = None
        self._dialer.stop()

    def add_bootstrap(self, address: Address, now: Instant) -> None:
        """Dials that address now, and for ever again whenever nobody from there is connected."""
        self._dialer.add_bootstrap(address, now)
        self._plan()

    def snapshot(self, wall_offset: Duration) -> dict[str, list[Value]]:
        """The address book as plain data: `known` nodes and `anchors`. wall_offset: wall clock minus that of `now`."""
        return {"known": known_rows(self.table, wall_offset), "anchors": anchors_of(self.table)}

    def restore(self, known: list[Value], anchors: Value, now: Instant, wall_offset: Duration) -> int:
        """Takes up the address book of an earlier life, to dial the anchors first; the number of useless rows.

        Nodes that were not heard for DEAD_MEMORY are forgotten.
        """
        useless, first = 0, []
        try:
            first = parse_anchors(anchors)
        except DecodeError:
            useless += 1
        for row in known:
            try:
                record, name, heard_at = parse_known(row)
            except DecodeError:
                useless += 1
                continue
            last = min(heard_at - wall_offset, now)
            if now - last <= DEAD_MEMORY and record.node_id != self._settings.own_id:
                self._remember(record, name, last, now if record.node_id in first else now + ANCHORS_ALONE)
        return useless

    def _remember(self, record: Record, name: str, heard_at: Instant, dial_at: Instant) -> None:
        peer = self.table.add(record.node_id)
        if peer is None or peer.links or peer.is_met:
            return
        peer.record, peer.name, peer.is_met = record, name, True
        peer.state, peer.heard_at, peer.down_at = PeerState.DOWN, heard_at, heard_at
        self.table.touch()
        self._dialer.learn(record.node_id, record, dial_at)

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
            self._liveness.mark_slow(peer)

    def mark_down(self, node_id: NodeId, reason: str) -> None:
        """The application gives that peer up: its connections are closed, and it is dialled anew."""
        peer = self.table.get(node_id)
        if peer is not None:
            self._drop_all(peer, Code.APPLICATION, reason)

    def expel(self, node_id: NodeId, reason: str) -> None:
        """That peer broke the rules: its connections are closed."""
        peer = self.table.get(node_id)
        if peer is not None:
            self._drop_all(peer, Code.PROTOCOL_VIOLATION, reason)

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
        self.table.touch()
        self._dialer.connected(link, peer)
        if event.is_initiator:
            self._introduce(peer, MessageType.HANDSHAKE, link)
        self._plan()

    def closed(self, link: Link, event: Closed, now: Instant) -> None:
        """A connection ended, or never came to be."""
        self._dialer.closed(link, event, now)
        peer = self.table.get(event.peer_id) if event.peer_id is not None else None
        if peer is not None and peer.links.pop(link, None) is not None:
            self.table.touch()
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
            self._liveness.heard(peer, now)

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

    def handle_timeout(self, now: Instant) -> None:
        """Heartbeats, questions and dials that are due."""
        if self._tick_at is not None and self._tick_at <= now:
            self._tick(now)
            self._tick_at = self._next_tick(now)
        if self._dialer.dial_at is not None and self._dialer.dial_at <= now:
            self._dialer.run(now)
        self._plan()

    # --- outputs ------------------------------------------------------------------------------------------------

    def poll_action(self) -> Action | None:
        """The next thing to do, oldest first."""
        return self._actions.popleft() if self._actions else None

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` is due."""
        if self._tick_at is None or self._dialer.dial_at is None:
            return self._tick_at
        return min(self._tick_at, self._dialer.dial_at)

    # --- frames -------------------------------------------------------------------------------------------------

    def _receive(self, peer: Peer, link: Link, kind: MessageType, fields: list[Value], now: Instant) -> None:
        match kind:
            case MessageType.HANDSHAKE | MessageType.HANDSHAKE_ACK:
                self._receive_hello(peer, link, kind, parse_hello(fields), now)
            case MessageType.HEARTBEAT:
                self._receive_heartbeat(peer, fields)
            case MessageType.PEER_DISCOVERY:
                self._receive_discovery(peer, now)
            case MessageType.PEER_ANNOUNCEMENT:
                for record in parse_records(fields):
                    self._learn(record, peer, now)
                self._plan()
            case MessageType.DISCONNECT:
                peer.has_left = True
                self._drop_all(peer, Code.OK, "the peer took leave")
            case _:
                raise DecodeError("unexpected", kind.name)

    def _receive_hello(self, peer: Peer, link: Link, kind: MessageType, hello: Hello, now: Instant) -> None:
        state = peer.links[link]
        if state.is_initiator != (kind is MessageType.HANDSHAKE_ACK) or state.is_greeted:
            raise DecodeError("unexpected", kind.name)
        state.is_greeted, state.epoch = True, hello.epoch
        self._drop_earlier_lives(peer, hello.epoch)
        if kind is MessageType.HANDSHAKE:
            self._introduce(peer, MessageType.HANDSHAKE_ACK, link)
        is_newcomer = peer.source is None and not peer.is_met
        peer.name, peer.epoch = hello.name, hello.epoch
        if hello.udp_port or hello.tcp_port:
            host = hello.host or state.address[0]
            peer.record = Record(peer.node_id, host, hello.udp_port, hello.tcp_port)
        if state.is_initiator:
            peer.add_alias(state.address)
        self.table.touch()
        if not peer.is_active:
            self._rise(peer, now)
            self._say(peer, MessageType.PEER_DISCOVERY, RECORDS_PER_MESSAGE_MAX)
            if is_newcomer:
                self._announce(peer)
        self._dialer.greeted(peer, now)
        self._plan()

    def _receive_heartbeat(self, peer: Peer, fields: list[Value]) -> None:
        match fields:
            case [int(sequence), bool(wants_answer), *rest]:
                if rest and isinstance(rest[0], bytes):
                    self._actions.append(Heard(peer=peer.node_id, digest=rest[0]))
                self.stats.heartbeats_received += 1
                peer.heartbeats_received += 1
                if wants_answer:
                    self._heartbeat(peer, sequence, wants_answer=False)
            case _:
                raise DecodeError("malformed", "a heartbeat of another shape")

    def _receive_discovery(self, peer: Peer, now: Instant) -> None:
        if peer.asked_at is not None and now - peer.asked_at < ANSWER_INTERVAL:
            raise DecodeError("unexpected", "questions too close together")
        peer.asked_at = now
        records = [other.record.fields() for other in self._others(peer) if other.record is not None]
        if records:
            self._say(peer, MessageType.PEER_ANNOUNCEMENT, records)

    def _learn(self, record: Record, source: Peer, now: Instant) -> None:
        if record.node_id == self._settings.own_id:
            return
        peer = self.table.get(record.node_id)
        if peer is not None and (peer.links or peer.record == record):
            return
        if peer is None:
            if sum(other.source == source.node_id for other in self.table) >= RECORDS_PER_SOURCE_MAX:
                self.stats.addresses_refused += 1
                return
            peer = self.table.add(record.node_id)
            if peer is not None:
                peer.source, peer.record = source.node_id, record
                self.table.touch()
        if peer is None or not self._dialer.learn(record.node_id, record, now):
            self.stats.addresses_refused += 1
            return
        self.stats.addresses_learned += 1
        self._learned_at = now

    # --- rise and fall ------------------------------------------------------------------------------------------

    def _rise(self, peer: Peer, now: Instant) -> None:
        peer.state = PeerState.UP
        peer.is_met = True
        peer.source = None
        peer.connected_at = now
        self._learned_at = now
        self.stats.peers_up += 1
        self._actions.append(
            Up(
                peer=peer.node_id,
                is_outbound=any(state.is_initiator for state in peer.links.values()),
                name=peer.name,
                address=peer.address,
                aliases=tuple(peer.aliases),
            )
        )

    def _lose(self, peer: Peer, event: Closed, now: Instant) -> None:
        was_active = peer.is_active
        peer.ended = None
        peer.state = PeerState.DOWN if peer.is_met else PeerState.CONNECTING
        peer.connected_at = None
        peer.down_at = now
        if was_active:
            self.stats.peers_down += 1
            reason = "left" if peer.has_left else event.code.name.lower()
            self._actions.append(Down(peer=peer.node_id, name=peer.name, address=peer.address, reason=reason))
        elif not peer.is_met and peer.source is None:
            self.table.remove(peer.node_id)
        if self._is_running:
            self._dialer.lost(peer, event, now, was_active=was_active)

    def _drop_all(self, peer: Peer, code: Code, reason: str) -> None:
        for link in peer.links:
            self._actions.append(Drop(link=link, code=code, reason=reason))

    def _usurped(self, now: Instant) -> None:
        """A peer preferred a connection that was never this node's: somebody else may speak in its name."""
        self._usurped_at.append(now)
        if len(self._usurped_at) == USURPATIONS_MAX and now - self._usurped_at[0] <= USURPATION_TIME:
            text = "peers keep giving this node's place to another process: two nodes run with the same key"
            self._actions.append(Report(kind="identity_conflict", text=text))

    def _drop_earlier_lives(self, peer: Peer, epoch: int) -> None:
        for link, state in peer.links.items():
            if state.is_greeted and state.epoch < epoch:
                self._actions.append(Drop(link=link, code=Code.REPLACED, reason="the peer was started again"))

    # --- time ---------------------------------------------------------------------------------------------------

    def _tick(self, now: Instant) -> None:
        heartbeats, lost = self._liveness.tick(self.table.active(), now)
        for heartbeat in heartbeats:
            self._heartbeat_sequence += 1
            self._heartbeat(heartbeat.peer, self._heartbeat_sequence, wants_answer=heartbeat.wants_answer)
        for peer in lost:
            self._drop_all(peer, Code.IDLE_TIMEOUT, "no sign of life")
        for peer in list(self.table):
            if peer.ended is not None and now - peer.ended_at >= SUCCESSOR_TIME:
                was_replaced = peer.ended.code is Code.REPLACED
                self._lose(peer, peer.ended, now)
                if was_replaced:
                    self._usurped(now)
            for link, state in peer.links.items():
                if not state.is_greeted and now - state.since >= HELLO_TIMEOUT:
                    self._actions.append(Drop(link=link, code=Code.APPLICATION, reason="no introduction"))
        if now >= self._discover_at:
            self._discover(now)

    def _discover(self, now: Instant) -> None:
        is_fresh = now - self._learned_at < DISCOVERY_FAST_TIME
        pause = DISCOVERY_FAST if is_fresh else DISCOVERY_SLOW
        self._discover_at = now + round(pause * self._random.uniform(0.9, 1.1))
        active = self.table.active()
        if active:
            chosen = active[self._random.randrange(0, len(active))]
            self._say(chosen, MessageType.PEER_DISCOVERY, RECORDS_PER_MESSAGE_MAX)

    def _next_tick(self, now: Instant) -> Instant:
        return self._liveness.next_tick(now, self._random.uniform(0.9, 1.1))

    def _plan(self) -> None:
        if self._is_running:
            self._dialer.plan()

    # --- saying -------------------------------------------------------------------------------------------------

    def _introduce(self, peer: Peer, kind: MessageType, link: Link) -> None:
        fields = tuple(self._settings.hello.fields())
        self._actions.append(Say(peer=peer.node_id, kind=kind, fields=fields, link=link))

    def _announce(self, newcomer: Peer) -> None:
        if newcomer.record is not None:
            for other in self._others(newcomer):
                self._say(other, MessageType.PEER_ANNOUNCEMENT, [newcomer.record.fields()])

    def _others(self, peer: Peer) -> list[Peer]:
        others = [other for other in self.table.active() if other is not peer]
        if len(others) > RECORDS_PER_MESSAGE_MAX:
            return self._random.sample(others, RECORDS_PER_MESSAGE_MAX)
        return others

    def _heartbeat(self, peer: Peer, sequence: int, *, wants_answer: bool) -> None:
        self.stats.heartbeats_sent += 1
        peer.heartbeats_sent += 1
        self._say(peer, MessageType.HEARTBEAT, sequence, wants_answer, self.digest())

    def _say(self, peer: Peer, kind: MessageType, *fields: Value) -> None:
        self._actions.append(Say(peer=peer.node_id, kind=kind, fields=fields))
