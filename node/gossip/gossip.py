"""Spreads signed messages to every node, each delivered once.

A message travels through the mesh (`mesh`, `spread`); who was left out is told of it and pulls it (`pulls`); who missed
even that finds out by the digests in heartbeats and an exchange of claims (`sync`): every message reaches every node
that any path leads to while it is retained. A copy costs one hash; the signature is verified once per message, and
no state changes before it holds (`admission`). What a peer may send is bounded before anything is verified (`lane`).

Knows nothing of connections and addresses. Input comes from the node machine, decoded frames with the peer they came
from; output are actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from node.errors import Backpressure, DecodeError, UsageError
from node.gossip.actions import Accuse, Action, Blame, Deliver, LetDown, Notice, Send
from node.gossip.admission import NOTICES, Admission
from node.gossip.frames import Act, Urgency, encode, encode_ids, ids_of
from node.gossip.lane import Lane
from node.gossip.lives import HELD_TIME, Held, Lives
from node.gossip.mesh import BACKOFF, Mesh, Wish
from node.gossip.promises import Promises
from node.gossip.pulls import Pulls
from node.gossip.receipts import Receipts
from node.gossip.reconcile import Reconciler
from node.gossip.settings import GossipSettings
from node.gossip.spread import Spreader
from node.gossip.stats import GossipStats
from node.gossip.sync import DIGEST_BYTES
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer, checked_payload, message_id, parse_envelope
from node.messages.packing import Value, pack, unpack
from node.messages.skew import Clocks
from node.messages.types import MessageType
from node.types import MILLISECOND, SECOND, Duration, Instant, NodeId, Random
from node.wire.limits import ANNOUNCED_IDS_MAX, EXCESS_MAX, HOPS_MAX, SMALL_BODY_BYTES, WANT_TIMEOUT

__all__ = ["Gossip"]

MAINTENANCE_INTERVAL: Duration = 1 * SECOND

FOLLOW_INTERVAL: Duration = 200 * MILLISECOND
FOLLOWED_IDS = 32
"""Time between two questions to a peer for what the application follows, and ids in one of them."""

RTT_ASSUMED: Duration = 100 * MILLISECOND
"""Round trip time of a peer before it is known."""

PATIENCE_MIN: Duration = 200 * MILLISECOND
"""Time that a peer has to send what was asked of it, at least."""

LOSS_NOTED = 0.01
"""Share of lost packets above which a body of some packets often takes a repetition."""

LAG_GUARDED: Duration = 50 * MILLISECOND
"""Lateness of the event loop above which this node asks for fewer copies: it spends its time on duplicates."""

_BLAMELESS = ("stale", "future", "replayed", "equivocating", "own_origin", "unknown_kind", "rate_limited")
"""Refusals that honest peers cause too: clocks differ, tables forget, versions grow, networks bunch."""


class Gossip:
    """The gossip service of one node. After each call, drain `poll_action`.

    rtt: smoothed round trip time of a peer, None while unknown. loss: share of packets lost on this node's links, asked
    once a second. mesh.rank: how much a peer is trusted, -1 to 1. pulls.arriving: see `Pulls`.
    clocks: how far the clocks of peers are off.
    """

    def __init__(self, identity: Identity, settings: GossipSettings, *, random: Random) -> None:
        self.stats = GossipStats()
        self.clocks = Clocks()
        self.mesh = Mesh(settings, random=random)
        self.rtt: Callable[[NodeId], Duration | None] = lambda peer: None
        self.loss: Callable[[], float] = lambda: 0.0
        self._own_id = identity.public_key
        self._settings = settings
        self._random = random
        self._sealer = Sealer(identity, network_id=settings.network_id, epoch=settings.epoch)
        self._admission = Admission(identity.public_key, settings, self.clocks)
        self.pulls = Pulls()
        self._promises = Promises()
        self._actions: deque[Action] = deque()
        self._spreader = Spreader(self.mesh, self._admission.store, self.stats, self._actions, random=random)
        self._reconciler = Reconciler(self._admission, self.mesh, self._spreader, self.stats, settings, random=random)
        self.since = self._reconciler.since
        self._receipts = Receipts()
        self._follow_at: Instant | None = None
        self._maintain_at: Instant | None = None
        self._tuned = 0, 0
        self._lives = Lives(self.clocks, self._reconciler.wants)

    # --- inputs -------------------------------------------------------------------------------------------------

    def start(self, now: Instant) -> None:
        """The node starts."""
        self._reconciler.begin(now + self._settings.wall_offset)

    def peer_up(self, peer: NodeId, now: Instant, *, is_outbound: bool = True) -> None:
        """An active peer is there, or its process is another one; the two find out what each lacks."""
        was_member = peer in self.mesh
        if peer in self._spreader.lanes:
            self.peer_down(peer, now)
        self._spreader.lanes[peer] = Lane(now, is_outbound=is_outbound)
        self._graft(self.mesh.add(peer, now, is_outbound=is_outbound, is_member=was_member))
        self._reconciler.peer_up(peer, now, is_outbound=is_outbound)
        if self._maintain_at is None:
            self._maintain_at = now + round(MAINTENANCE_INTERVAL * self._random.uniform(0.9, 1.1))

    def peer_down(self, peer: NodeId, now: Instant) -> None:
        """An active peer is gone."""
        self._spreader.lanes.pop(peer, None)
        self._reconciler.peer_down(peer)
        self.pulls.forget(peer, now)
        self._promises.forget(peer)
        self._graft(self.mesh.remove(peer, now))

    def publish(self, payload: object, now: Instant, *, exclude: Sequence[NodeId] = ()) -> bytes:
        """Sends a message of this node's own to everybody; its id.

        exclude: peers that get no copy from this node itself.
        UsageError for what cannot travel; Backpressure when most links have more waiting than they may carry.
        """
        if not isinstance(payload, dict):
            raise UsageError(f"a broadcast is a dict, not a {type(payload).__name__}")
        packed = checked_payload(pack(payload))
        if not self._spreader.has_room(len(packed)):
            raise Backpressure("more broadcasts wait for their turn than most peers accept")
        self.stats.published += 1
        return self._publish(MessageType.GOSSIP_MESSAGE, packed, now, exclude=exclude)

    def follow(self, message_id: bytes, audience: Sequence[NodeId], now: Instant, *, visit: bool) -> None:
        """Reports who has that message until `unfollow`. audience: who shall have it. visit: link with them to ask."""
        self._receipts.follow(message_id, audience, now if visit else None)
        self._follow_at = now

    def unfollow(self, message_id: bytes) -> None:
        """Reports no more who has that message."""
        self._receipts.forget(message_id)

    def notify(self, kind: MessageType, payload: bytes, now: Instant) -> None:
        """Sends a message about members of the network to everybody."""
        self._publish(kind, payload, now)

    def receive(self, peer: NodeId, fields: list[Value], now: Instant) -> str | None:
        """A gossip frame from that peer; why it was refused, if it was. Never raises for any fields."""
        lane = self._spreader.lanes.get(peer)
        if lane is None:
            self.stats.rejected["unexpected"] += 1
            return "unexpected"
        reason = None
        try:
            self._receive(peer, lane, fields, now)
        except DecodeError as error:
            reason = error.reason
            self._reject(peer, reason)
        self._heard(peer, now)
        return reason

    def send_failed(self, peer: NodeId, message_ids: Sequence[bytes], now: Instant) -> None:
        """That peer did not acknowledge a frame with these messages: it will be told of them again."""
        self.stats.failed_sends += 1
        self._spreader.failed(peer, message_ids, now)

    def send_acked(self, peer: NodeId, message_ids: Sequence[bytes]) -> None:
        """That peer acknowledged a copy of these messages; it may have refused them, so it is asked."""
        self._spreader.done(peer, message_ids)
        for identifier in message_ids if self._receipts else ():
            if self._receipts.acked(peer, identifier):
                self._spreader.say([peer], encode_ids(Act.QUESTION, [identifier]), reliable=False)
                self._report(identifier)

    def request_sent(self, peer: NodeId, message_id: bytes, now: Instant, *, is_acked: bool) -> None:
        """That peer has, or has not, acknowledged a request for that message."""
        if is_acked:
            self._promises.acknowledged(peer, message_id, now)
        else:
            self._promises.withdrawn(peer, message_id)

    def digest_heard(self, peer: NodeId, digest: bytes, now: Instant) -> None:
        """A heartbeat of that peer told what it has accepted, in 8 bytes."""
        if len(digest) == DIGEST_BYTES:
            self._reconciler.heard(peer, int.from_bytes(digest, "big"), now)
        self._heard(peer, now)

    def set_population(self, nodes: int, now: Instant) -> None:
        """So many nodes are in the network, this one included."""
        was_full = self.mesh.is_full
        self.mesh.population = nodes
        if self.mesh.is_full and not was_full:
            self._graft(self.mesh.graft(now))

    def set_wall_offset(self, offset: Duration) -> None:
        """The wall clock of this node was set: it is so far from the clock of `now` from now on."""
        self._lives.jumped += offset - self._settings.wall_offset
        self._settings = replace(self._settings, wall_offset=offset)
        self._admission.wall_offset = offset

    def set_lag(self, lag: Duration) -> None:
        """How late this node's event loop is."""
        self.mesh.is_guarded = lag > LAG_GUARDED

    def handle_timeout(self, now: Instant) -> None:
        """Asks, tells, sends and maintains whatever is due."""
        for peer, message_ids in self.pulls.overdue(now).items():
            self._request(peer, message_ids)
        self._spreader.handle_timeout(now)
        if self._follow_at is not None and self._follow_at <= now:
            self._follow_up(now)
        if self._maintain_at is not None and self._maintain_at <= now:
            self._maintain(now)

    # --- outputs ------------------------------------------------------------------------------------------------

    def poll_action(self) -> Action | None:
        """The next thing to do, oldest first."""
        return self._actions.popleft() if self._actions else None

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` is due."""
        earliest: Instant | None = None
        for due in (self.pulls.next_timeout(), self._spreader.next_timeout(), self._follow_at, self._maintain_at):
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        return earliest

    def digest(self) -> bytes:
        """What this node has accepted, in 8 bytes."""
        return self._reconciler.digest()

    def snapshot(self) -> Value:
        """What must be remembered across a restart, as plain data."""
        return [row for row in self._admission.origins.snapshot() if isinstance(row, list) and row[0] != self._own_id]

    def restore(self, remembered: Value, *, since: int | None) -> None:
        """Remembers what `snapshot` told; DecodeError, and only that there was an earlier life, for anything else.

        since: what `since()` told with it, if nothing was accepted afterwards: what was missed from then on is wanted.
        None where an earlier life may have delivered more than it told: only what is newer than this one is wanted.
        """
        self._lives.has_past, self._lives.may_repeat = True, since is None
        self._admission.origins.restore(remembered)
        self._reconciler.wanted_since = since

    # --- receiving ----------------------------------------------------------------------------------------------

    def _receive(self, peer: NodeId, lane: Lane, fields: list[Value], now: Instant) -> None:
        match fields:
            case [int(act), int(hops), bytes(body), bytes(signature), *_] if act == Act.MESSAGE:
                self._receive_message(peer, lane, hops, body, signature, now)
            case [int(act), list(listed), *rest] if act == Act.HAVE:
                urgency = rest[0] if rest and isinstance(rest[0], int) else Urgency.NOW
                self._receive_ids(peer, lane, ids_of(listed), urgency, now)
            case [int(act), list(listed), *_] if act == Act.REQUEST:
                self._admit(lane.admit_ids(len(listed), now))
                self._spreader.serve(peer, ids_of(listed), now)
            case [int(act), int(wish), *_] if act == Act.GRAFT:
                self._admit(lane.admit_wish(now))
                self._receive_graft(peer, Wish(wish & (Wish.EAGER | Wish.GUARDED | Wish.NEEDY)), now)
            case [int(act), int(backoff), *_] if act == Act.PRUNE:
                self._admit(lane.admit_wish(now))
                self.stats.prunes += peer in self.mesh
                self._graft(self.mesh.pruned(peer, min(max(backoff, 0), 1 << 20) * MILLISECOND, now))
            case [int(act), *rest] if act == Act.SYNC:
                self._reconciler.receive(peer, rest, now)
            case [int(act), list(listed), *_] if act == Act.QUESTION:
                self._admit(lane.admit_ids(len(listed), now))
                self._spreader.tell([peer], list(filter(self._admission.seen.is_accepted, ids_of(listed))), Urgency.NOW)
            case [int(act), *_] if act > max(Act):
                raise DecodeError("unknown_kind", f"gossip action {act}")
            case _:
                raise DecodeError("malformed", "a gossip frame of another shape")

    def _receive_message(
        self, peer: NodeId, lane: Lane, hops: int, body: bytes, signature: bytes, now: Instant
    ) -> None:
        if not lane.admit(len(body), now):
            self.stats.rate_limited += 1
            self._promises.served(peer)
            if lane.excess % EXCESS_MAX == 0:
                self._actions.append(Blame(peer=peer, reason="rate_limited"))
            return
        identifier = message_id(body, signature)
        self._settle(peer, identifier)
        self._promises.served(peer, identifier)
        if identifier in self._admission.seen:
            self._receive_again(peer, identifier, len(body), now)
            return
        if not 1 <= hops <= HOPS_MAX:
            raise DecodeError("too_many_hops", str(hops))
        try:
            envelope = parse_envelope(body, signature)
            self._admission.check(peer, envelope, now)
        except DecodeError as error:
            self._refuse(identifier, error.reason)
            raise
        self._accept(peer, envelope, hops, now)

    def _settle(self, peer: NodeId, identifier: bytes) -> None:
        """That peer has shown that it has that message."""
        self._spreader.settle(peer, identifier)
        if self._receipts and self._receipts.holds(peer, identifier):
            self._report(identifier)

    def _receive_again(self, peer: NodeId, identifier: bytes, size: int, now: Instant) -> None:
        self.stats.duplicates += 1
        self.stats.duplicates_large += size > SMALL_BODY_BYTES
        first = self._admission.store.get(identifier)
        if first is not None:
            self.mesh.arrived(peer, now - first.arrived_at)
            if first.origin != peer:
                self._promises.served(peer)

    def _refuse(self, identifier: bytes, reason: str) -> None:
        if reason == "equivocating" and self._admission.evidence is not None:
            self._actions.append(Accuse(evidence=self._admission.evidence))
        if reason != "future":
            # The id names exactly these bytes, and these bytes will never be right: a copy costs one hash.
            self._admission.seen.add(identifier, is_accepted=False)
            self.pulls.arrived(identifier)

    def _accept(self, peer: NodeId, envelope: Envelope, hops: int, now: Instant) -> None:
        holders = (peer, *self.pulls.announcers(envelope.message_id))
        was_missed = self.pulls.arrived(envelope.message_id)
        message = self._admission.accept(envelope, hops, now)
        self._reconciler.accepted(envelope.message_id, now)
        self.mesh.arrived(peer, 0)
        if envelope.origin != peer:
            self._promises.served(peer)
        self.stats.accepted += 1
        self.stats.accepted_large += len(envelope.body) > SMALL_BODY_BYTES
        if was_missed is not None:
            self.stats.repaired["sync" if was_missed else "pull"] += 1
        if envelope.kind == MessageType.GOSSIP_MESSAGE:
            self._judge_life(peer, envelope, hops, now, was_missed=bool(was_missed))
        elif envelope.kind in NOTICES:
            self._actions.append(
                Notice(
                    kind=envelope.kind, origin=envelope.origin, epoch=envelope.epoch, payload=envelope.payload, via=peer
                )
            )
        else:
            self.stats.rejected["unknown_kind"] += 1
        self._spreader.relay(envelope.message_id, message, holders, now)

    def _judge_life(self, peer: NodeId, envelope: Envelope, hops: int, now: Instant, *, was_missed: bool) -> None:
        """Delivers a message, unless an earlier life of this node may have; others are served with it all the same."""
        if self._lives.is_of_this(envelope, was_missed=was_missed):
            self._deliver(peer, envelope, hops, now)
        else:
            self._let_go(self._lives.hold(Held(envelope, peer, hops, now + HELD_TIME, was_missed)), now)

    def _let_go(self, judged: list[tuple[Held, bool]], now: Instant) -> None:
        for held, is_of_this in judged:
            if is_of_this:
                self._deliver(held.via, held.envelope, held.hops, now)
            else:
                self.stats.rejected["stale"] += 1

    def _deliver(self, peer: NodeId, envelope: Envelope, hops: int, now: Instant) -> None:
        try:
            payload = unpack(envelope.payload)
        except DecodeError as error:
            self.stats.rejected[error.reason] += 1
            return
        if not isinstance(payload, dict):
            self.stats.rejected["malformed"] += 1
            return
        stats, age = self.stats, max(0, envelope.age(now + self._settings.wall_offset))
        stats.delivered += 1
        stats.age.observe(age)
        stats.hops[hops] = stats.hops.get(hops, 0) + 1
        identifier, origin, packed = envelope.message_id, envelope.origin, envelope.payload
        self._actions.append(
            Deliver(message_id=identifier, origin=origin, payload=payload, packed=packed, hops=hops, age=age, via=peer)
        )

    def _receive_ids(self, peer: NodeId, lane: Lane, listed: list[bytes], urgency: int, now: Instant) -> None:
        is_missed = urgency == Urgency.MISSED and self._reconciler.spend(peer, len(listed))
        if not is_missed:
            self._admit(lane.admit_ids(len(listed), now))
        rtt = self.rtt(peer) or RTT_ASSUMED
        # A copy that is under way comes by itself; where packets are lost it may have to be repeated.
        grace = 3 * rtt if self._spreader.loss > LOSS_NOTED else 3 * rtt // 2
        ask_at = now + grace if urgency == Urgency.SOON else now
        patience = max(PATIENCE_MIN, 4 * rtt) if urgency == Urgency.SOON else WANT_TIMEOUT + 4 * rtt
        for identifier in listed:
            self._settle(peer, identifier)
            if identifier not in self._admission.seen:
                self.pulls.announced(identifier, peer, ask_at, patience, is_missed=is_missed)
            elif urgency == Urgency.SOON:
                first = self._admission.store.get(identifier)
                if first is not None:
                    self.mesh.arrived(peer, now - first.arrived_at)
        for asked, message_ids in self.pulls.overdue(now).items():
            self._request(asked, message_ids)

    def _receive_graft(self, peer: NodeId, wish: Wish, now: Instant) -> None:
        was_member = peer in self.mesh
        if not self.mesh.grafted(peer, wish, now):
            self._spreader.say([peer], encode(Act.PRUNE, BACKOFF // MILLISECOND))
        elif not was_member and peer in self.mesh:
            self.stats.grafts += 1
            # The other end learns what this one wishes of it.
            self._spreader.say([peer], encode(Act.GRAFT, int(self.mesh.wish(peer))))

    def _admit(self, is_admitted: bool) -> None:
        if not is_admitted:
            self.stats.rate_limited += 1
            raise DecodeError("rate_limited", "more ids or wishes than a peer may send")

    def _reject(self, peer: NodeId, reason: str) -> None:
        self.stats.rejected[reason] += 1
        if reason not in _BLAMELESS:
            self._actions.append(Blame(peer=peer, reason=reason))

    # --- sending ------------------------------------------------------------------------------------------------

    def _publish(self, kind: MessageType, payload: bytes, now: Instant, *, exclude: Sequence[NodeId] = ()) -> bytes:
        envelope = self._sealer.seal(kind, payload, now + self._settings.wall_offset)
        message = self._admission.accept(envelope, 0, now)
        self._reconciler.accepted(envelope.message_id, now)
        self._spreader.publish(envelope.message_id, message, now, exclude=exclude)
        return envelope.message_id

    def _request(self, peer: NodeId, message_ids: list[bytes]) -> None:
        self.stats.requested += len(message_ids)
        for start in range(0, len(message_ids), ANNOUNCED_IDS_MAX):
            part = message_ids[start : start + ANNOUNCED_IDS_MAX]
            first = next((identifier for identifier in part if self.pulls.is_first_round(identifier)), None)
            watched = (first,) if first is not None and self._promises.asked(peer, first) else ()
            data = encode_ids(Act.REQUEST, part)
            self._actions.append(Send(peers=(peer,), data=data, message_ids=watched, is_request=True))

    def _heard(self, peer: NodeId, now: Instant) -> None:
        if self._promises.is_broken(peer, now):
            self._actions.append(LetDown(peer=peer))

    def _graft(self, peers: list[NodeId]) -> None:
        self.stats.grafts += len(peers)
        for peer in peers:
            self._spreader.say([peer], encode(Act.GRAFT, int(self.mesh.wish(peer))))

    # --- receipts -----------------------------------------------------------------------------------------------

    def _report(self, message_id: bytes, now: Instant | None = None) -> None:
        """Tells how far it has come. now: whom to visit then, too."""
        if (receipt := self._receipts.get(message_id)) is not None:
            visits = () if now is None else receipt.visits(self._spreader.lanes, now)
            self._actions.append(receipt.report(message_id, visits))

    def _follow_up(self, now: Instant) -> None:
        """Asks the linked peers that have not shown that they have what is followed."""
        followed = self._receipts.followed()
        self._follow_at = now + FOLLOW_INTERVAL if followed else None
        for peer in self._spreader.lanes:
            asked = [
                identifier
                for identifier in followed
                if (receipt := self._receipts.get(identifier)) is not None and peer not in receipt.holders
            ]
            if asked:
                self._spreader.say([peer], encode_ids(Act.QUESTION, asked[:FOLLOWED_IDS]), reliable=False)
        for identifier in followed:
            self._report(identifier, now)

    # --- once a second ------------------------------------------------------------------------------------------

    def _maintain(self, now: Instant) -> None:
        lanes = self._spreader.lanes
        self._maintain_at = now + round(MAINTENANCE_INTERVAL * self._random.uniform(0.9, 1.1)) if lanes else None
        self._admission.store.expire(now)
        self._let_go(self._lives.decided(now), now)
        self._tune()
        grafted, pruned, changed = self.mesh.maintain(now)
        self._graft(grafted)
        self.stats.prunes += len(pruned)
        self._spreader.say(pruned, encode(Act.PRUNE, BACKOFF // MILLISECOND))
        for peer in changed:
            self._spreader.say([peer], encode(Act.GRAFT, int(self.mesh.wish(peer))))
        self._reconciler.maintain(now)
        stats, store = self.stats, self._admission.store
        stats.cached, stats.cached_bytes, stats.origins = len(store), store.size, len(self._admission.origins)
        stats.mesh_size, stats.eager_wanted = len(self.mesh), self.mesh.eager_wanted

    def _tune(self) -> None:
        self._spreader.loss = self.loss()
        accepted, duplicates = self.stats.accepted_large, self.stats.duplicates_large
        self.mesh.tune(self._spreader.loss, accepted - self._tuned[0], duplicates - self._tuned[1])
        self._tuned = accepted, duplicates
