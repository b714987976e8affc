"""Signed messages: exactly the bytes that were signed are the bytes that travel, through any number of relays.

    body      = packed [version, kind, origin, epoch_ms, sequence, timestamp_ms, topic, payload, network tag]
    signature = Ed25519("positron/1" | network tag | body)
    id        = BLAKE2b-128(body | signature)

What changes on the way (the hop count) is outside. Knows nothing of replays and delivery: gossip and the machine
decide those, with the numbers found here. The id can be computed before anything is decoded or verified, so that a
copy costs one hash. Every way in which these bytes can be wrong is a DecodeError with a reason of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeGuard

from node.crypto.cookie import NETWORK_TAG_BYTES, network_tag
from node.errors import DecodeError, MessageTooLarge, UsageError
from node.identity.keys import NODE_ID_BYTES, SIGNATURE_BYTES, Identity, verify
from node.messages.packing import Value, pack, unpack_list
from node.types import MILLISECOND, Duration, NodeId
from node.wire.limits import PAYLOAD_BYTES_MAX, TOPIC_BYTES_MAX

__all__ = [
    "MESSAGE_ID_BYTES",
    "Envelope",
    "Sealer",
    "check_network",
    "check_signature",
    "checked_payload",
    "is_authentic",
    "message_id",
    "parse_envelope",
    "signing_domain",
]

ENVELOPE_VERSION = 1
ENVELOPE_FIELDS = 9
MESSAGE_ID_BYTES = 16
_UNSIGNED = bytes(SIGNATURE_BYTES)
_DOMAIN = b"positron/1"
_NUMBER_MAX = (1 << 63) - 1
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff9-\uffff"
    r"\U000e0000-\U0010ffff]"
)
"""Controls, marks of direction and what has no width. A list of our own: what Python calls printable grows with each
version of Unicode, and a message that some nodes pass on and others refuse sets honest nodes against each other.
"""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed message.

    message_id: 16 bytes. kind: a MessageType or a number of a later version. origin: the author's key.
    epoch: start of the author's process in wall milliseconds. sequence: 1 and up within epoch and stream (what the
    author broadcasts, what it says to single nodes, and what it states about others are one stream each).
    timestamp: the author's wall clock in milliseconds. topic: "" unless the author named one. payload: packed
    application data. network: the tag of the network that it was made for. body, signature: as they travel.
    """

    message_id: bytes
    kind: int
    origin: NodeId
    epoch: int
    sequence: int
    timestamp: int
    topic: str
    payload: bytes
    network: bytes
    body: bytes
    signature: bytes

    def age(self, wall: Duration) -> Duration:
        """Nanoseconds since it was made, given the wall clock in nanoseconds; negative when clocks differ."""
        return wall - self.timestamp * MILLISECOND


class Sealer:
    """Makes the signed messages of one stream of this node, and counts their sequence numbers.

    epoch: wall milliseconds at the start of the process; higher than in any earlier life of the same key.
    """

    def __init__(self, identity: Identity, *, network_id: str, epoch: int) -> None:
        self._identity = identity
        self._network = network_tag(network_id)
        self._epoch = epoch
        self._sequence = 0

    def seal(self, kind: int, payload: bytes, wall: Duration, *, topic: str = "") -> Envelope:
        """The payload in a signed envelope of that kind.

        UsageError over PAYLOAD_BYTES_MAX or TOPIC_BYTES_MAX; no sequence number is used up then.
        """
        checked_payload(payload)
        if not _is_topic(topic):
            raise UsageError(f"topic {topic[:80]!r}: allowed are {TOPIC_BYTES_MAX} bytes of printable text")
        sequence = self._sequence + 1
        timestamp = wall // MILLISECOND
        origin, network = self._identity.public_key, self._network
        body = pack([ENVELOPE_VERSION, kind, origin, self._epoch, sequence, timestamp, topic, payload, network])
        self._sequence = sequence
        signature = self._identity.sign(_DOMAIN + network + body)
        return Envelope(
            message_id=message_id(body, signature),
            kind=kind,
            origin=origin,
            epoch=self._epoch,
            sequence=sequence,
            timestamp=timestamp,
            topic=topic,
            payload=payload,
            network=network,
            body=body,
            signature=signature,
        )


def signing_domain(network_id: str) -> bytes:
    """What is signed in front of the body: the protocol and the network."""
    return _DOMAIN + network_tag(network_id)


def checked_payload(payload: bytes) -> bytes:
    """The payload, if one message can hold it; MessageTooLarge."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise MessageTooLarge(f"payload of {len(payload)} bytes: allowed are {PAYLOAD_BYTES_MAX}")
    return payload


def message_id(body: bytes, signature: bytes) -> bytes:
    """The 16-byte name of a message: a hash of all that is not changed by relays."""
    return blake2b(body + signature, digest_size=MESSAGE_ID_BYTES).digest()


def parse_envelope(body: bytes, signature: bytes) -> Envelope:
    """The envelope in these bytes, not yet verified; DecodeError for every other bytes."""
    if not signature:
        raise DecodeError("unsigned", "an empty signature")
    if len(signature) != SIGNATURE_BYTES:
        raise DecodeError("malformed", "a signature has 64 bytes")
    fields = unpack_list(body, ENVELOPE_FIELDS)
    version, kind, origin, epoch, sequence, timestamp, topic, payload, network = fields[:ENVELOPE_FIELDS]
    if not _is_number(version) or version != ENVELOPE_VERSION:
        raise DecodeError("malformed", f"envelope version {version!r}"[:40])
    if not isinstance(origin, bytes) or len(origin) != NODE_ID_BYTES:
        raise DecodeError("malformed", "an origin has 32 bytes")
    if not isinstance(payload, bytes) or not isinstance(network, bytes) or len(network) != NETWORK_TAG_BYTES:
        raise DecodeError("malformed", "payload and network are bytes")
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise DecodeError("too_large", f"payload of {len(payload)} bytes")
    if not isinstance(topic, str) or not _is_topic(topic):
        raise DecodeError("bad_topic", f"allowed are {TOPIC_BYTES_MAX} bytes of printable text")
    if not (_is_number(kind) and _is_number(epoch) and _is_number(sequence) and _is_number(timestamp)):
        raise DecodeError("malformed", "kind, epoch, sequence and timestamp are numbers")
    if kind == 0 or sequence == 0:
        raise DecodeError("malformed", "kind and sequence start at 1")
    return Envelope(
        message_id=message_id(body, signature),
        kind=kind,
        origin=NodeId(origin),
        epoch=epoch,
        sequence=sequence,
        timestamp=timestamp,
        topic=topic,
        payload=payload,
        network=network,
        body=body,
        signature=signature,
    )


def check_network(envelope: Envelope, domain: bytes) -> None:
    """DecodeError(`wrong_network`) unless the message says that it was made for the network of that domain."""
    if _DOMAIN + envelope.network != domain:
        raise DecodeError("wrong_network", envelope.network.hex())


def check_signature(envelope: Envelope, domain: bytes, forwarder: NodeId) -> None:
    """Proves that the author named in the envelope signed it for this network. domain: from `signing_domain`.

    DecodeError: `unsigned`, `wrong_key` (the peer that passed it on signed it in another's name), or `bad_signature`
    (altered on the way, or made up). Each says something of the forwarder and nothing of the named author.
    """
    if is_authentic(envelope, domain):
        return
    if envelope.signature == _UNSIGNED:
        raise DecodeError("unsigned", "a signature of zeros")
    if forwarder != envelope.origin and verify(forwarder, domain + envelope.body, envelope.signature):
        raise DecodeError("wrong_key", "signed by the peer that sent it")
    raise DecodeError("bad_signature")


def is_authentic(envelope: Envelope, domain: bytes) -> bool:
    """Whether the author named in the envelope signed it for this network. domain: from `signing_domain`."""
    return verify(envelope.origin, domain + envelope.body, envelope.signature)


def _is_topic(topic: str) -> bool:
    """Short printable text: topics end up in logs and tables of people."""
    try:
        return len(topic.encode()) <= TOPIC_BYTES_MAX and _UNPRINTABLE.search(topic) is None
    except UnicodeEncodeError:
        return False


def _is_number(value: Value) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _NUMBER_MAX
