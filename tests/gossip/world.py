"""Gossip machines by themselves: a network with frames carried by hand, and one node with two peers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from node.gossip.actions import Accuse, Blame, Deliver, Followed, LetDown, Notice, Send, Withdraw
from node.gossip.gossip import Gossip
from node.gossip.settings import GossipSettings
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer
from node.messages.frame import parse_frame
from node.messages.packing import Value, pack
from node.messages.types import MessageType
from node.types import MILLISECOND, SECOND, Instant, NodeId

WALL = 1_700_000_000 * SECOND
EPOCH = WALL // MILLISECOND
STRANGER, CAROL = Identity(b"s" * 32), Identity(b"c" * 32)


def make_gossip(identity: Identity, *, epoch: int = EPOCH, population: int = 2, **changes: Any) -> Gossip:
    gossip = Gossip(
        identity,
        GossipSettings(network_id="net", epoch=epoch, wall_offset=WALL, **changes),
        random=Random(identity.node_id),
    )
    gossip.set_population(population, 0)
    return gossip


class Mesh:
    """Gossip machines whose frames arrive after 10 ms, or fail when `loses` says so, and which beat twice a second.

    hears: whether a heartbeat arrives. population: nodes of which the machines believe to be part.
    """

    def __init__(self, size: int, *, population: int | None = None, **changes: Any) -> None:
        self.now: Instant = 0
        self.identities = [Identity(bytes([number + 1]) * 32) for number in range(size)]
        self.ids = [identity.public_key for identity in self.identities]
        self.nodes = {
            identity.public_key: make_gossip(identity, population=population or size, **changes)
            for identity in self.identities
        }
        self.links: dict[tuple[NodeId, NodeId], None] = {}
        self.hears: Callable[[NodeId, NodeId], bool] = lambda source, target: True
        self.delivered: dict[NodeId, list[Deliver]] = {node_id: [] for node_id in self.ids}
        self.blamed: list[Blame | LetDown | Accuse] = []
        self.followed: dict[bytes, Followed] = {}
        self.copies = 0
        self.under_way: list[tuple[NodeId, NodeId, Send]] = []
        self.loses: Callable[[NodeId, NodeId], bool] = lambda source, target: False

    def link(self, first: int, second: int) -> None:
        self.links[(self.ids[first], self.ids[second])] = None
        self.nodes[self.ids[first]].peer_up(self.ids[second], self.now, is_outbound=True)
        self.nodes[self.ids[second]].peer_up(self.ids[first], self.now, is_outbound=False)

    def cut(self, first: int, second: int) -> None:
        del self.links[(self.ids[first], self.ids[second])]
        self.nodes[self.ids[first]].peer_down(self.ids[second], self.now)
        self.nodes[self.ids[second]].peer_down(self.ids[first], self.now)

    def beat(self) -> None:
        for first, second in self.links:
            for source, target in ((first, second), (second, first)):
                if self.hears(source, target):
                    self.nodes[target].digest_heard(source, self.nodes[source].digest(), self.now)

    def link_all(self) -> None:
        for first in range(len(self.ids)):
            for second in range(first):
                self.link(first, second)

    def publish(self, number: int, payload: dict[str, Value]) -> bytes:
        return self.nodes[self.ids[number]].publish(payload, self.now)

    def run(self, seconds: float) -> None:
        end = self.now + round(seconds * SECOND)
        while self.now < end:
            self.step()

    def step(self) -> None:
        self.now += 10 * MILLISECOND
        if self.now % (SECOND // 2) == 0:
            self.beat()
        arriving, self.under_way = self.under_way, []
        for source, target, send in arriving:
            is_lost = self.loses(source, target)
            if send.is_request:
                for message_id in send.message_ids:
                    self.nodes[source].request_sent(target, message_id, self.now, is_acked=not is_lost)
            elif is_lost and send.message_ids:
                self.nodes[source].send_failed(target, send.message_ids, self.now)
            elif send.is_copy:
                self.nodes[source].send_acked(target, send.message_ids)
            if not is_lost:
                fields = parse_frame(send.data).fields
                self.copies += fields[0] == 0
                self.nodes[target].receive(source, fields, self.now)
        for node_id, node in self.nodes.items():
            due = node.next_timeout()
            if due is not None and due <= self.now:
                node.handle_timeout(self.now)
            self.drain(node_id)

    def drain(self, node_id: NodeId) -> None:
        while (action := self.nodes[node_id].poll_action()) is not None:
            match action:
                case Send():
                    self.under_way += [(node_id, peer, action) for peer in action.peers]
                case Deliver():
                    self.delivered[node_id].append(action)
                case Blame() | LetDown() | Accuse():
                    self.blamed.append(action)
                case Followed():
                    self.followed[action.message_id] = action
                case Notice() | Withdraw():
                    pass

    def counts(self, message_id: bytes) -> list[int]:
        """How often each node delivered that message."""
        return [[seen.message_id for seen in self.delivered[node_id]].count(message_id) for node_id in self.ids]


class Single:
    """One node with two peers."""

    def __init__(self) -> None:
        self.own = Identity(b"o" * 32)
        self.node = make_gossip(self.own)
        self.peer, self.other = NodeId(b"p" * 32), NodeId(b"q" * 32)
        self.node.peer_up(self.peer, 0)
        self.node.peer_up(self.other, 0)
        self.actions()

    def receive(self, *fields: Value, now: Instant = 0) -> list[Any]:
        self.node.receive(self.peer, list(fields), now)
        return self.actions()

    def message(self, envelope: Envelope, hops: int = 1, now: Instant = 0) -> list[Any]:
        return self.receive(0, hops, envelope.body, envelope.signature, now=now)

    def actions(self) -> list[Any]:
        actions = []
        while (action := self.node.poll_action()) is not None:
            actions.append(action)
        return actions


def seal(
    payload: bytes = pack({}),
    *,
    author: Identity = STRANGER,
    kind: int = MessageType.GOSSIP_MESSAGE,
    network_id: str = "net",
    at: Instant = 0,
) -> Envelope:
    return Sealer(author, network_id=network_id, epoch=EPOCH).seal(kind, payload, WALL + at)
