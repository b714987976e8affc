"""Spreads signed messages to every node, each delivered once.

The author pushes a message to all of its peers; whoever gets it first pushes it on to a few others and announces it to
the rest, which ask for it if they lack it. An acknowledged copy is done, a failed one is announced again, and a peer
that comes up is told of everything recent: every message reaches every node that any path leads to. A copy costs one
hash; the signature is verified once per message, and no state changes before it holds.

    frame = [GOSSIP_MESSAGE, 0, hops, body, signature]   a message; hops counts this link
            [GOSSIP_MESSAGE, 1, [id...]]                 announcement: I have these
            [GOSSIP_MESSAGE, 2, [id...]]                 request: send me these

Knows nothing of connections and addresses. Input comes from the node machine, decoded frames with the peer they came
from; output are actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from node.errors import DecodeError, UsageError
from node.gossip.actions import Accuse, Action, Blame, Deliver, Send
from node.gossip.settings import GossipSettings
from node.gossip.stats import GossipStats
from node.gossip.store import Retained, SeenIds, Store
from node.gossip.wants import Wants
from node.gossip.window import OriginTable
from node.identity.keys import Identity
from node.messages.envelope import (
    MESSAGE_ID_BYTES,
    Envelope,
    Sealer,
    check_network,
    check_signature,
    message_id,
    parse_envelope,
    signing_domain,
)
from node.messages.equivocation import Equivocation, FirstMessages
from node.messages.frame import encode_frame
from node.messages.packing import Value, pack, unpack
from node.messages.types import MessageType
from node.types import MILLISECOND, Duration, Instant, NodeId, Random
from node.wire.limits import (
    ANNOUNCED_IDS_MAX,
    CLOCK_AHEAD_MAX,
    HOPS_MAX,
    LARGE_MESSAGE_BYTES,
    MESSAGE_AGE_MAX,
    RETAINED_MESSAGES_MAX,
    SERVES_MAX,
)

__all__ = ["Gossip"]

_MESSAGE, _ANNOUNCEMENT, _REQUEST = 0, 1, 2

ANNOUNCE_GRACE: Duration = 200 * MILLISECOND
"""A message this young is not announced yet: the copies that are under way will mostly make it needless."""

_BLAMELESS = ("stale", "future", "replayed", "equivocating", "own_origin", "unknown_kind")
"""Refusals that honest peers cause too: clocks differ, tables forget, versions grow."""


class Gossip:
    """The gossip service of one node. After each call, drain `poll_action`."""

    def __init__(self, identity: Identity, settings: GossipSettings, *, random: Random) -> None:
        self.stats = GossipStats()
        self._own_id = identity.public_key
        self._settings = settings
        self._random = random
        self._sealer = Sealer(identity, network_id=settings.network_id, epoch=settings.epoch)
        self._domain = signing_domain(settings.network_id)
        self._seen = SeenIds()
        self._origins = OriginTable()
        self._firsts = FirstMessages()
        self._store = Store()
        self._wants = Wants()
        self._owed: dict[NodeId, dict[bytes, None]] = {}
        self._actions: deque[Action] = deque()
        self._announce_at: Instant | None = None

    # --- inputs -------------------------------------------------------------------------------------------------

    def peer_up(self, peer: NodeId, now: Instant) -> None:
        """An active peer is there; it will be told of everything recent."""
        self._owed[peer] = dict.fromkeys(self._store.ids())
        self._arm(now)

    def peer_down(self, peer: NodeId) -> None:
        """An active peer is gone."""
        self._owed.pop(peer, None)

    def publish(self, payload: dict[str, Value], now: Instant) -> bytes:
        """Sends a message of this node's own to all peers; its id. UsageError for what cannot travel."""
        if not isinstance(payload, dict):
            raise UsageError(f"a broadcast is a dict, not a {type(payload).__name__}")
        envelope = self._sealer.seal(MessageType.GOSSIP_MESSAGE, pack(payload), self._wall(now))
        self.stats.published += 1
        self._keep(envelope, 0, now)
        self._push(tuple(self._owed), envelope.message_id, envelope.body, envelope.signature, 1)
        self._arm(now)
        return envelope.message_id

    def receive(self, peer: NodeId, fields: list[Value], now: Instant) -> None:
        """A gossip frame from that peer; never raises for any fields."""
        try:
            self._receive(peer, fields, now)
        except DecodeError as error:
            self._reject(peer, error.reason)
        self._arm(now)

    def send_failed(self, peer: NodeId, message_ids: Sequence[bytes]) -> None:
        """That peer did not acknowledge a frame with these messages: it will be told of them again."""
        self.stats.failed_sends += 1
        owed = self._owed.get(peer)
        if owed is not None:
            for identifier in message_ids:
                self._owe(owed, identifier)
                message = self._store.get(identifier)
                if message is not None and message.served.get(peer):
                    message.served[peer] -= 1

    def handle_timeout(self, now: Instant) -> None:
        """Announces and asks again whatever is due."""
        for peer, message_ids in self._wants.overdue(now).items():
            self._request(peer, message_ids)
        if self._announce_at is not None and self._announce_at <= now:
            self._announce_at = None
            self._store.expire(now)
            for peer, owed in self._owed.items():
                self._announce(peer, owed, now)
            self._update_gauges()
        self._arm(now)

    # --- outputs ------------------------------------------------------------------------------------------------

    def poll_action(self) -> Action | None:
        """The next thing to do, oldest first."""
        return self._actions.popleft() if self._actions else None

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` is due."""
        wanted_at = self._wants.next_timeout()
        if wanted_at is None or self._announce_at is None:
            return self._announce_at if wanted_at is None else wanted_at
        return min(wanted_at, self._announce_at)

    # --- receiving ----------------------------------------------------------------------------------------------

    def _receive(self, peer: NodeId, fields: list[Value], now: Instant) -> None:
        match fields:
            case [int(action), int(hops), bytes(body), bytes(signature), *_] if action == _MESSAGE:
                self._receive_message(peer, hops, body, signature, now)
            case [int(action), list(listed), *_] if action == _ANNOUNCEMENT:
                self._receive_announcement(peer, _ids_of(listed), now)
            case [int(action), list(listed), *_] if action == _REQUEST:
                self._receive_request(peer, _ids_of(listed))
            case [int(action), *_] if action > _REQUEST:
                raise DecodeError("unknown_kind", f"gossip action {action}")
            case _:
                raise DecodeError("malformed", "a gossip frame of another shape")

    def _receive_message(self, peer: NodeId, hops: int, body: bytes, signature: bytes, now: Instant) -> None:
        identifier = message_id(body, signature)
        self._settle(peer, identifier)
        if identifier in self._seen:
            self.stats.duplicates += 1
            return
        if not 1 <= hops <= HOPS_MAX:
            raise DecodeError("too_many_hops", str(hops))
        try:
            envelope = parse_envelope(body, signature)
            self._check(peer, envelope, now)
        except DecodeError as error:
            if error.reason != "future":
                # The id names exactly these bytes, and these bytes will never be right: a copy costs one hash.
                self._seen.add(identifier)
                self._wants.arrived(identifier)
            raise
        self._accept(peer, envelope, hops, now)

    def _check(self, peer: NodeId, envelope: Envelope, now: Instant) -> None:
        age = envelope.age(self._wall(now))
        if envelope.kind != MessageType.GOSSIP_MESSAGE and envelope.kind <= max(MessageType):
            raise DecodeError("unexpected", f"kind {envelope.kind} in gossip")
        if envelope.origin == self._own_id:
            raise DecodeError("own_origin")
        check_network(envelope, self._domain)
        if age > MESSAGE_AGE_MAX:
            raise DecodeError("stale")
        if age < -CLOCK_AHEAD_MAX:
            raise DecodeError("future")
        if not self._origins.is_new(envelope.origin, envelope.epoch, envelope.sequence):
            self._check_again(peer, envelope)
            raise DecodeError("replayed")
        check_signature(envelope, self._domain, peer)

    def _check_again(self, peer: NodeId, envelope: Envelope) -> None:
        """Another message with a number that was seen: evidence against its author, if that author signed it."""
        identifier = self._firsts.id_of(envelope)
        kept = self._store.get(identifier) if identifier is not None else None
        if kept is None or kept.body == envelope.body:
            return
        check_signature(envelope, self._domain, peer)
        self._actions.append(Accuse(evidence=Equivocation(parse_envelope(kept.body, kept.signature), envelope)))
        raise DecodeError("equivocating")

    def _accept(self, peer: NodeId, envelope: Envelope, hops: int, now: Instant) -> None:
        was_wanted = self._wants.arrived(envelope.message_id)
        self._origins.mark(envelope.origin, envelope.epoch, envelope.sequence)
        self._firsts.add(envelope)
        if was_wanted and envelope.timestamp < self._settings.epoch:
            # Asked for after a restart: an earlier life of this node may have delivered it.
            self._seen.add(envelope.message_id)
            raise DecodeError("stale")
        self._keep(envelope, hops, now)
        if envelope.kind == MessageType.GOSSIP_MESSAGE:
            self._deliver(peer, envelope, hops, was_wanted=was_wanted, now=now)
        else:
            self.stats.rejected["unknown_kind"] += 1
        self._relay(peer, envelope, hops)

    def _deliver(self, peer: NodeId, envelope: Envelope, hops: int, *, was_wanted: bool, now: Instant) -> None:
        try:
            payload = unpack(envelope.payload)
        except DecodeError as error:
            self.stats.rejected[error.reason] += 1
            return
        if not isinstance(payload, dict):
            self.stats.rejected["malformed"] += 1
            return
        stats = self.stats
        age = max(0, envelope.age(self._wall(now)))
        stats.delivered += 1
        stats.repaired += was_wanted
        stats.age.observe(age)
        stats.hops[hops] = stats.hops.get(hops, 0) + 1
        self._actions.append(
            Deliver(
                message_id=envelope.message_id, origin=envelope.origin, payload=payload, hops=hops, age=age, via=peer
            )
        )

    def _relay(self, peer: NodeId, envelope: Envelope, hops: int) -> None:
        others = [other for other in self._owed if other not in (peer, envelope.origin)]
        if hops >= HOPS_MAX:
            return
        if len(envelope.body) > LARGE_MESSAGE_BYTES:
            chosen = []
        elif len(others) > self._settings.fanout:
            chosen = self._random.sample(others, self._settings.fanout)
        else:
            chosen = others
        self.stats.relayed += len(chosen)
        self._push(tuple(chosen), envelope.message_id, envelope.body, envelope.signature, hops + 1)
        pushed = dict.fromkeys(chosen)
        for other in others:
            if other not in pushed:
                self._owe(self._owed[other], envelope.message_id)

    def _receive_announcement(self, peer: NodeId, message_ids: list[bytes], now: Instant) -> None:
        missing = []
        for identifier in message_ids:
            self._settle(peer, identifier)
            if identifier not in self._seen and self._wants.announced(identifier, peer, now):
                missing.append(identifier)
        if missing:
            self._request(peer, missing)

    def _receive_request(self, peer: NodeId, message_ids: list[bytes]) -> None:
        for identifier in message_ids:
            message = self._store.get(identifier)
            if message is None or message.served.get(peer, 0) >= SERVES_MAX:
                continue
            message.served[peer] = message.served.get(peer, 0) + 1
            self.stats.served += 1
            self._push((peer,), identifier, message.body, message.signature, message.hops + 1)

    def _reject(self, peer: NodeId, reason: str) -> None:
        self.stats.rejected[reason] += 1
        if reason not in _BLAMELESS:
            self._actions.append(Blame(peer=peer, reason=reason))

    # --- sending ------------------------------------------------------------------------------------------------

    def _push(self, peers: tuple[NodeId, ...], identifier: bytes, body: bytes, signature: bytes, hops: int) -> None:
        if peers:
            data = encode_frame(MessageType.GOSSIP_MESSAGE, [_MESSAGE, hops, body, signature])
            self._actions.append(Send(peers=peers, data=data, message_ids=(identifier,)))

    def _request(self, peer: NodeId, message_ids: list[bytes]) -> None:
        self.stats.requested += len(message_ids)
        for start in range(0, len(message_ids), ANNOUNCED_IDS_MAX):
            listed: list[Value] = [*message_ids[start : start + ANNOUNCED_IDS_MAX]]
            data = encode_frame(MessageType.GOSSIP_MESSAGE, [_REQUEST, listed])
            self._actions.append(Send(peers=(peer,), data=data, message_ids=()))

    def _announce(self, peer: NodeId, owed: dict[bytes, None], now: Instant) -> None:
        due: list[Value] = []
        for identifier in list(owed):
            message = self._store.get(identifier)
            if message is None:
                del owed[identifier]
            elif now - message.arrived_at >= ANNOUNCE_GRACE and len(due) < ANNOUNCED_IDS_MAX:
                due.append(identifier)
                del owed[identifier]
        if due:
            self.stats.announced += len(due)
            data = encode_frame(MessageType.GOSSIP_MESSAGE, [_ANNOUNCEMENT, due])
            announced = tuple(identifier for identifier in due if isinstance(identifier, bytes))
            self._actions.append(Send(peers=(peer,), data=data, message_ids=announced))

    # --- bookkeeping --------------------------------------------------------------------------------------------

    def _keep(self, envelope: Envelope, hops: int, now: Instant) -> None:
        self._seen.add(envelope.message_id)
        self._store.expire(now)
        self._store.add(envelope.message_id, Retained(envelope.body, envelope.signature, hops, now))
        self._update_gauges()

    def _owe(self, owed: dict[bytes, None], identifier: bytes) -> None:
        owed[identifier] = None
        if len(owed) > RETAINED_MESSAGES_MAX:
            del owed[next(iter(owed))]

    def _settle(self, peer: NodeId, identifier: bytes) -> None:
        owed = self._owed.get(peer)
        if owed is not None:
            owed.pop(identifier, None)

    def _update_gauges(self) -> None:
        self.stats.cached = len(self._store)
        self.stats.cached_bytes = self._store.size
        self.stats.origins = len(self._origins)

    def _arm(self, now: Instant) -> None:
        if self._announce_at is None and len(self._store):
            interval = self._settings.announce_interval
            self._announce_at = now + round(interval * self._random.uniform(0.9, 1.1))

    def _wall(self, now: Instant) -> Duration:
        return now + self._settings.wall_offset


def _ids_of(listed: list[Value]) -> list[bytes]:
    if len(listed) > ANNOUNCED_IDS_MAX:
        raise DecodeError("too_large", f"{len(listed)} ids")
    ids = [identifier for identifier in listed if isinstance(identifier, bytes) and len(identifier) == MESSAGE_ID_BYTES]
    if len(ids) != len(listed):
        raise DecodeError("malformed", "an id has 16 bytes")
    return ids
