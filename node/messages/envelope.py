"""Signed messages: exactly the bytes that were signed are the bytes that travel, through any number of relays.

    body      = packed [version, kind, origin, epoch_ms, sequence, timestamp_ms, payload]
    signature = Ed25519("positron/1" | network tag | body)
    id        = BLAKE2b-128(body | signature)

What changes on the way (the hop count) is outside. Knows nothing of freshness, replays and delivery: gossip and the
machine decide those, with the numbers found here. The id can be computed before anything is decoded or verified, so
that a copy costs one hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeGuard

from node.crypto.cookie import network_tag
from node.errors import DecodeError, UsageError
from node.identity.keys import NODE_ID_BYTES, SIGNATURE_BYTES, Identity, verify
from node.messages.packing import Value, pack, unpack_list
from node.types import MILLISECOND, Duration, NodeId
from node.wire.limits import PAYLOAD_BYTES_MAX

__all__ = [
    "MESSAGE_ID_BYTES",
    "Envelope",
    "Sealer",
    "is_authentic",
    "message_id",
    "parse_envelope",
    "signing_domain",
]

ENVELOPE_VERSION = 1
MESSAGE_ID_BYTES = 16
_DOMAIN = b"positron/1"
_NUMBER_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed message.

    message_id: 16 bytes. kind: a MessageType or a number of a later version. origin: the author's key.
    epoch: start of the author's process in wall milliseconds. sequence: 1 and up within epoch and kind.
    timestamp: the author's wall clock in milliseconds. payload: packed application data.
    body, signature: as they travel.
    """

    message_id: bytes
    kind: int
    origin: NodeId
    epoch: int
    sequence: int
    timestamp: int
    payload: bytes
    body: bytes
    signature: bytes

    def age(self, wall: Duration) -> Duration:
        """Nanoseconds since it was made, given the wall clock in nanoseconds; negative when clocks differ."""
        return wall - self.timestamp * MILLISECOND


class Sealer:
    """Makes this node's signed messages; counts sequence numbers per kind, so that each kind has no gaps of its own.

    epoch: wall milliseconds at the start of the process; higher than in any earlier life of the same key.
    """

    def __init__(self, identity: Identity, *, network_id: str, epoch: int) -> None:
        self._identity = identity
        self._domain = signing_domain(network_id)
        self._epoch = epoch
        self._sequences: dict[int, int] = {}

    def seal(self, kind: int, payload: bytes, wall: Duration) -> Envelope:
        """The payload in a signed envelope of that kind. UsageError over PAYLOAD_BYTES_MAX; nothing changed then."""
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise UsageError(f"payload of {len(payload)} bytes: allowed are {PAYLOAD_BYTES_MAX}")
        sequence = self._sequences.get(kind, 0) + 1
        timestamp = wall // MILLISECOND
        origin = self._identity.public_key
        body = pack([ENVELOPE_VERSION, kind, origin, self._epoch, sequence, timestamp, payload])
        self._sequences[kind] = sequence
        signature = self._identity.sign(self._domain + body)
        return Envelope(
            message_id(body, signature), kind, origin, self._epoch, sequence, timestamp, payload, body, signature
        )


def signing_domain(network_id: str) -> bytes:
    """What is signed in front of the body: the protocol and the network."""
    return _DOMAIN + network_tag(network_id)


def message_id(body: bytes, signature: bytes) -> bytes:
    """The 16-byte name of a message: a hash of all that is not changed by relays."""
    return blake2b(body + signature, digest_size=MESSAGE_ID_BYTES).digest()


def parse_envelope(body: bytes, signature: bytes) -> Envelope:
    """The envelope in these bytes, not yet verified; DecodeError for every other bytes."""
    if len(signature) != SIGNATURE_BYTES:
        raise DecodeError("malformed", "a signature has 64 bytes")
    fields = unpack_list(body, 7)
    version, kind, origin, epoch, sequence, timestamp, payload = fields[:7]
    if version != ENVELOPE_VERSION:
        raise DecodeError("malformed", f"envelope version {version!r}"[:40])
    if not isinstance(origin, bytes) or len(origin) != NODE_ID_BYTES:
        raise DecodeError("malformed", "an origin has 32 bytes")
    if not isinstance(payload, bytes):
        raise DecodeError("malformed", "a payload is bytes")
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise DecodeError("too_large", f"payload of {len(payload)} bytes")
    if not (_is_number(kind) and _is_number(epoch) and _is_number(sequence) and _is_number(timestamp)):
        raise DecodeError("malformed", "kind, epoch, sequence and timestamp are numbers")
    if kind == 0 or sequence == 0:
        raise DecodeError("malformed", "kind and sequence start at 1")
    return Envelope(
        message_id(body, signature), kind, NodeId(origin), epoch, sequence, timestamp, payload, body, signature
    )


def is_authentic(envelope: Envelope, domain: bytes) -> bool:
    """Whether the author named in the envelope signed it for this network. domain: from `signing_domain`."""
    return verify(envelope.origin, domain + envelope.body, envelope.signature)


def _is_number(value: Value) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _NUMBER_MAX
