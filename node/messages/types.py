"""The kinds of messages that nodes exchange, the two carriers they travel on, and why an arriving one is refused.

Knows nothing of how messages are built or sent. Every layer above names messages by these numbers and words.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["LABELS", "REJECTION_REASONS", "Carrier", "MessageType", "zero_rejections"]


class MessageType(IntEnum):
    """What a message is; the numbers are wire format. 16 to 127 are reserved for later versions of the protocol.

    MEMBER, SUSPECT, DEAD and LEAVE are kinds of gossip about members of the network, and no frames of their own.
    """

    HANDSHAKE = 1
    HANDSHAKE_ACK = 2
    HEARTBEAT = 3
    PEER_DISCOVERY = 4
    PEER_ANNOUNCEMENT = 5
    GOSSIP_MESSAGE = 6
    TRUST_UPDATE = 7
    TRUSTED_PEERS_REQUEST = 8
    TRUSTED_PEERS_RESPONSE = 9
    DISCONNECT = 10
    CUSTOM_DATA = 11
    MEMBER = 12
    SUSPECT = 13
    DEAD = 14
    LEAVE = 15


LABELS = {kind: kind.name.lower() for kind in MessageType}
"""What statistics and metrics call a kind of message."""


class Carrier(StrEnum):
    """The transport below a connection; connection handles are unique per carrier only."""

    UDP = "udp"
    TCP = "tcp"


REJECTION_REASONS = (
    "malformed",
    "too_large",
    "too_deep",
    "duplicate_key",
    "not_finite",
    "unknown_kind",
    "unexpected",
    "bad_topic",
    "wrong_network",
    "unsigned",
    "wrong_key",
    "bad_signature",
    "stale",
    "future",
    "replayed",
    "equivocating",
    "own_origin",
    "wrong_origin",
    "too_many_hops",
    "rate_limited",
)
"""Why an arriving message was refused.

malformed, too_large, too_deep, duplicate_key, not_finite: it does not decode. unknown_kind: a type of a later version.
unexpected: a known type at a moment that has no use for it. bad_topic: its topic is no short text. wrong_network: made
for another network. unsigned: it has no signature. wrong_key: the peer that passed it on signed it in another's name.
bad_signature: altered after it was signed, or made up. stale, future: its time is out of bounds. replayed: its sequence
number was seen, or its epoch is over. equivocating: its author signed another message with the same sequence number.
own_origin: it names this node as its author. wrong_origin: a direct message whose author is not the peer that sent it.
too_many_hops: its number of hops is one that nobody says. rate_limited: its sender exceeded its allowance.
"""


def zero_rejections() -> dict[str, int]:
    """A counter per reason."""
    return dict.fromkeys(REJECTION_REASONS, 0)
