"""Trust services, and people who state things to them."""

from __future__ import annotations

from random import Random
from typing import Any

from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer
from node.messages.types import MessageType
from node.trust.settings import TrustSettings
from node.trust.statements import statement_payload
from node.trust.trust import Trust
from node.types import MILLISECOND, SECOND, Instant, NodeId
from node.wire.limits import STATEMENT_INTERVAL, STATEMENT_LIFE

WALL = 1_700_000_000 * SECOND
EPOCH = WALL // MILLISECOND
OWN = Identity(b"o" * 32)
STRANGER = NodeId(b"?" * 32)
LONG = 2 * STATEMENT_INTERVAL
UPDATE, REQUEST, RESPONSE = (
    MessageType.TRUST_UPDATE,
    MessageType.TRUSTED_PEERS_REQUEST,
    MessageType.TRUSTED_PEERS_RESPONSE,
)


def identity(number: int) -> Identity:
    return Identity(number.to_bytes(32, "big"))


def make_trust(own: Identity = OWN, *, started_at: Instant = 0, wall_offset: int = WALL) -> Trust:
    trust = Trust(
        own, TrustSettings(network_id="net", epoch=EPOCH, wall_offset=wall_offset), random=Random(own.node_id)
    )
    trust.start(started_at)
    return trust


class Speaker:
    """Somebody who states things."""

    def __init__(self, number: int, network_id: str = "net") -> None:
        self.identity = identity(number)
        self.node_id = self.identity.public_key
        self._sealer = Sealer(self.identity, network_id=network_id, epoch=EPOCH)

    def says(self, subject: NodeId, score: float, at: Instant = 0) -> Envelope:
        return self._sealer.seal(UPDATE, statement_payload(subject, score, WALL + at + STATEMENT_LIFE), WALL + at)


def tell(trust: Trust, peer: NodeId, envelope: Envelope, at: Instant = 0) -> str | None:
    return trust.receive(peer, UPDATE, [envelope.body, envelope.signature], at)


def befriend(trust: Trust, peer: NodeId, seconds: int = 200) -> None:
    """That peer brings messages of others for a while, at the beginning of time."""
    trust.peer_up(peer)
    for second in range(-seconds, 0):
        trust.delivered(peer, STRANGER, second * SECOND)


def actions(trust: Trust) -> list[Any]:
    found = []
    while (action := trust.poll_action()) is not None:
        found.append(action)
    return found
