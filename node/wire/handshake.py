"""The datagrams of the UDP handshake: INIT, RESPONSE, CONFIRM and REFUSE around the Noise messages.

    INIT      header | length (2) | Noise message 1: e (32), clear part | zeros | MAC (16)     1200 bytes
    RESPONSE  header | Noise message 2
    CONFIRM   header | Noise message 3
    REFUSE    header | reason (1) | lowest, highest version (1, 1) | MAC of the refused INIT (16)

Clear part of an INIT: source connection id (4) | network tag (8) | lowest, highest version (1, 1) | token (0).
It is hashed into the Noise transcript, so that tampering with it fails the handshake. The MAC covers every byte of the
INIT under a key made from the network id: it proves nothing, but a damaged or foreign INIT is dropped before any
public-key operation. All numbers are big endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from node.errors import DecodeError
from node.types import ConnectionId
from node.wire.header import PacketType, pack_header
from node.wire.limits import HEADER_BYTES, INIT_BYTES, VERSION

__all__ = [
    "INIT_MAC_BYTES",
    "Init",
    "InitClear",
    "Refusal",
    "RefusalReason",
    "foreign_init",
    "init_without_mac",
    "pack_clear",
    "pack_init",
    "pack_refuse",
    "parse_clear",
    "parse_init",
    "parse_refuse",
]

INIT_MAC_BYTES = 16
_KEY_BYTES = 32
_CLEAR = struct.Struct(">I8sBBB")
_REFUSE = struct.Struct(">BBB16s")
_NOISE_OFFSET = HEADER_BYTES + 2
_NOISE_BYTES_MAX = INIT_BYTES - _NOISE_OFFSET - INIT_MAC_BYTES


class RefusalReason(IntEnum):
    """Why an INIT is refused. The answer is not authenticated: a hint for people, never a reason to act."""

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
    """An INIT that has the right shape; nothing in it is verified yet."""

    noise: bytes
    clear: InitClear
    mac: bytes


@dataclass(slots=True)
class Refusal:
    """A REFUSE: the reason, and the MAC of the INIT that it answers."""

    reason: RefusalReason
    mac: bytes


def pack_clear(clear: InitClear) -> bytes:
    """The clear part of an INIT, which is the payload of Noise message 1."""
    return _CLEAR.pack(clear.source, clear.network_tag, VERSION, VERSION, 0)


def parse_clear(data: bytes) -> InitClear:
    """The clear part of an INIT; DecodeError(`malformed` or `unsupported_version`)."""
    if len(data) != _CLEAR.size:
        raise DecodeError("malformed", f"clear part of {len(data)} bytes")
    source, tag, lowest, highest, token_length = _CLEAR.unpack(data)
    if source == 0 or token_length:
        raise DecodeError("malformed", "source connection id 0 or a token nobody gave")
    if not lowest <= VERSION <= highest:
        raise DecodeError("unsupported_version", f"versions {lowest} to {highest}")
    return InitClear(ConnectionId(source), tag)


def init_without_mac(noise: bytes) -> bytes:
    """An INIT up to its MAC, padded with zeros."""
    body = pack_header(PacketType.INIT, 0, 0) + len(noise).to_bytes(2, "big") + noise
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
    noise = datagram[_NOISE_OFFSET : _NOISE_OFFSET + length]
    return Init(noise, parse_clear(noise[_KEY_BYTES:]), datagram[-INIT_MAC_BYTES:])


def foreign_init(datagram: bytes) -> tuple[ConnectionId, bytes] | None:
    """Source connection id and MAC of an INIT of another version; None where the datagram is no INIT."""
    is_init = len(datagram) == INIT_BYTES and datagram[2] & 0x0F == PacketType.INIT
    if not is_init:
        return None
    start = _NOISE_OFFSET + _KEY_BYTES
    return ConnectionId(int.from_bytes(datagram[start : start + 4], "big")), datagram[-INIT_MAC_BYTES:]


def pack_refuse(destination: ConnectionId, refusal: Refusal) -> bytes:
    """The REFUSE packet."""
    return pack_header(PacketType.REFUSE, destination, 0) + _REFUSE.pack(refusal.reason, VERSION, VERSION, refusal.mac)


def parse_refuse(datagram: bytes) -> Refusal:
    """A REFUSE; DecodeError(`malformed`) where its shape is wrong."""
    if len(datagram) != HEADER_BYTES + _REFUSE.size:
        raise DecodeError("malformed", f"REFUSE of {len(datagram)} bytes")
    number, _lowest, _highest, mac = _REFUSE.unpack_from(datagram, HEADER_BYTES)
    try:
        return Refusal(RefusalReason(number), mac)
    except ValueError:
        raise DecodeError("malformed", f"refusal reason {number}") from None
