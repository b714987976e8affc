"""One node: its transports, its services and the traffic between them, as a machine of five verbs.

`receive` takes datagrams and what happened to streams, `poll_transmit` yields datagrams and what streams shall do,
`poll_event` tells the shell what happened. After every call, drain both. The services (peers, gossip) do not know each
other or the transports: whatever one of them wants done or another one must know passes through here. Time comes with
each call; wall time, for what is signed, is that plus a fixed offset.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

from node.core.conditions import Conditions
from node.core.events import NodeEvent
from node.core.outbox import Outbox
from node.core.router import Router, Services
from node.core.settings import CoreSettings
from node.core.snapshot import LinkSnapshot, NodeSnapshot, PeerSnapshot
from node.core.state import Rememberers, Rows, export_evidence, export_rows, export_watermarks, import_rows
from node.core.stats import CoreStats
from node.core.switch import Endpoints
from node.errors import Code, ConnectionFailed, DecodeError, NotRunning, PositronError, UnknownPeer, UsageError
from node.gossip.frames import Act
from node.gossip.gossip import Gossip
from node.gossip.settings import GossipSettings
from node.identity.keys import Identity
from node.messages.envelope import Sealer, signing_domain
from node.messages.types import MessageType
from node.peers.hello import Hello
from node.peers.members import Member
from node.peers.peers import Peers
from node.peers.settings import PeersSettings
from node.peers.table import Peer, PeerState
from node.transport.endpoint import Endpoint
from node.transport.packet import Datagram, Transmit
from node.transport.pool import ReassemblyPool
from node.transport.stream import StreamEndpoint, StreamInput, StreamOutput
from node.trust.settings import TrustSettings
from node.trust.trust import Trust
from node.types import SECOND, Address, Duration, Entropy, Instant, NodeId, Random, format_address

__all__ = ["Machine", "Output"]

Output: TypeAlias = Transmit | StreamOutput
AGENT = "positron-testnet"


class State(StrEnum):
    """The life of a node; it goes forward only."""

    NEW = "new"
    RUNNING = "running"
    STOPPED = "stopped"


class Machine:
    """One node.

    entropy: for keys and identifiers. random: for jitter and choices. wall_offset: wall clock minus the clock of `now`,
    in nanoseconds. epoch: wall milliseconds at the start of the process; must be higher than in any earlier life of
    the same identity, or this node's messages are taken for replays.
    """

    def __init__(
        self,
        identity: Identity,
        settings: CoreSettings,
        *,
        entropy: Entropy,
        random: Random,
        wall_offset: Duration,
        epoch: int,
    ) -> None:
        self.identity = identity
        self.settings = settings
        transport, pool = settings.transport, ReassemblyPool(settings.transport.reassembly_bytes_max)
        self.udp = Endpoint(identity, transport, entropy=entropy, pool=pool) if settings.enable_udp else None
        self.tcp = StreamEndpoint(identity, transport, entropy=entropy, pool=pool) if settings.enable_tcp else None
        self.stats = CoreStats()
        self.peers = Peers(_peers_settings(identity, settings, wall_offset, epoch), random=random)
        self.gossip = Gossip(identity, _gossip_settings(settings, wall_offset, epoch), random=random)
        trust_settings = TrustSettings(network_id=settings.network_id, epoch=epoch, wall_offset=wall_offset)
        self.trust = Trust(identity, trust_settings, random=random)
        self.peers.shun(self.trust.is_shunned)
        self.gossip.mesh.rank = self.trust.rank
        self.peers.watch.digest = self.gossip.digest
        self.peers.links.rank = self.trust.rank
        self.peers.links.is_precious = self.gossip.mesh.__contains__
        conditions = Conditions(self.udp, self.tcp)
        self.gossip.rtt, self.gossip.loss = conditions.rtt, conditions.read
        self.gossip.pulls.arriving = conditions.arriving
        self._wall_offset = wall_offset
        self._epoch = epoch
        sealer = Sealer(identity, network_id=settings.network_id, epoch=epoch)
        self._outbox = Outbox(sealer, signing_domain(settings.network_id), self.stats)
        services = Services(
            Endpoints(self.udp, self.tcp), self.peers, self.gossip, self.trust, self._outbox, self.stats
        )
        self._router = Router(services, wall_offset=wall_offset, gossip_timeout=settings.gossip_timeout)
        self._endpoints = tuple(endpoint for endpoint in (self.udp, self.tcp) if endpoint is not None)
        self._timed = (*self._endpoints, self.peers, self.gossip, self.trust)
        self._timers = (*self._timed, self._outbox)
        self._farewell: deque[Output] = deque()
        self._state = State.NEW
        self._started_at: Instant = 0
        self._bans_told = 0

    # --- the five verbs -----------------------------------------------------------------------------------------

    def receive(self, received: Datagram | StreamInput, now: Instant) -> None:
        """Takes a datagram, or what happened to a stream. Never raises for any bytes of a peer.

        Before `start` and after `stop` everything is dropped and counted: nobody is at home.
        """
        if self._state is not State.RUNNING:
            self.stats.ignored += 1
            return
        if isinstance(received, Datagram):
            if self.udp is not None:
                self.udp.receive(received, now)
        elif self.tcp is not None:
            self.tcp.receive(received, now)
        self._router.settle(now)

    def handle_timeout(self, now: Instant) -> None:
        """Does what is due."""
        for timed in self._timed if self._state is State.RUNNING else self._endpoints:
            due = timed.next_timeout()
            if due is not None and due <= now:
                timed.handle_timeout(now)
        if self._state is State.RUNNING:
            self._router.events.extend(self._outbox.overdue(now))
        self._router.settle(now)

    def poll_transmit(self, now: Instant) -> Output | None:
        """The next thing to send; None when there is nothing for now."""
        if self._farewell:
            return self._farewell.popleft()
        while True:
            for endpoint in self._endpoints:
                output = endpoint.poll_transmit(now)
                if output is not None:
                    return output
            # Sending can end connections, and what follows from that may be more to send.
            if not self._router.settle_sent(now):
                return None

    def poll_event(self) -> NodeEvent | None:
        """The next happening, oldest first."""
        return self._router.events.popleft() if self._router.events else None

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` is due; valid once `poll_transmit` has nothing more."""
        timers = self._timers if self._state is State.RUNNING else self._endpoints
        earliest: Instant | None = None
        for timer in timers:
            due = timer.next_timeout()
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        return earliest

    # --- commands -----------------------------------------------------------------------------------------------

    def start(self, now: Instant) -> None:
        """Begins to dial and to take part; once."""
        if self._state is not State.NEW:
            raise UsageError(f"a node that is {self._state} cannot be started")
        self._state = State.RUNNING
        self._started_at = now
        self.gossip.start(now)
        self.trust.start(now)
        self.peers.start(now)
        self._router.settle(now)

    def stop(self, now: Instant) -> None:
        """Takes leave of everybody: drain once more, and all is said. A second call does nothing."""
        if self._state is not State.RUNNING:
            self._state = State.STOPPED
            return
        self.peers.stop()
        self._router.settle(now)
        last_words = []
        while (output := self.poll_transmit(now)) is not None:
            last_words.append(output)
        self._farewell.extend(last_words)
        self._state = State.STOPPED
        for endpoint in self._endpoints:
            endpoint.shutdown(now)
        self._router.settle(now)
        error = ConnectionFailed(Code.SHUTDOWN, "the node stops")
        for token in self._outbox.tokens():
            self._router.finish(token, error)

    def export_state(self, *, is_final: bool) -> Rows:
        """What must be remembered across a restart, for `import_state`. is_final: this node does nothing more."""
        return export_rows(self._rememberers(), epoch=self._epoch, is_final=is_final)

    def export_watermarks(self) -> Rows:
        """The part of `export_state` that changes with every message, and evidence once somebody was banned."""
        rows, bans = export_watermarks(self.gossip), self.trust.stats.bans
        if bans == self._bans_told:
            return rows
        self._bans_told = bans
        return {**rows, **export_evidence(self.trust)}

    def import_state(self, rows: Rows, now: Instant) -> int:
        """Takes up what an earlier life of this node told; before `start`. The number of rows that were of no use."""
        if self._state is not State.NEW:
            raise UsageError(f"a node that is {self._state} remembers already")
        return import_rows(self._rememberers(), rows, now)

    def _rememberers(self) -> Rememberers:
        return Rememberers(self.peers, self.gossip, self.trust, self._wall_offset)

    def broadcast(
        self,
        payload: object,
        now: Instant,
        *,
        exclude: Sequence[NodeId] = (),
        follow: bool = False,
        visit: bool = False,
    ) -> str:
        """Sends a message to every node; its id, 32 hexadecimal digits. NotRunning, UsageError, Backpressure.

        exclude: peers that get it from others only. follow: report `BroadcastProgress` until `unfollow`. visit: link
        with every member meanwhile, so that each of them can be asked.
        """
        self._require_running()
        message_id = self.gossip.publish(payload, now, exclude=exclude)
        if follow:
            audience = [member.node_id for member in self.peers.members.present()]
            self.gossip.follow(message_id, audience, now, visit=visit)
        self._router.settle(now)
        return message_id.hex()

    def unfollow(self, message_id: str) -> None:
        """Reports no more how far a broadcast has come."""
        self.gossip.unfollow(bytes.fromhex(message_id))

    def set_wall_offset(self, offset: Duration, now: Instant) -> None:
        """The wall clock was set while the node runs: it is so far from the clock of `now` from now on."""
        self._wall_offset = self._router.wall_offset = self.peers.watch.clockwork.wall_offset = offset
        self.gossip.set_wall_offset(offset)
        self.trust.set_wall_offset(offset)
        self._router.settle(now)

    def set_lag(self, lag: Duration) -> None:
        """How late the event loop of this node is, as its shell measures it."""
        self.gossip.set_lag(lag)

    def send(
        self,
        target: NodeId | Address,
        payload: object,
        now: Instant,
        *,
        reliable: bool = True,
        timeout: Duration = 5 * SECOND,
    ) -> int:
        """Sends a message to one node and returns a token that `SendFinished` will name.

        target: a known node, or an address, which is dialled if nobody is connected from there. reliable: False sends
        one datagram and counts as finished when it is on its way. Raises NotRunning, UnknownPeer, QueueFull,
        MessageTooLarge, UsageError; nothing was sent then.
        """
        self._require_running()
        if isinstance(target, bytes) and self.peers.table.get(target) is None:
            raise UnknownPeer(f"no node {target.hex()[:8]} is known")
        pending = self._outbox.accept(
            target, payload, reliable=reliable, deadline=now + timeout, wall=now + self._wall_offset
        )
        try:
            self._router.dispatch(pending, now)
        except PositronError:
            self._outbox.withdraw(pending)
            raise
        if not pending.is_under_way:
            if isinstance(target, bytes):
                self.peers.visit(target, now)
            else:
                self.peers.connect(target, now)
        self._router.settle(now)
        return pending.token

    def connect(self, address: Address, now: Instant) -> NodeId | None:
        """The active peer at that address; None if it is dialled now: DialSucceeded or DialFailed follows."""
        self._require_running()
        node_id = self.peers.connect(address, now)
        self._router.settle(now)
        return node_id

    def add_bootstrap(self, address: Address, now: Instant) -> None:
        """Dials one more address now, and for ever again whenever nobody from there is connected."""
        self._require_running()
        self.peers.add_bootstrap(address, now)
        self._router.settle(now)

    def find(self, target: NodeId | Address) -> Peer | None:
        """The peer with that key or at that address."""
        return self.peers.table.get(target) if isinstance(target, bytes) else self.peers.table.at(target)

    def known(self, target: NodeId | Address) -> Peer:
        """As `find`, of a peer that there has to be. UnknownPeer."""
        peer = self.find(target)
        if peer is None:
            name = target.hex()[:8] if isinstance(target, bytes) else format_address(target)
            raise UnknownPeer(f"no node is known as {name}")
        return peer

    def mark_slow(self, target: NodeId | Address) -> None:
        """Takes note that a peer is slow; a few signs of life in a row end it. UnknownPeer."""
        self.peers.mark_slow(self.known(target).node_id)

    def mark_down(self, target: NodeId | Address, now: Instant) -> None:
        """Gives a peer up: its connections are closed and it is dialled anew. UnknownPeer."""
        self.peers.mark_down(self.known(target).node_id, "marked down")
        self._router.settle(now)

    def take(self, target: NodeId | Address, kind: MessageType, body: bytes, signature: bytes, now: Instant) -> None:
        """Takes in what somebody signed, as if that peer had sent it over a connection.

        kind: GOSSIP_MESSAGE, a broadcast of whomever, or TRUST_UPDATE, a statement of the peer itself. UnknownPeer;
        DecodeError if it is not what an honest peer sends, and then the peer is blamed for it.
        """
        peer = self.known(target).node_id
        if kind is MessageType.GOSSIP_MESSAGE:
            reason = self.gossip.receive(peer, [Act.MESSAGE, 1, body, signature], now)
        else:
            reason = self.trust.receive(peer, kind, [body, signature], now)
            if reason is not None:
                self.peers.blame(peer, reason)
        self._router.settle(now)
        if reason is not None:
            raise DecodeError(reason)

    def snapshot(self, now: Instant) -> NodeSnapshot:
        """The node at this instant."""
        active = len(self.peers.table.active())
        endpoints = (self.udp, self.tcp)
        connections = [link for endpoint in endpoints if endpoint is not None for link in endpoint.snapshots()]
        links = []
        for connection in connections:
            peer = self.peers.table.get(connection.peer_id) if connection.peer_id is not None else None
            state = peer.state if peer is not None else PeerState.CONNECTING
            name = peer.name if peer is not None else ""
            links.append(LinkSnapshot(connection=connection, peer_name=name, peer_state=state.value))
        return NodeSnapshot(
            node_id=self.identity.public_key,
            name=self.settings.name,
            network_id=self.settings.network_id,
            state=self._state.value,
            taken_at=now,
            uptime=now - self._started_at if self._state is State.RUNNING else 0,
            is_ready=self._state is State.RUNNING and (active > 0 or self.settings.is_seed),
            active_peers=active,
            udp=self.udp.stats if self.udp is not None else None,
            tcp=self.tcp.stats if self.tcp is not None else None,
            links=tuple(links),
            peers=tuple(self._snapshot_of(peer) for peer in self.peers.table),
            gossip=self.gossip.stats,
            peering=self.peers.stats,
            messages=self.stats,
            trust=self.trust.overview(now),
        )

    def _snapshot_of(self, peer: Peer) -> PeerSnapshot:
        return _snapshot_of(peer, self.peers.members.get(peer.node_id), self.gossip.clocks.of(peer.node_id))

    def _require_running(self) -> None:
        if self._state is not State.RUNNING:
            raise NotRunning(f"the node is {self._state}")


def _peers_settings(identity: Identity, settings: CoreSettings, wall_offset: Duration, epoch: int) -> PeersSettings:
    return PeersSettings(
        own_id=identity.public_key,
        network_id=settings.network_id,
        hello=Hello(
            name=settings.name,
            udp_port=settings.udp_port if settings.enable_udp else 0,
            tcp_port=settings.tcp_port if settings.enable_tcp else 0,
            host=settings.advertise_host,
            epoch=epoch,
            agent=AGENT,
        ),
        enable_udp=settings.enable_udp,
        enable_tcp=settings.enable_tcp,
        bootstrap=settings.bootstrap,
        heartbeat_interval=settings.heartbeat_interval,
        peers_max=settings.peers_max,
        outbound_max=settings.outbound_max,
        inbound_max=settings.inbound_max,
        wall_offset=wall_offset,
        book_secret=identity.derive(b"address book"),
    )


def _gossip_settings(settings: CoreSettings, wall_offset: Duration, epoch: int) -> GossipSettings:
    return GossipSettings(
        network_id=settings.network_id,
        epoch=epoch,
        wall_offset=wall_offset,
        degree=settings.gossip_fanout,
        retention=settings.gossip_retention,
        retention_bytes=settings.gossip_retention_bytes,
    )


def _snapshot_of(peer: Peer, member: Member | None, clock_skew: Duration | None) -> PeerSnapshot:
    return PeerSnapshot(
        node_id=peer.node_id,
        name=peer.name,
        address=peer.address,
        aliases=tuple(peer.aliases),
        udp_port=peer.record.udp_port if peer.record is not None else 0,
        tcp_port=peer.record.tcp_port if peer.record is not None else 0,
        state=peer.state.value,
        connected_at=peer.connected_at,
        last_seen_at=peer.heard_at,
        heartbeats_sent=peer.heartbeats_sent,
        heartbeats_received=peer.heartbeats_received,
        clock_skew=clock_skew,
        member=member.state.value if member is not None else None,
    )
