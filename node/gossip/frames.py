"""The frames of gossip: the second element says what a frame does.

[GOSSIP_MESSAGE, 0, hops, body, signature]   a message; hops counts this link
[GOSSIP_MESSAGE, 1, [id...], urgency]        I have these
[GOSSIP_MESSAGE, 2, [id...]]                 send me these
[GOSSIP_MESSAGE, 3, wish]                    GRAFT: you are in my mesh (`node.gossip.mesh.Wish`)
[GOSSIP_MESSAGE, 4, backoff_ms]              PRUNE: you are not in my mesh, and not for so long
[GOSSIP_MESSAGE, 5, flags, digest...]        one page of a sync (`node.gossip.sync`)
[GOSSIP_MESSAGE, 6, [id...]]                 which of these do you have? answered with 1
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from node.errors import DecodeError
from node.messages.envelope import MESSAGE_ID_BYTES
from node.messages.frame import encode_frame
from node.messages.packing import Value
from node.messages.types import MessageType
from node.wire.limits import ANNOUNCED_IDS_MAX

__all__ = ["Act", "Urgency", "encode", "encode_ids", "ids_of"]


class Act(IntEnum):
    """What a frame does; the numbers are wire format."""

    MESSAGE = 0
    HAVE = 1
    REQUEST = 2
    GRAFT = 3
    PRUNE = 4
    SYNC = 5
    QUESTION = 6


class Urgency(IntEnum):
    """How soon whoever lacks an announced message should ask for it; the numbers are wire format.

    SOON: a copy may be under way, so after a round trip and a half. NOW: none is. MISSED: at once too; a sync found
    out, so it may be old.
    """

    SOON = 0
    NOW = 1
    MISSED = 2


def encode(act: Act, *fields: Value) -> bytes:
    """A frame as it travels."""
    return encode_frame(MessageType.GOSSIP_MESSAGE, [int(act), *fields])


def encode_ids(act: Act, message_ids: Iterable[bytes], *fields: Value) -> bytes:
    """A frame about these messages, at most ANNOUNCED_IDS_MAX of them."""
    return encode(act, [*message_ids], *fields)


def ids_of(listed: list[Value]) -> list[bytes]:
    """The ids in that list; DecodeError if one is wrong or there are too many."""
    if len(listed) > ANNOUNCED_IDS_MAX:
        raise DecodeError("too_large", f"{len(listed)} ids")
    ids = [identifier for identifier in listed if isinstance(identifier, bytes) and len(identifier) == MESSAGE_ID_BYTES]
    if len(ids) != len(listed):
        raise DecodeError("malformed", "an id has 16 bytes")
    return ids
