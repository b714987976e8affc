"""Misdeeds of connected peers: one function per generator, called for each of them at each of its turns.

A peer is a whole node of ours whose mouth is borrowed: handshakes, heartbeats and acknowledgements stay what they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import count

from node.core import mouth
from node.gossip.frames import Act, Urgency, encode, encode_ids
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer, message_id
from node.messages.frame import encode_frame
from node.messages.packing import pack, unpack_list
from node.messages.types import MessageType
from node.node import Node
from node.peers.notices import Accused, Presence, accusation
from node.trust.statements import statement_payload
from node.types import MILLISECOND, NodeId
from node.wire.limits import ANNOUNCED_IDS_MAX, STATEMENT_LIFE

__all__ = ["MISDEEDS", "Mouth"]

LARGE = 200_000
NUMBERS = count(1)


class Mouth:
    """What one hostile peer can say, past every service of its node. spoken: frames that the transport took."""

    def __init__(self, node: Node) -> None:
        self._engine = node._running()
        machine = self._engine.machine
        self._mouth = mouth.Mouth(machine)
        self.network_id = machine.settings.network_id
        self.identity = machine.identity
        self.epoch = self.wall // MILLISECOND + 1
        self.own = self.sealer(self.identity)

    @property
    def spoken(self) -> int:
        return self._mouth.said

    @property
    def wall(self) -> int:
        return self._engine.now() + self._engine.wall_offset

    def sealer(self, identity: Identity, epoch: int = 0) -> Sealer:
        return Sealer(identity, network_id=self.network_id, epoch=epoch or self.epoch)

    def sign(self, sealer: Sealer, payload: bytes, kind: int = MessageType.GOSSIP_MESSAGE) -> Envelope:
        return sealer.seal(kind, payload, self.wall)

    def say(self, frame: bytes, to: NodeId) -> None:
        """Says that to the node under attack."""
        peer = self._engine.machine.peers.table.get(to)
        if peer is not None:
            self._mouth.say(peer, frame, self._engine.now())

    def pump(self) -> None:
        """Sends what was said."""
        self._engine.pump()


Frames = Iterable[bytes]


def flood(mouth: Mouth) -> Frames:
    """Valid messages, ids of nothing, requests and noise."""
    ids = [os.urandom(16) for _ in range(ANNOUNCED_IDS_MAX)]
    yield _message(mouth.sign(mouth.own, pack({"x": os.urandom(200)})))
    yield encode_ids(Act.HAVE, ids, int(Urgency.NOW))
    yield encode_ids(Act.REQUEST, ids)
    yield os.urandom(150)


def replay(mouth: Mouth) -> Frames:
    """One message a hundred times, with all hop counts."""
    envelope = mouth.sign(mouth.own, pack({"x": 1}))
    for hops in range(100):
        yield encode(Act.MESSAGE, 1 + hops % 12, envelope.body, envelope.signature)


def bad_signature(mouth: Mouth) -> Frames:
    """Altered signatures in the names of ever new authors."""
    envelope = mouth.sign(mouth.sealer(_stranger()), pack({"x": os.urandom(200)}))
    yield encode(Act.MESSAGE, 1, envelope.body, bytes(64 - 8) + os.urandom(8))


def equivocation(mouth: Mouth) -> Frames:
    """Pairs of messages with one number, each pair by another author."""
    stranger = _stranger()
    for _ in range(2):
        yield _message(mouth.sign(mouth.sealer(stranger), pack({"x": os.urandom(500)})))


def authors(mouth: Mouth) -> Frames:
    """Valid messages of authors that were never heard of."""
    for _ in range(5):
        yield _message(mouth.sign(mouth.sealer(_stranger()), pack({"x": os.urandom(100)})))


def lives(mouth: Mouth) -> Frames:
    """One author that begins again with every message."""
    for _ in range(5):
        sealer = mouth.sealer(mouth.identity, mouth.epoch + next(NUMBERS))
        yield _message(mouth.sign(sealer, pack({"x": 1})))


def gaps(mouth: Mouth) -> Frames:
    """Numbers with holes between them, by ever new authors."""
    sealer = mouth.sealer(_stranger())
    for _ in range(4):
        for _ in range(50):
            envelope = mouth.sign(sealer, b"\x80")
        yield _message(envelope)


def large(mouth: Mouth) -> Frames:
    """Valid messages of 200 kB: as much as a peer may say, and more."""
    yield _message(mouth.sign(mouth.own, pack({"x": os.urandom(LARGE)})))


def empty(mouth: Mouth) -> Frames:
    """Valid messages of nothing, as many as a peer may say: bookkeeping outweighs them."""
    for _ in range(10):
        yield _message(mouth.sign(mouth.own, b"\x80"))


def promises(mouth: Mouth) -> Frames:
    """Ids that nobody can fetch."""
    envelope = mouth.sign(mouth.own, pack({"x": 1}))
    ids = [message_id(envelope.body, os.urandom(64)) for _ in range(ANNOUNCED_IDS_MAX)]
    yield encode_ids(Act.HAVE, ids, int(Urgency.MISSED))


def syncs(mouth: Mouth) -> Frames:
    """Claims of having everything, by authors that do not exist."""
    rows = [[os.urandom(8), mouth.epoch, 1 << 40, os.urandom(512)] for _ in range(20)]
    yield encode(Act.SYNC, 2, os.urandom(8), 0, b"", b"", rows, 0)


def members(mouth: Mouth) -> Frames:
    """Nodes that do not exist: as addresses, as presences they signed, as accused."""
    records = [[os.urandom(32), f"10.{n}.{n}.{os.urandom(1)[0]}", 9000, 9001] for n in os.urandom(14)]
    yield encode_frame(MessageType.PEER_ANNOUNCEMENT, records)
    presence = Presence(incarnation=mouth.epoch, host="10.1.1.1", udp_port=9, tcp_port=9, name="nobody").packed()
    yield _message(mouth.sign(mouth.sealer(_stranger()), presence, MessageType.MEMBER))
    accused = accusation([Accused(NodeId(os.urandom(32)), 1) for _ in range(8)])
    yield _message(mouth.sign(mouth.own, accused, MessageType.SUSPECT))


def statements(mouth: Mouth) -> Frames:
    """What it thinks of nodes that do not exist."""
    for _ in range(10):
        payload = statement_payload(NodeId(os.urandom(32)), 1.0, mouth.wall + STATEMENT_LIFE)
        envelope = mouth.sign(mouth.own, payload, MessageType.TRUST_UPDATE)
        yield encode_frame(MessageType.TRUST_UPDATE, [envelope.body, envelope.signature])


def nonsense(mouth: Mouth) -> Frames:
    """Deep, wide and broken values."""
    yield b"\x91" * 2000
    yield pack([6, 0, 1, [[]] * 1000, b""])
    fields = unpack_list(mouth.sign(mouth.own, pack({"x": 1})).body, 9)
    for index in range(9):
        yield encode(Act.MESSAGE, 1, pack([*fields[:index], os.urandom(40), *fields[index + 1 :]]), os.urandom(64))


MISDEEDS: Mapping[str, Callable[[Mouth], Frames]] = {
    made.__name__: made
    for made in (
        flood, replay, bad_signature, equivocation, authors, lives, gaps, large, empty, promises, syncs, members,
        statements, nonsense,
    )
}  # fmt: skip


def _stranger() -> Identity:
    return Identity(os.urandom(32))


def _message(envelope: Envelope) -> bytes:
    return encode(Act.MESSAGE, 1, envelope.body, envelope.signature)
