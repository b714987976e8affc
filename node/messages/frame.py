"""The frame around everything that one node says to another over a connection: [message type, fields...].

Knows nothing of connections; whoever reads a frame already knows from which authenticated peer it came. Fields that a
later version appends are ignored by the reader of each type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.errors import DecodeError
from node.messages.packing import Value, pack, unpack_list
from node.messages.types import MessageType

__all__ = ["Frame", "encode_frame", "is_frame", "parse_frame"]

_LIST_SMALL_FIRST, _LIST_SMALL_LAST = 0x91, 0x9F
"""First byte of a msgpack list of 1 to 15 elements, as every frame is."""


@dataclass(slots=True)
class Frame:
    """One decoded frame; the fields are checked by the reader of that type."""

    kind: MessageType
    fields: list[Value]


def encode_frame(kind: MessageType, fields: Sequence[Value]) -> bytes:
    """The frame as it travels; at most 14 fields."""
    assert len(fields) < 15
    return pack([int(kind), *fields])


def is_frame(data: bytes) -> bool:
    """Whether bytes claim to be a frame; others belong to whoever uses the transport directly."""
    return bool(data) and _LIST_SMALL_FIRST <= data[0] <= _LIST_SMALL_LAST


def parse_frame(data: bytes) -> Frame:
    """The frame in these bytes; DecodeError, with reason `unknown_kind` for a type of a later version."""
    number, *fields = unpack_list(data, 1)
    if not isinstance(number, int) or isinstance(number, bool):
        raise DecodeError("malformed", "a message type is a number")
    if number not in _KINDS:
        raise DecodeError("unknown_kind", str(number))
    return Frame(_KINDS[number], fields)


_KINDS = {int(kind): kind for kind in MessageType}
