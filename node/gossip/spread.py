"""Decides who gets a message, who is told of it, and when: the outgoing half of gossip.

Small bodies are pushed to the whole mesh at once, and by their author to as many other linked peers. Bodies over
SMALL_BODY_BYTES are pushed to the members that want them, and the others are told; bodies over LARGE_MESSAGE_BYTES are
told to everybody and pulled. Where everybody is linked with everybody the author reaches everybody itself, so that
relays push to a few only, by the loss that is measured, and tell the rest a little later, when most of them have it.

Every copy passes the lane of its peer, which keeps the sender within what the receiver allows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from node.gossip.actions import Action, Send, Withdraw
from node.gossip.frames import Act, Urgency, encode, encode_ids
from node.gossip.lane import Lane, Rank
from node.gossip.mesh import Mesh
from node.gossip.stats import GossipStats
from node.gossip.store import Retained, Store
from node.types import MILLISECOND, Duration, Instant, NodeId, Random
from node.wire.limits import ANNOUNCED_IDS_MAX, HOPS_MAX, LARGE_MESSAGE_BYTES, SERVES_MAX, SMALL_BODY_BYTES

__all__ = ["Spreader"]

HINT_DELAY: Duration = 50 * MILLISECOND
"""Time for which ids are gathered before a peer is told of them, shortened or lengthened by half at random: whoever
tells first spares the other the effort."""

DRAIN_INTERVAL: Duration = 10 * MILLISECOND
"""Time between two looks at copies that wait for the allowance of their peer."""

COMPLETE_COPIES = ((0.01, 1), (0.07, 2), (1.0, 5))
"""Copies that a relay pushes where the author reaches everybody, by the loss up to which they suffice. That five
are all lost is rarer than that the author's repetition is; more would only cost processor time."""

HEAVY_LOSS = 0.07
"""Share of lost packets above which a relay pushes a large body to one more, though the author sends it to everybody:
the copies of two that lose different packets are whole sooner than the repetitions of one."""

UNSPREAD_BYTES_MAX = 8 << 20
"""Bodies over LARGE_MESSAGE_BYTES of this node's own that it has told of and nobody has pulled yet, and a quarter of
what it retains at most: what falls from the store before somebody has it is lost."""


class Spreader:
    """The outgoing half. loss: share of packets lost on this node's links, 0 to 1."""

    def __init__(self, mesh: Mesh, store: Store, stats: GossipStats, actions: deque[Action], *, random: Random) -> None:
        self.loss = 0.0
        self.lanes: dict[NodeId, Lane] = {}
        self._mesh = mesh
        self._store = store
        self._stats = stats
        self._actions = actions
        self._random = random
        self._unspread: dict[bytes, int] = {}
        """Bytes of this node's own large bodies that were told of and that no other node is known to have."""
        self._hint_at: Instant | None = None
        self._drain_at: Instant | None = None

    # --- copies -------------------------------------------------------------------------------------------------

    def has_room(self, size: int) -> bool:
        """Whether a message of that size of this node's own finds room on half of its links at least.

        What is told of and pulled waits in the store, from which it must not fall before anybody has it.
        """
        if size > LARGE_MESSAGE_BYTES and self.lanes:
            self._unspread = {known: of for known, of in self._unspread.items() if self._store.get(known) is not None}
            most = min(UNSPREAD_BYTES_MAX, self._store.bytes_max // 4)
            if self._unspread and sum(self._unspread.values()) + size > most:
                return False
        ready = sum(lane.has_room(size) for lane in self.lanes.values())
        return 2 * ready >= len(self.lanes)

    def publish(self, message_id: bytes, message: Retained, now: Instant, *, exclude: Sequence[NodeId] = ()) -> None:
        """Sends a message of this node's own on its way. exclude: peers that get it from others only."""
        size = len(message.body)
        everybody = [peer for peer in self.lanes if peer not in exclude]
        if size > LARGE_MESSAGE_BYTES:
            if everybody:
                self._unspread[message_id] = size
            self.tell(everybody, [message_id], Urgency.NOW)
        elif size > SMALL_BODY_BYTES and not self._mesh.is_full:
            members = [peer for peer in everybody if peer in self._mesh]
            self._push(members, message_id, message, Rank.OWN, now)
            self.tell([peer for peer in everybody if peer not in self._mesh], [message_id], Urgency.SOON)
        else:
            self._push(self._first(everybody), message_id, message, Rank.OWN, now)

    def relay(self, message_id: bytes, message: Retained, holders: Sequence[NodeId], now: Instant) -> None:
        """Sends a message that has just arrived for the first time to everybody else who should have it from here.

        holders: peers that have shown that they have it, by a copy or by its id; first the one whose copy came.
        """
        others = [peer for peer in self._mesh.members() if peer != message.origin and peer not in holders]
        size = len(message.body)
        if size > LARGE_MESSAGE_BYTES:
            self.tell(others, [message_id], Urgency.NOW)
            return
        chosen = self._chosen(others, size, message.hops)
        self._stats.relayed += len(chosen)
        self._push(chosen, message_id, message, Rank.RELAY, now)
        pushed = dict.fromkeys(chosen)
        rest = [peer for peer in others if peer not in pushed]
        if self._mesh.is_full or size <= SMALL_BODY_BYTES:
            self._owe(rest, message_id, now)
        else:
            self.tell(rest, [message_id], Urgency.SOON)
        if size > SMALL_BODY_BYTES:
            told = (*rest, *holders[:1])
            senders = [peer for peer in self._mesh.senders(message.origin) if peer not in told]
            # What was lost of the copies that are still under way to this node need not be sent again.
            self.tell(senders, [message_id], Urgency.SOON, reliable=False)

    def serve(self, peer: NodeId, message_ids: Iterable[bytes], now: Instant) -> None:
        """Sends that peer what it asked for, as far as it is here, each at most SERVES_MAX times."""
        for message_id in message_ids:
            message = self._store.get(message_id)
            if message is None or peer not in self.lanes:
                continue
            if message.served is None:
                message.served = {}
            served, lane = message.served.get(peer, 0), self.lanes[peer]
            if served == SERVES_MAX or lane.is_sending(message_id):
                continue
            self._push([peer], message_id, message, Rank.REPAIR, now)
            if message_id not in lane.owed:
                message.served[peer] = served + 1
                self._stats.served += 1

    def failed(self, peer: NodeId, message_ids: Iterable[bytes], now: Instant) -> None:
        """That peer did not acknowledge a frame about these messages: it will be told of them again."""
        lane = self.lanes.get(peer)
        if lane is None:
            return
        for message_id in message_ids:
            lane.under_way.pop(message_id, None)
            message = self._store.get(message_id)
            if message is None:
                continue
            self._owe([peer], message_id, now)
            if message.served is not None and message.served.get(peer):
                message.served[peer] -= 1

    def done(self, peer: NodeId, message_ids: Iterable[bytes]) -> None:
        """That peer has acknowledged a copy of these messages."""
        lane = self.lanes.get(peer)
        for message_id in message_ids:
            self._unspread.pop(message_id, None)
            if lane is not None:
                lane.under_way.pop(message_id, None)

    def settle(self, peer: NodeId, message_id: bytes) -> None:
        """That peer has that message: what waits for it is not sent, and what was lost of a large copy not repeated."""
        lane = self.lanes[peer]
        lane.settle(message_id)
        self._unspread.pop(message_id, None)
        if message_id in lane.under_way:
            del lane.under_way[message_id]
            self._actions.append(Withdraw(peer=peer, message_id=message_id))

    # --- ids ----------------------------------------------------------------------------------------------------

    def tell(self, peers: list[NodeId], message_ids: list[bytes], urgency: Urgency, *, reliable: bool = True) -> None:
        """Tells each of these peers at once that these messages are here."""
        if not peers:
            return
        self._stats.announced += len(message_ids) * len(peers)
        for start in range(0, len(message_ids), ANNOUNCED_IDS_MAX):
            part = message_ids[start : start + ANNOUNCED_IDS_MAX]
            data = encode_ids(Act.HAVE, part, int(urgency))
            self._actions.append(
                Send(peers=tuple(peers), data=data, message_ids=tuple(part) if reliable else (), is_reliable=reliable)
            )

    def say(self, peers: Iterable[NodeId], data: bytes, *, reliable: bool = True) -> None:
        """Sends a frame whose loss needs no answer from here."""
        targets = tuple(peers)
        if targets:
            self._actions.append(Send(peers=targets, data=data, message_ids=(), is_reliable=reliable))

    # --- time ---------------------------------------------------------------------------------------------------

    def handle_timeout(self, now: Instant) -> None:
        """Tells and sends what is due."""
        if self._hint_at is not None and self._hint_at <= now:
            self._hint_at = None
            for peer, lane in self.lanes.items():
                if lane.owed:
                    due = [message_id for message_id in lane.owed if self._store.get(message_id) is not None]
                    lane.owed.clear()
                    # One datagram of hints may be lost like any other; the digest shows what that cost.
                    self.tell([peer], due, Urgency.SOON, reliable=False)
        if self._drain_at is not None and self._drain_at <= now:
            self._drain_at = None
            for peer, lane in self.lanes.items():
                for message_id in lane.due(now):
                    message = self._store.get(message_id)
                    if message is not None:
                        self._send([peer], message_id, message)
                if lane.size:
                    self._drain_at = now + DRAIN_INTERVAL

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` is due."""
        if self._hint_at is None or self._drain_at is None:
            return self._drain_at if self._hint_at is None else self._hint_at
        return min(self._hint_at, self._drain_at)

    # --- private ------------------------------------------------------------------------------------------------

    def _first(self, everybody: list[NodeId]) -> list[NodeId]:
        """Whom an author pushes a small body: the mesh, and as many others again, which saves the last ones a hop."""
        if self._mesh.is_complete:
            return everybody
        others = [peer for peer in everybody if peer not in self._mesh]
        extra = self._random.sample(others, min(len(self._mesh), len(others)))
        return [peer for peer in everybody if peer in self._mesh] + extra

    def _chosen(self, others: list[NodeId], size: int, hops: int) -> list[NodeId]:
        mesh = self._mesh
        is_small = size <= SMALL_BODY_BYTES
        if not is_small and mesh.is_full and hops == 1:
            return self._random.sample(others, min(len(others), 1)) if self.loss > HEAVY_LOSS else []
        if not is_small or not mesh.is_complete:
            wanting = [peer for peer in others if mesh.wants_body(peer, is_small=is_small)]
            if is_small and len(wanting) > mesh.copies_max:
                return self._random.sample(wanting, mesh.copies_max)
            return wanting
        loss = 0.0 if mesh.is_guarded else self.loss
        count = next(copies for most, copies in COMPLETE_COPIES if loss <= most)
        return self._random.sample(others, count) if len(others) > count else others

    def _push(self, peers: list[NodeId], message_id: bytes, message: Retained, rank: Rank, now: Instant) -> None:
        size = len(message.body)
        ready = []
        for peer in peers:
            lane = self.lanes[peer]
            if lane.offer(message_id, size, rank, now):
                ready.append(peer)
            elif lane.size and self._drain_at is None:
                self._drain_at = now + DRAIN_INTERVAL
            elif lane.owed:
                self._stats.overflows += 1
                self._arm_hints(now)
        self._send(ready, message_id, message)

    def _send(self, peers: list[NodeId], message_id: bytes, message: Retained) -> None:
        if peers:
            if len(message.body) > SMALL_BODY_BYTES:
                for peer in peers:
                    self.lanes[peer].under_way[message_id] = None
            # Nothing proves a number of hops: one that a liar chose must not keep a message away from anybody.
            data = encode(Act.MESSAGE, min(message.hops + 1, HOPS_MAX), message.body, message.signature)
            self._actions.append(Send(peers=tuple(peers), data=data, message_ids=(message_id,), is_copy=True))

    def _owe(self, peers: Iterable[NodeId], message_id: bytes, now: Instant) -> None:
        for peer in peers:
            self.lanes[peer].owe(message_id)
            self._arm_hints(now)

    def _arm_hints(self, now: Instant) -> None:
        if self._hint_at is None:
            self._hint_at = now + round(HINT_DELAY * self._random.uniform(0.5, 1.5))
