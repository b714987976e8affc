"""Passes everything on inside a node: what the transports report to the services, what the services want to the
transports, and what concerns the application to the shell.

Holds no state of its own beyond what was already said to people. Services do not know each other or the transports, so
every path between them is one of the lines below.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from node.core.delivery import DELIVERY, route_of
from node.core.events import (
    BroadcastProgress,
    DataReceived,
    DialFailed,
    DialSucceeded,
    MemberChanged,
    NodeEvent,
    PeerDown,
    PeerUp,
    Problem,
    TransportEvent,
)
from node.core.outbox import Outbox, Pending
from node.core.stats import CoreStats
from node.core.switch import Endpoints, Outcome, Parcel, Switch
from node.errors import (
    Code,
    ConnectionFailed,
    DecodeError,
    MessageTooLarge,
    PositronError,
    QueueFull,
    UnknownPeer,
    UsageError,
)
from node.gossip import actions as gossip_actions
from node.gossip.gossip import Gossip
from node.messages.frame import encode_frame, is_frame, parse_frame
from node.messages.packing import Value
from node.messages.types import LABELS, Carrier, MessageType
from node.peers import actions as peer_actions
from node.peers.actions import Link
from node.peers.peers import Peers
from node.peers.table import Peer
from node.transport.events import (
    AddressChanged,
    Closed,
    Connected,
    Event,
    MessageAcknowledged,
    MessageFailed,
    MessageReceived,
)
from node.trust import actions as trust_actions
from node.trust.trust import Trust
from node.types import SECOND, Address, Duration, Instant, NodeId, format_address, short_id
from node.wire.limits import PROBLEM_REPEAT, PROBLEMS_MAX

__all__ = ["Router", "Services"]

CONTROL_TIMEOUT: Duration = 10 * SECOND
"""Time in which a peer must acknowledge a question or an answer that will be repeated anyway."""

EARLY_FRAMES_MAX, EARLY_PEERS_MAX = 16, 64
"""Frames of gossip that are kept per peer that has not introduced itself, and such peers."""

_OF_TRUST = (MessageType.TRUST_UPDATE, MessageType.TRUSTED_PEERS_REQUEST, MessageType.TRUSTED_PEERS_RESPONSE)
_VIOLATIONS = (
    Code.PROTOCOL_VIOLATION,
    Code.FRAME_ENCODING,
    Code.FLOW_CONTROL,
    Code.ACK_OF_UNSENT,
    Code.REASSEMBLY_LIMIT,
)
"""Ends of a connection that only the other side can be to blame for."""

_UNREPEATED = (MessageType.HANDSHAKE, MessageType.HANDSHAKE_ACK)
"""What must arrive for as long as the connection lives."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a node that are joined here."""

    endpoints: Endpoints
    peers: Peers
    gossip: Gossip
    trust: Trust
    outbox: Outbox
    stats: CoreStats


class Router:
    """The inside of one node. After every input to any part, call `settle`."""

    def __init__(self, services: Services, *, wall_offset: Duration, gossip_timeout: Duration) -> None:
        self.events: deque[NodeEvent] = deque()
        self._endpoints = services.endpoints
        self._peers = services.peers
        self._gossip = services.gossip
        self._trust = services.trust
        self._outbox = services.outbox
        self._stats = services.stats
        self._switch = Switch(services.endpoints, services.stats)
        self.wall_offset = wall_offset
        self._carriers = [
            (carrier, endpoint) for carrier in Carrier if (endpoint := services.endpoints.of(carrier)) is not None
        ]
        self._gossip_timeout = gossip_timeout
        self._early: dict[NodeId, list[list[Value]]] = {}
        self._problems: dict[tuple[str, str], Instant] = {}

    def settle(self, now: Instant) -> None:
        """Passes everything on until nobody has anything to say."""
        while self._route(now):
            pass

    def settle_sent(self, now: Instant) -> bool:
        """Like `settle`, where nothing was done since the last one but sending: only a transport may have news."""
        if self._follow_transports(now) is None:
            return False
        self.settle(now)
        return True

    def _route(self, now: Instant) -> bool:
        """Passes on what is there now; whether there may be more."""
        # What came over the first carrier left nothing there; what came over another may have.
        is_busy = self._follow_transports(now) not in (None, self._carriers[0][0])
        is_busy = self._follow_peers(now) or is_busy
        while (action := self._gossip.poll_action()) is not None:
            self._on_gossip(action, now)
            is_busy = True
        while (verdict := self._trust.poll_action()) is not None:
            self._on_trust(verdict, now)
            is_busy = True
        while (outcome := self._switch.poll_outcome()) is not None:
            self._on_outcome(outcome, now)
            is_busy = True
        return is_busy

    def _follow_transports(self, now: Instant) -> Carrier | None:
        """The last carrier that had news."""
        busy: Carrier | None = None
        for carrier, endpoint in self._carriers:
            while (event := endpoint.poll_event()) is not None:
                self._on_transport(carrier, event, now)
                # At once: a frame may concern a peer that the one before it has introduced.
                self._follow_peers(now)
                busy = carrier
        return busy

    def _follow_peers(self, now: Instant) -> bool:
        is_busy = False
        while (wish := self._peers.poll_action()) is not None:
            self._on_peers(wish, now)
            is_busy = True
        return is_busy

    def _on_transport(self, carrier: Carrier, event: Event, now: Instant) -> None:
        match event:
            # The two of every message first.
            case MessageReceived():
                self._peers.heard(event.peer_id, now)
                if is_frame(event.data):
                    self._on_frame(carrier, event, now)
                    return
            case MessageAcknowledged():
                peer_id = self._switch.acknowledged(carrier, event)
                if peer_id is not None:
                    self._peers.heard(peer_id, now)
                    return
            case Connected():
                self._on_connected(Link(carrier, event.connection), event, now)
            case Closed():
                self._on_closed(Link(carrier, event.connection), event, now)
            case AddressChanged():
                self._peers.heard(event.peer_id, now)
            case MessageFailed():
                if self._switch.failed(carrier, event, now):
                    return
        self.events.append(TransportEvent(carrier=carrier, event=event))

    def _on_connected(self, link: Link, event: Connected, now: Instant) -> None:
        self._peers.connected(link, event, now)
        self._switch.opened(event.peer_id, link, now)
        self._dispatch_waiting(event.peer_id, now)
        endpoint = self._endpoints.of(link.carrier)
        if endpoint is not None and self._trust.is_banned(event.peer_id, now):
            endpoint.disconnect(link.connection, now, Code.APPLICATION, "banned")

    def _on_closed(self, link: Link, event: Closed, now: Instant) -> None:
        self._switch.closed(link, event)
        self._peers.closed(link, event, now)
        if event.peer_id is None:
            return
        self._gossip.clocks.forget(event.peer_id)  # whoever comes back may be another process, with another clock
        if event.by_peer or event.code not in _VIOLATIONS or self._trust.is_banned(event.peer_id, now):
            return
        self._trust.blame(event.peer_id, "protocol_violation", now)

    def _on_frame(self, carrier: Carrier, event: MessageReceived, now: Instant) -> None:
        peer_id = event.peer_id
        try:
            frame = parse_frame(event.data)
            self._stats.received[LABELS[frame.kind]] += 1
            if frame.kind is MessageType.GOSSIP_MESSAGE:
                self._receive_gossip(peer_id, frame.fields, now)
            elif frame.kind is MessageType.CUSTOM_DATA:
                if (received := self._outbox.receive(peer_id, frame.fields, now + self.wall_offset)) is not None:
                    self.events.append(received)
            elif frame.kind in _OF_TRUST:
                reason = self._trust.receive(peer_id, frame.kind, frame.fields, now)
                if reason is not None:
                    self._peers.blame(peer_id, reason)
            else:
                self._peers.receive(Link(carrier, event.connection), peer_id, frame.kind, frame.fields, now)
        except DecodeError as error:
            self._stats.rejected[error.reason] += 1
            if error.reason != "unknown_kind":
                self._peers.blame(peer_id, error.reason)

    def _receive_gossip(self, peer_id: NodeId, fields: list[Value], now: Instant) -> None:
        peer = self._peers.table.get(peer_id)
        if peer is None or peer.is_active:
            self._gossip.receive(peer_id, fields, now)
            return
        # Its introduction was lost or overtaken; what it said after it counts once it is here.
        early = self._early.setdefault(peer_id, [])
        if len(early) < EARLY_FRAMES_MAX:
            early.append(fields)
        if len(self._early) > EARLY_PEERS_MAX:
            del self._early[next(iter(self._early))]

    # --- what the services want ---------------------------------------------------------------------------------

    def _on_peers(self, action: peer_actions.Action, now: Instant) -> None:
        # The two of every heartbeat first.
        if isinstance(action, peer_actions.Say):
            self._say(action, now)
        elif isinstance(action, peer_actions.Heard):
            self._on_heard(action, now)
        else:
            self._on_rarer(action, now)

    def _on_rarer(self, action: peer_actions.Rarer, now: Instant) -> None:
        match action:
            case peer_actions.Dial():
                self._dial(action, now)
            case peer_actions.Drop(link=link, code=code, reason=reason):
                endpoint = self._endpoints.of(link.carrier)
                if endpoint is not None:
                    endpoint.disconnect(link.connection, now, code, reason)
            case peer_actions.Up() | peer_actions.Down() | peer_actions.Restarted():
                self._on_transition(action, now)
            case peer_actions.Dialled() | peer_actions.Undialled():
                self._on_dialled(action, now)
            case peer_actions.Blamed(peer=node_id, reason=reason):
                self._trust.blame(node_id, reason, now)
            case peer_actions.Publish(kind=kind, payload=payload):
                self._gossip.notify(kind, payload, now)
            case peer_actions.Changed(node_id=node_id, state=state, incarnation=incarnation):
                self._gossip.set_population(self._peers.members.population, now)
                self.events.append(MemberChanged(node_id=node_id, state=state.value, incarnation=incarnation))
            case peer_actions.Report(kind=kind, text=text):
                self._report(kind, text, now)

    def _on_heard(self, action: peer_actions.Heard, now: Instant) -> None:
        self._gossip.digest_heard(action.peer, action.digest, now)
        if (sample := action.clocks) is not None:
            self._gossip.clocks.observe(
                action.peer,
                sent=sample.sent,
                received_there=sample.received_there,
                sent_there=sample.sent_there,
                received=sample.received,
            )
            self._judge_clocks(action.peer, now)

    def _judge_clocks(self, node_id: NodeId, now: Instant) -> None:
        clocks = self._gossip.clocks
        if clocks.is_doubtful():
            text = "the clock of this machine and those of its peers differ by more than 10 s, by their median"
            self._report("clock_skew", text, now)
        elif clocks.strays(node_id) and (peer := self._peers.table.get(node_id)) is not None:
            offset = clocks.of(node_id) or 0
            side = "ahead of" if offset > 0 else "behind"
            where = f"{short_id(node_id)} at {format_address(peer.address)}"
            text = f"the clock of peer {where} is {round(abs(offset) / SECOND)} s {side} this one"
            self._report("peer_clock_skew", f"{text}: others may refuse what it says", now)

    def _on_transition(self, action: peer_actions.Transition, now: Instant) -> None:
        if isinstance(action, peer_actions.Restarted):
            self._gossip.peer_up(action.peer, now, is_outbound=action.is_outbound)
            return
        node_id, name, address = action.peer, action.name, action.address
        if isinstance(action, peer_actions.Down):
            self._gossip.peer_down(node_id, now)
            self._gossip.clocks.forget(node_id)
            self._trust.peer_down(node_id)
            self._switch.gone(node_id)
            self.events.append(PeerDown(node_id=node_id, name=name, address=address, reason=action.reason))
            return
        self._gossip.peer_up(node_id, now, is_outbound=action.is_outbound)
        self._trust.peer_up(node_id)
        for fields in self._early.pop(node_id, ()):
            self._gossip.receive(node_id, fields, now)
        self.events.append(PeerUp(node_id=node_id, name=name, address=address, aliases=action.aliases))
        self._dispatch_waiting(node_id, now)

    def _on_dialled(self, action: peer_actions.Dialled | peer_actions.Undialled, now: Instant) -> None:
        waiting = [pending for pending in self._outbox.waiting() if pending.target == action.address]
        if isinstance(action, peer_actions.Dialled):
            self.events.append(DialSucceeded(address=action.address, node_id=action.peer))
            peer = self._peers.table.get(action.peer)
            for pending in waiting:
                if peer is not None:
                    self._try(pending, peer, now)
            return
        self.events.append(
            DialFailed(
                address=action.address,
                code=action.code,
                reason=action.reason,
                hint=action.hint,
                is_final=action.is_final,
            )
        )
        for pending in waiting:
            self.finish(pending.token, ConnectionFailed(action.code, action.hint or action.reason))

    def _dial(self, action: peer_actions.Dial, now: Instant) -> None:
        carrier, address, expected = action.target
        endpoint = self._endpoints.of(carrier)
        assert endpoint is not None
        try:
            handle = endpoint.connect(address, now, expected)
        except UsageError as error:
            self._peers.dial_refused(action.target, str(error), now)
        else:
            self._peers.dialling(action.target, handle)

    def _say(self, action: peer_actions.Say, now: Instant) -> None:
        peer = self._peers.table.get(action.peer)
        if peer is None:
            return
        data = encode_frame(action.kind, action.fields)
        deadline = None if action.kind in _UNREPEATED else now + CONTROL_TIMEOUT
        parcel = Parcel(kind=action.kind, data=data, route=DELIVERY[action.kind], deadline=deadline, purpose=None)
        try:
            self._switch.send(peer, parcel, now, link=action.link)
        except (UnknownPeer, QueueFull, MessageTooLarge):
            # The connection has just ended or is full; its end, or the next round, repeats what matters.
            self._stats.unsent += 1

    def _on_gossip(self, action: gossip_actions.Action, now: Instant) -> None:
        match action:
            case gossip_actions.Send(peers=node_ids):
                for node_id in node_ids:
                    self._spread(node_id, action, now)
            case gossip_actions.Withdraw(peer=node_id, message_id=message_id):
                self._switch.withdraw(self._peers.table.get(node_id), message_id, now)
            case gossip_actions.Deliver():
                self._on_delivered(action, now)
            case gossip_actions.Blame(peer=node_id, reason=reason):
                self._peers.blame(node_id, reason)
            case gossip_actions.LetDown(peer=node_id):
                # Evidence, and no violation: it ends no connection by itself.
                self._trust.blame(node_id, "broken_promise", now)
            case gossip_actions.Accuse(evidence=evidence):
                self._trust.accuse(evidence, now)
            case gossip_actions.Notice(kind=kind, origin=origin, payload=payload, via=via):
                self._peers.notice(kind, origin, payload, via, now)
            case gossip_actions.Followed():
                self._on_followed(action, now)

    def _on_delivered(self, action: gossip_actions.Deliver, now: Instant) -> None:
        self._trust.delivered(action.via, action.origin, now)
        self.events.append(
            DataReceived(
                message_id=action.message_id.hex(),
                origin=action.origin,
                payload=action.payload,
                packed=action.packed,
                hops=action.hops,
                age=action.age,
                is_broadcast=True,
            )
        )

    def _on_followed(self, action: gossip_actions.Followed, now: Instant) -> None:
        is_present = self._peers.members.is_present
        for node_id in filter(is_present, action.visits):
            self._peers.visit(node_id, now)
        name, covered = action.message_id.hex(), sum(map(is_present, action.holders))
        members = covered + sum(map(is_present, action.others))
        self.events.append(BroadcastProgress(message_id=name, acked=action.acked, covered=covered, members=members))

    def _on_trust(self, action: trust_actions.Action, now: Instant) -> None:
        match action:
            case trust_actions.Say(peers=node_ids, kind=kind, fields=fields):
                for node_id in node_ids:
                    self._say(peer_actions.Say(peer=node_id, kind=kind, fields=fields), now)
            case trust_actions.Ban(peer=node_id, reason=reason):
                if self._peers.expel(node_id, "banned"):  # keys that nobody had to do with come by the thousand
                    self._report("banned_peer", f"peer {short_id(node_id)} is banned for an hour: {reason}", now)

    def _spread(self, node_id: NodeId, action: gossip_actions.Send, now: Instant) -> None:
        peer = self._peers.table.get(node_id)
        parcel = Parcel(
            kind=MessageType.GOSSIP_MESSAGE,
            data=action.data,
            route=route_of(MessageType.GOSSIP_MESSAGE, len(action.data), reliable=action.is_reliable),
            deadline=now + self._gossip_timeout,
            purpose=action if action.message_ids else None,
            name=action.message_ids[0] if action.is_copy else None,
        )
        try:
            if peer is None:
                raise UnknownPeer("gossip with a node that is gone")
            self._switch.send(peer, parcel, now)
        except (UnknownPeer, QueueFull, MessageTooLarge):
            self._on_spread(node_id, action, now, is_acked=False)

    def _on_outcome(self, outcome: Outcome, now: Instant) -> None:
        # Its purpose is the token of a direct message, or what gossip wanted sent.
        if isinstance(outcome.purpose, int):
            self.finish(outcome.purpose, outcome.error)
        elif isinstance(outcome.purpose, gossip_actions.Send):
            self._on_spread(outcome.peer, outcome.purpose, now, is_acked=outcome.error is None)

    def _on_spread(self, node_id: NodeId, action: gossip_actions.Send, now: Instant, *, is_acked: bool) -> None:
        if action.is_request:
            for message_id in action.message_ids:
                self._gossip.request_sent(node_id, message_id, now, is_acked=is_acked)
        elif not is_acked:
            self._gossip.send_failed(node_id, action.message_ids, now)
        elif action.is_copy:
            self._gossip.send_acked(node_id, action.message_ids)

    # --- direct messages ----------------------------------------------------------------------------------------

    def dispatch(self, pending: Pending, now: Instant) -> None:
        """Sends a direct message if its target is connected; raises what the switch raises."""
        peer = self._find(pending.target)
        if peer is not None and peer.is_active and peer.links:
            self._hand_over(pending, peer, now)

    def _dispatch_waiting(self, node_id: NodeId, now: Instant) -> None:
        peer = self._peers.table.get(node_id)
        if peer is None or not peer.is_active:
            return
        for pending in self._outbox.waiting():
            if self._find(pending.target) is peer:
                self._try(pending, peer, now)

    def finish(self, token: int, error: PositronError | None) -> None:
        """Tells the shell what became of a direct message, if it was not told yet."""
        finished = self._outbox.finish(token, error)
        if finished is not None:
            self.events.append(finished)

    def _hand_over(self, pending: Pending, peer: Peer, now: Instant) -> None:
        route = route_of(MessageType.CUSTOM_DATA, len(pending.data), reliable=pending.is_reliable)
        parcel = Parcel(
            kind=MessageType.CUSTOM_DATA,
            data=pending.data,
            route=route,
            deadline=pending.deadline,
            purpose=pending.token,
        )
        self._switch.send(peer, parcel, now)
        pending.is_under_way = True

    def _try(self, pending: Pending, peer: Peer, now: Instant) -> None:
        try:
            self._hand_over(pending, peer, now)
        except (UnknownPeer, QueueFull, MessageTooLarge) as error:
            self.finish(pending.token, error)

    def _find(self, target: NodeId | Address) -> Peer | None:
        return self._peers.table.get(target) if isinstance(target, bytes) else self._peers.table.at(target)

    # --- people -------------------------------------------------------------------------------------------------

    def _report(self, kind: str, text: str, now: Instant) -> None:
        reported_at = self._problems.pop((kind, text), None)
        if reported_at is not None and now - reported_at < PROBLEM_REPEAT:
            self._problems[(kind, text)] = reported_at
            return
        self._problems[(kind, text)] = now
        if len(self._problems) > PROBLEMS_MAX:
            del self._problems[next(iter(self._problems))]
        self.events.append(Problem(kind=kind, text=text))
