"""The bytes of a TCP link: two handshake-time frames in clear, then sealed records.

Knows layouts only. Every frame is length (2, big endian) | body. Before the keys exist a body is type (1) | content:

    OPEN      Noise message 1: e (32) | magic 0xBEEF | lowest, highest version (1, 1) | network tag (8)
    RESPONSE  Noise message 2
    CONFIRM   Noise message 3
    REFUSE    reason (1), in answer to an OPEN and not authenticated: a hint for people

Afterwards a body is one ChaCha20-Poly1305 record, numbered from 0 in each direction, its two length bytes authenticated
with it. A record's plaintext is kind (1) | content:

    MESSAGE   flags (1): bit 0 the message ends here, bits 1 and 2 its delivery | bytes of the message
    ACK       messages received in full since the beginning (8) | nothing, or another kind of record
    CLOSE     code (2) | reason, UTF-8
    PING      nothing; asks for an ACK
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from node.crypto.cookie import network_tag
from node.errors import Code, DecodeError
from node.transport.events import Delivery
from node.wire.limits import CLOSE_REASON_BYTES_MAX, MAGIC, STREAM_RECORD_BYTES_MAX, TAG_BYTES, VERSION

__all__ = [
    "HANDSHAKE_FRAME_BYTES_MAX",
    "PART_BYTES_MAX",
    "RECORD_BODY_BYTES_MAX",
    "AckRecord",
    "CloseRecord",
    "FrameType",
    "Frames",
    "MessageRecord",
    "PingRecord",
    "Record",
    "check_preface",
    "pack_ack",
    "pack_close",
    "pack_frame",
    "pack_length",
    "pack_message",
    "pack_ping",
    "pack_preface",
    "parse_record",
]

HANDSHAKE_FRAME_BYTES_MAX = 1024
"""Largest body before the keys exist: the longest Noise message is below half of it."""

RECORD_BODY_BYTES_MAX = STREAM_RECORD_BYTES_MAX + TAG_BYTES

_MESSAGE_HEAD = 2
_LENGTH = struct.Struct(">H")
_PREFACE = struct.Struct(">HBB8s")
_ACK = struct.Struct(">BQ")
_CLOSE = struct.Struct(">BH")
PART_BYTES_MAX = STREAM_RECORD_BYTES_MAX - _MESSAGE_HEAD - _ACK.size
"""Bytes of a message in one record, which has room for an acknowledgement in front of them."""

_MESSAGE_KIND, _ACK_KIND, _CLOSE_KIND, _PING_KIND = 1, 2, 3, 4
_ACK_BYTE = bytes((_ACK_KIND,))
_LAST = 0b001
_DELIVERIES = {int(delivery): delivery for delivery in Delivery}
_CODES = {int(code): code for code in Code}


class FrameType(IntEnum):
    """What a body before the keys exist is."""

    OPEN = 1
    RESPONSE = 2
    CONFIRM = 3
    REFUSE = 4


@dataclass(slots=True)
class MessageRecord:
    """A part of a message; parts of one message follow each other."""

    delivery: Delivery
    is_last: bool
    data: bytes


@dataclass(slots=True)
class AckRecord:
    """How many messages the sender of this record has received in full. following: the plaintext of another record."""

    messages: int
    following: bytes = b""


@dataclass(slots=True)
class CloseRecord:
    """The sender has closed the connection; nothing follows."""

    code: Code
    reason: str


@dataclass(slots=True)
class PingRecord:
    """The sender has heard nothing for long, and asks for an ACK."""


Record = MessageRecord | AckRecord | CloseRecord | PingRecord


class Frames:
    """Cuts a byte stream into bodies; holds less than one frame between two calls.

    body_bytes_max: may be changed between bodies, and holds for the next.
    """

    __slots__ = ("_buffer", "body_bytes_max")

    def __init__(self, body_bytes_max: int) -> None:
        self._buffer = bytearray()
        self.body_bytes_max = body_bytes_max

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies that are now complete; DecodeError(`malformed` or `too_large`), after which the stream is lost."""
        held, offset = self._buffer, 0
        if held:
            held += data
        # Mostly whole frames arrive, which need no copy.
        source: bytes | bytearray = held or data
        try:
            while len(source) - offset >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(source, offset)
                if not 0 < length <= self.body_bytes_max:
                    raise DecodeError("too_large" if length else "malformed", f"frame of {length} bytes")
                end = offset + _LENGTH.size + length
                if end > len(source):
                    break
                body = bytes(source[offset + _LENGTH.size : end])
                offset = end
                yield body
        finally:
            if source is held:
                del held[:offset]
            else:
                held += source[offset:]


def pack_length(length: int) -> bytes:
    """The two bytes in front of a body of that length."""
    return _LENGTH.pack(length)


def pack_frame(kind: FrameType, content: bytes) -> bytes:
    """A whole frame of the handshake."""
    return _LENGTH.pack(1 + len(content)) + bytes((kind,)) + content


def pack_preface(network_id: str) -> bytes:
    """The clear part of an OPEN."""
    return _PREFACE.pack(MAGIC, VERSION, VERSION, network_tag(network_id))


def check_preface(data: bytes, network_id: str) -> None:
    """Nothing if the clear part of an OPEN fits us.

    DecodeError(`malformed`, `unsupported_version` or `network_mismatch`) if not.
    """
    if len(data) != _PREFACE.size:
        raise DecodeError("malformed", f"preface of {len(data)} bytes")
    magic, lowest, highest, tag = _PREFACE.unpack(data)
    if magic != MAGIC:
        raise DecodeError("malformed", "not our magic")
    if not lowest <= VERSION <= highest:
        raise DecodeError("unsupported_version", f"versions {lowest} to {highest}")
    if tag != network_tag(network_id):
        raise DecodeError("network_mismatch")


def pack_message(delivery: Delivery, *, is_last: bool, data: bytes) -> bytes:
    """The plaintext of a MESSAGE; at most PART_BYTES_MAX bytes of data."""
    return bytes((_MESSAGE_KIND, delivery << 1 | is_last)) + data


def pack_ack(messages: int) -> bytes:
    """The plaintext of an ACK; that of another record may follow."""
    return _ACK.pack(_ACK_KIND, messages)


def pack_close(code: Code, reason: str) -> bytes:
    """The plaintext of a CLOSE; a long reason is cut."""
    return _CLOSE.pack(_CLOSE_KIND, code) + reason.encode()[:CLOSE_REASON_BYTES_MAX]


def pack_ping() -> bytes:
    """The plaintext of a PING."""
    return bytes((_PING_KIND,))


def parse_record(plaintext: bytes) -> Record:
    """The record; DecodeError(`malformed`) for anything else."""
    kind = plaintext[0] if plaintext else 0
    if kind == _MESSAGE_KIND and len(plaintext) >= _MESSAGE_HEAD:
        flags = plaintext[1]
        delivery = _DELIVERIES.get(flags >> 1)
        if delivery is not None:
            return MessageRecord(delivery, bool(flags & _LAST), plaintext[_MESSAGE_HEAD:])
    elif kind == _ACK_KIND and len(plaintext) >= _ACK.size and plaintext[_ACK.size : _ACK.size + 1] != _ACK_BYTE:
        return AckRecord(_ACK.unpack_from(plaintext)[1], plaintext[_ACK.size :])
    elif kind == _CLOSE_KIND and 0 <= len(plaintext) - _CLOSE.size <= CLOSE_REASON_BYTES_MAX:
        code = _CLOSE.unpack_from(plaintext)[1]
        reason = plaintext[_CLOSE.size :].decode(errors="replace")
        return CloseRecord(_CODES.get(code, Code.APPLICATION), reason)
    elif kind == _PING_KIND and len(plaintext) == 1:
        return PingRecord()
    raise DecodeError("malformed", f"record of kind {kind} and {len(plaintext)} bytes")
