"""The datagrams of the UDP handshake: INIT, RETRY, RESPONSE, CONFIRM and REFUSE around the Noise messages.

    INIT      header | length (2) | Noise message 1: e (32), clear part | length (1) | cookie | zeros | MAC (16)
    RETRY     header | cookie (16) | tag (16)
    RESPONSE  header | Noise message 2
    CONFIRM   header | Noise message 3
    REFUSE    header | reason (1) | lowest, highest version (1, 1) | tag (16)
    RESET     header | token (16)

An INIT has 1200 bytes. Its clear part is source connection id (4) | network tag (8) | lowest, highest version (1, 1);
it is hashed into the Noise transcript, so that tampering with it fails the handshake. The MAC covers every byte of the
INIT under a key made from the network id: it proves nothing, but a damaged or foreign INIT is dropped before any
public-key operation. The tags of RETRY and REFUSE cover every byte before them, keyed with the MAC of the INIT that
they answer: whoever made one has seen that INIT, and a damaged one is dropped. A RESET answers a packet of a connection
that is not known (any more), whose id it repeats; the token was agreed in the handshake. All numbers are big endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from node.errors import DecodeError
from node.types import ConnectionId
from node.wire.header import PacketType, pack_header
from node.wire.limits import HEADER_BYTES, INIT_BYTES, RESET_TOKEN_BYTES, VERSION

__all__ = [
    "ANSWER_TAG_BYTES",
    "COOKIE_BYTES",
    "INIT_MAC_BYTES",
    "RESET_BYTES",
    "Init",
    "InitClear",
    "RefusalReason",
    "foreign_init",
    "init_without_mac",
    "pack_clear",
    "pack_init",
    "pack_refuse",
    "pack_reset",
    "pack_retry",
    "parse_clear",
    "parse_init",
    "parse_refuse",
    "parse_reset",
    "parse_retry",
]

INIT_MAC_BYTES = 16
COOKIE_BYTES = 16
ANSWER_TAG_BYTES = 16
RESET_BYTES = HEADER_BYTES + RESET_TOKEN_BYTES
_KEY_BYTES = 32
_CLEAR = struct.Struct(">I8sBB")
_REFUSE = struct.Struct(">BBB")
_NOISE_OFFSET = HEADER_BYTES + 2
_NOISE_BYTES_MAX = INIT_BYTES - _NOISE_OFFSET - 1 - COOKIE_BYTES - INIT_MAC_BYTES


class RefusalReason(IntEnum):
    """Why an INIT is refused. The answer is not authenticated: a hint for people, never a reason to end anything."""

    NETWORK_MISMATCH = 1
    VERSION_MISMATCH = 2
    BUSY = 3


@dataclass(slots=True)
class InitClear:
    """What an INIT says in the clear. network_tag: 8 bytes, a hash of the network id."""

    source: ConnectionId
    network_tag: bytes


@dataclass(slots=True)
class Init:
    """An INIT that has the right shape; nothing in it is verified yet. cookie: of a RETRY, or empty."""

    noise: bytes
    clear: InitClear
    cookie: bytes
    mac: bytes


def pack_clear(clear: InitClear) -> bytes:
    """The clear part of an INIT, which is the payload of Noise message 1."""
    return _CLEAR.pack(clear.source, clear.network_tag, VERSION, VERSION)


def parse_clear(data: bytes) -> InitClear:
    """The clear part of an INIT; DecodeError(`malformed` or `unsupported_version`)."""
    if len(data) != _CLEAR.size:
        raise DecodeError("malformed", f"clear part of {len(data)} bytes")
    source, tag, lowest, highest = _CLEAR.unpack(data)
    if source == 0:
        raise DecodeError("malformed", "source connection id 0")
    if not lowest <= VERSION <= highest:
        raise DecodeError("unsupported_version", f"versions {lowest} to {highest}")
    return InitClear(ConnectionId(source), tag)


def init_without_mac(noise: bytes, cookie: bytes = b"") -> bytes:
    """An INIT up to its MAC, padded with zeros. cookie: of a RETRY, or empty."""
    body = pack_header(PacketType.INIT, 0, 0) + len(noise).to_bytes(2, "big") + noise + bytes((len(cookie),)) + cookie
    return body.ljust(INIT_BYTES - INIT_MAC_BYTES, b"\0")


def pack_init(without_mac: bytes, mac: bytes) -> bytes:
    """The whole INIT."""
    return without_mac + mac


def parse_init(datagram: bytes) -> Init:
    """An INIT; DecodeError(`malformed` or `unsupported_version`) where its shape is wrong."""
    if len(datagram) != INIT_BYTES:
        raise DecodeError("malformed", f"INIT of {len(datagram)} bytes")
    length = int.from_bytes(datagram[HEADER_BYTES:_NOISE_OFFSET], "big")
    if not _KEY_BYTES <= length <= _NOISE_BYTES_MAX:
        raise DecodeError("malformed", f"Noise message of {length} bytes")
    end = _NOISE_OFFSET + length
    cookie_length = datagram[end]
    if cookie_length not in (0, COOKIE_BYTES):
        raise DecodeError("malformed", f"cookie of {cookie_length} bytes")
    noise = datagram[_NOISE_OFFSET:end]
    cookie = datagram[end + 1 : end + 1 + cookie_length]
    return Init(noise, parse_clear(noise[_KEY_BYTES:]), cookie, datagram[-INIT_MAC_BYTES:])


def foreign_init(datagram: bytes) -> tuple[ConnectionId, bytes] | None:
    """Source connection id and MAC of an INIT of another version; None where the datagram is no INIT."""
    is_init = len(datagram) == INIT_BYTES and datagram[2] & 0x0F == PacketType.INIT
    if not is_init:
        return None
    start = _NOISE_OFFSET + _KEY_BYTES
    return ConnectionId(int.from_bytes(datagram[start : start + 4], "big")), datagram[-INIT_MAC_BYTES:]


def pack_retry(destination: ConnectionId, cookie: bytes) -> bytes:
    """A RETRY up to its tag."""
    return pack_header(PacketType.RETRY, destination, 0) + cookie


def parse_retry(datagram: bytes) -> bytes:
    """The cookie in a RETRY; DecodeError(`malformed`) where its shape is wrong."""
    if len(datagram) != HEADER_BYTES + COOKIE_BYTES + ANSWER_TAG_BYTES:
        raise DecodeError("malformed", f"RETRY of {len(datagram)} bytes")
    return datagram[HEADER_BYTES:-ANSWER_TAG_BYTES]


def pack_refuse(destination: ConnectionId, reason: RefusalReason) -> bytes:
    """A REFUSE up to its tag."""
    return pack_header(PacketType.REFUSE, destination, 0) + _REFUSE.pack(reason, VERSION, VERSION)


def parse_refuse(datagram: bytes) -> RefusalReason:
    """The reason in a REFUSE; DecodeError(`malformed`) where its shape is wrong."""
    if len(datagram) != HEADER_BYTES + _REFUSE.size + ANSWER_TAG_BYTES:
        raise DecodeError("malformed", f"REFUSE of {len(datagram)} bytes")
    number, _lowest, _highest = _REFUSE.unpack_from(datagram, HEADER_BYTES)
    try:
        return RefusalReason(number)
    except ValueError:
        raise DecodeError("malformed", f"refusal reason {number}") from None


def pack_reset(destination: ConnectionId, token: bytes) -> bytes:
    """The RESET packet. destination: the connection id of the packet that it answers."""
    return pack_header(PacketType.RESET, destination, 0) + token


def parse_reset(datagram: bytes) -> bytes:
    """The token in a RESET; DecodeError(`malformed`) where its shape is wrong."""
    if len(datagram) != RESET_BYTES:
        raise DecodeError("malformed", f"RESET of {len(datagram)} bytes")
    return datagram[HEADER_BYTES:]
