"""Nodes that misuse the protocol on authenticated links: what an attacker with a key of its own can do.

Each role takes a whole machine and changes what goes out of its mouth: frames are withheld, invented, altered or said
again. Roles know the wire format of frames; what they count is in the node's `bag`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from node.core.mouth import Mouth
from node.gossip.frames import Act, Urgency, encode, encode_ids
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer, message_id
from node.messages.frame import encode_frame
from node.messages.packing import Value, pack, unpack_list
from node.messages.types import MessageType
from node.peers.notices import Presence
from node.peers.table import Peer
from node.sim.nodes import WALL, Role, SimNode, address_of
from node.trust.statements import statement_payload
from node.types import SECOND, Instant, NodeId
from node.wire.limits import ANNOUNCED_IDS_MAX, STATEMENT_LIFE

if TYPE_CHECKING:
    from node.sim.network import Network

__all__ = [
    "DROPPER",
    "ECLIPSER",
    "EQUIVOCATOR",
    "FORGER",
    "HOSTILE",
    "REPLAYER",
    "SLANDERER",
    "SPAMMER",
    "SYBIL",
    "Villain",
]

NETWORK_ID = "positron"

INVENTED_PER_ACT = 3
"""Members that a sybil invents and signs for at a time, six per second."""

INVENTED_AFTER = 10
"""Half seconds after its start when it begins: who joins a flooded network has nobody's word that is worth anything."""

CROWD = 12
"""Identities without a node of their own that a slanderer speaks for."""


class Villain:
    """A hostile node in virtual time, and its mouth."""

    def __init__(self, network: Network, node: SimNode) -> None:
        self.network = network
        self.node = node
        self.random = Random(node.random.getrandbits(64))  # noqa: S311  # a simulation must repeat itself
        self.mouth = Mouth(node.machine)
        self._is_stopped = False
        self._life = node.life
        self._host = node.host
        node.bag["villain"] = self

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Does that again and again for as long as the node lives, and carries out what it said."""

        def again() -> None:
            if self.node.life == self._life and self.node.is_alive and not self._is_stopped:
                act()
                assert self._host is not None
                self.network.world.drain(self._host)
                self.network.at(seconds, again)

        self.network.at(seconds, again)

    def stop(self) -> None:
        """Behaves from now on."""
        self._is_stopped = True
        self.mouth.withholds = lambda _: False

    def peers(self) -> list[Peer]:
        """Whom it can speak to."""
        return self.mouth.peers()

    def say(self, peer: Peer, frame: bytes) -> None:
        """Says anything to that peer, past every service of the node."""
        self.mouth.say(peer, frame, self.now)

    def sealer(self) -> Sealer:
        """Signs as the node itself, apart from its own numbers."""
        return Sealer(self.node.identity, network_id=NETWORK_ID, epoch=self.node.epoch + 1)

    @property
    def now(self) -> Instant:
        assert self._host is not None
        return self.network.world.clock_of(self._host)

    @property
    def wall(self) -> Instant:
        return WALL + self.network.world.now


# --- the roles


def _drop(network: Network, node: SimNode) -> Villain:
    """Takes every message, tells of it, and passes none on."""
    villain = Villain(network, node)
    villain.mouth.withholds = villain.mouth.is_of_others
    return villain


def _spam(network: Network, node: SimNode) -> None:
    """Ten times as much as anybody may say: valid messages of its own, ids of nothing, requests, and noise."""
    villain = Villain(network, node)
    sealer = villain.sealer()

    def act() -> None:
        random = villain.random
        for _ in range(10):
            envelope = sealer.seal(MessageType.GOSSIP_MESSAGE, pack({"spam": random.randbytes(200)}), villain.wall)
            frame = encode(Act.MESSAGE, 1, envelope.body, envelope.signature)
            for peer in villain.peers():
                villain.say(peer, frame)
        ids = [random.randbytes(16) for _ in range(ANNOUNCED_IDS_MAX)]
        for peer in villain.peers():
            villain.say(peer, encode_ids(Act.HAVE, ids, int(Urgency.NOW)))
            villain.say(peer, encode_ids(Act.REQUEST, ids))
            villain.say(peer, random.randbytes(random.randrange(1, 200)))

    villain.every(0.05, act)


def _replay(network: Network, node: SimNode) -> None:
    """Says again what others said, seconds and minutes later, with another hop count."""
    villain = Villain(network, node)

    def act() -> None:
        heard = list(villain.mouth.heard)
        for body, signature in villain.random.sample(heard, min(20, len(heard))):
            frame = encode(Act.MESSAGE, villain.random.randrange(1, 8), body, signature)
            for peer in villain.peers():
                villain.say(peer, frame)

    villain.every(0.5, act)


def _forge(network: Network, node: SimNode) -> None:
    """Alters what others said, invents messages in their names, and dates its own wrongly.

    Bad signatures come one per second to each peer: fewer than what costs it its connections at once.
    """
    villain = Villain(network, node)
    others = [other.node_id for other in network.nodes if other is not node]
    foreign = Sealer(node.identity, network_id="elsewhere", epoch=node.epoch + 1)
    own = villain.sealer()

    def act() -> None:
        forgeries = [_invented(villain, NodeId(villain.random.choice(others)))]
        if villain.mouth.heard:
            forgeries.append(_altered(villain, *villain.random.choice(list(villain.mouth.heard))))
        for sealer, wall in ((foreign, villain.wall), (own, villain.wall + 3_600 * SECOND), (own, SECOND)):
            envelope = sealer.seal(MessageType.GOSSIP_MESSAGE, pack({"x": 1}), wall)
            forgeries.append((envelope.body, envelope.signature))
        for peer in villain.peers():
            body, signature = villain.random.choice(forgeries)
            villain.say(peer, encode(Act.MESSAGE, 1, body, signature))

    villain.every(1.0, act)


def _invented(villain: Villain, author: NodeId) -> tuple[bytes, bytes]:
    envelope = villain.sealer().seal(MessageType.GOSSIP_MESSAGE, pack({"i": "never said this"}), villain.wall)
    fields = unpack_list(envelope.body, 9)
    fields[2], fields[4] = author, villain.random.randrange(1, 1000)
    return pack(fields), envelope.signature


def _altered(villain: Villain, body: bytes, signature: bytes) -> tuple[bytes, bytes]:
    changed = bytearray(body)
    changed[-20] ^= 1
    return bytes(changed), signature


def _equivocate(network: Network, node: SimNode) -> None:
    """Signs two messages with one number, and tells one half of its peers this and the other half that."""
    villain = Villain(network, node)
    first, second = villain.sealer(), villain.sealer()

    def act() -> None:
        twins = [
            sealer.seal(MessageType.GOSSIP_MESSAGE, pack({"side": side}), villain.wall)
            for side, sealer in enumerate((first, second))
        ]
        names = [message_id(twin.body, twin.signature).hex() for twin in twins]
        network.history.add(network.world.now, node.number, "equivocated", {"first": names[0], "second": names[1]})
        for index, peer in enumerate(villain.peers()):
            twin = twins[index % 2]
            villain.say(peer, encode(Act.MESSAGE, 1, twin.body, twin.signature))

    villain.every(2.0, act)


def _eclipse(network: Network, node: SimNode) -> None:
    """Forces itself into every mesh, whatever it is told, and passes nothing on."""
    villain = _drop(network, node)

    def act() -> None:
        for peer in villain.peers():
            villain.say(peer, encode(Act.GRAFT, 1))

    villain.every(0.5, act)


def _multiply(network: Network, node: SimNode) -> None:
    """Passes nothing on, and tells everybody of a crowd of nodes that do not exist: in rows, and in notices that each
    of them has signed.
    """
    villain, turns = _drop(network, node), count()

    def act() -> None:
        for _ in range(INVENTED_PER_ACT if next(turns) >= INVENTED_AFTER else 0):
            envelope = _invented_member(villain)
            frame = encode(Act.MESSAGE, 1, envelope.body, envelope.signature)
            for peer in villain.peers():
                villain.say(peer, frame)
        for peer in villain.peers():
            records: list[Value] = []
            for _ in range(14):
                host, port = address_of(villain.random.randrange(1 << 16, 1 << 20))
                records.append([villain.random.randbytes(32), host, port, port + 1])
            villain.say(peer, encode_frame(MessageType.PEER_ANNOUNCEMENT, [records]))

    villain.every(0.5, act)


def _invented_member(villain: Villain) -> Envelope:
    identity = Identity(villain.random.randbytes(32))
    host, port = address_of(villain.random.randrange(1 << 16, 1 << 20))
    presence = Presence(incarnation=1, host=host, udp_port=port, tcp_port=port + 1, name="invented")
    sealer = Sealer(identity, network_id=NETWORK_ID, epoch=villain.node.epoch)
    return sealer.seal(MessageType.MEMBER, presence.packed(), villain.wall)


def _slander(network: Network, node: SimNode) -> None:
    """Serves well, and speaks ill of everybody but a crowd of its own, which praises itself and slanders, too."""
    villain = Villain(network, node)
    crowd = [Identity(villain.random.randbytes(32)) for _ in range(CROWD)]
    names = [identity.public_key for identity in crowd]
    honest = [other.node_id for other in network.nodes if other is not node]
    hearsay: list[Value] = []
    for identity in crowd:
        own = Sealer(identity, network_id=NETWORK_ID, epoch=node.epoch)
        for subject, score in _verdicts(honest, [name for name in names if name != identity.public_key]):
            envelope = _statement(own, subject, score, villain.wall)
            hearsay.append([envelope.body, envelope.signature, node.node_id])
    # Whoever asks this node for what it knows is told what its crowd says.
    node.machine.trust.restore({"statements": hearsay}, villain.now)
    sealer, turns = villain.sealer(), count()

    def act() -> None:
        if next(turns) % 13:
            return
        for subject, score in _verdicts(honest, names):
            envelope = _statement(sealer, subject, score, villain.wall)
            for peer in villain.peers():
                villain.say(peer, encode_frame(MessageType.TRUST_UPDATE, [envelope.body, envelope.signature]))

    villain.every(5.0, act)


def _verdicts(honest: list[NodeId], crowd: list[NodeId]) -> list[tuple[NodeId, float]]:
    return [*((name, -1.0) for name in honest), *((name, 1.0) for name in crowd)]


def _statement(sealer: Sealer, subject: NodeId, score: float, wall: Instant) -> Envelope:
    return sealer.seal(MessageType.TRUST_UPDATE, statement_payload(subject, score, wall + STATEMENT_LIFE), wall)


def _drop_only(network: Network, node: SimNode) -> None:
    _drop(network, node)


DROPPER = Role("dropper", _drop_only, is_honest=False)
SPAMMER = Role("spammer", _spam, is_honest=False)
REPLAYER = Role("replayer", _replay, is_honest=False)
FORGER = Role("forger", _forge, is_honest=False)
EQUIVOCATOR = Role("equivocator", _equivocate, is_honest=False)
ECLIPSER = Role("eclipser", _eclipse, is_honest=False)
SYBIL = Role("sybil", _multiply, is_honest=False)
SLANDERER = Role("slanderer", _slander, is_honest=False)

HOSTILE = (DROPPER, SPAMMER, REPLAYER, FORGER, EQUIVOCATOR, ECLIPSER, SYBIL, SLANDERER)
