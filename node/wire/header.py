"""The 16 clear bytes in front of every packet; they are authenticated as associated data of the packet's AEAD.

    0        2         3        4                  8                        16
    | 0xBEEF | ver|typ | flags  | destination cid  | packet number          |

All big endian. Bit 0 of the flags is the key phase; the others are reserved and must be 0. All packets but DATA carry
flags 0 and packet number 0. The layout of INIT up to its source
connection id, and REFUSE as a whole, are the same in all versions, so that a mismatch can be told.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from node.errors import DecodeError
from node.types import ConnectionId, PacketNumber
from node.wire.limits import HEADER_BYTES, MAGIC, VERSION

__all__ = ["Header", "PacketType", "data_header", "pack_data_header", "pack_header", "parse_header"]

KEY_PHASE_BIT = 0x01
_LAYOUT = struct.Struct(">HBBIQ")


class PacketType(IntEnum):
    """What stands behind the header."""

    INIT = 1
    RESPONSE = 2
    CONFIRM = 3
    RETRY = 4
    DATA = 5
    REFUSE = 6
    RESET = 7


_DATA_LAYOUT = struct.Struct(">IIQ")
_DATA_FIRST_BYTES = MAGIC << 16 | (VERSION << 4 | PacketType.DATA) << 8 | KEY_PHASE_BIT
_TYPES = {int(kind): kind for kind in PacketType}


@dataclass(slots=True)
class Header:
    """The clear part of one packet.

    destination: 0 in an INIT, the receiver's own connection id elsewhere. key_phase: 0 or 1, which of two successive
        keys sealed it.
    """

    packet_type: PacketType
    destination: ConnectionId
    packet_number: PacketNumber
    key_phase: int = 0


def pack_header(packet_type: PacketType, destination: int, packet_number: int, key_phase: int = 0) -> bytes:
    """The 16 bytes; destination below 2^32, packet_number below 2^64."""
    return _LAYOUT.pack(MAGIC, VERSION << 4 | packet_type, key_phase, destination, packet_number)


def pack_data_header(destination: int, packet_number: int, key_phase: int) -> bytes:
    """`pack_header` for a DATA packet."""
    return _DATA_LAYOUT.pack(_DATA_FIRST_BYTES & ~KEY_PHASE_BIT | key_phase, destination, packet_number)


def data_header(datagram: bytes) -> tuple[int, int] | None:
    """Destination and packet number of a DATA packet of this version; None for anything else.

    The short way for what nearly every packet is; `parse_header` says what is wrong with the others.
    """
    if len(datagram) < HEADER_BYTES:
        return None
    first_bytes, destination, packet_number = _DATA_LAYOUT.unpack_from(datagram)
    return (destination, packet_number) if first_bytes | KEY_PHASE_BIT == _DATA_FIRST_BYTES else None


def parse_header(datagram: bytes) -> Header:
    """The header of a datagram; DecodeError(`malformed` or `unsupported_version`) where it is none of ours."""
    if len(datagram) < HEADER_BYTES:
        raise DecodeError("malformed", f"{len(datagram)} bytes are no header")
    magic, version_and_type, flags, destination, packet_number = _LAYOUT.unpack_from(datagram)
    if magic != MAGIC:
        raise DecodeError("malformed", "not our magic")
    packet_type = _TYPES.get(version_and_type & 0x0F)
    if version_and_type >> 4 != VERSION and packet_type is not PacketType.REFUSE:
        raise DecodeError("unsupported_version", f"version {version_and_type >> 4}")
    if packet_type is None or flags > KEY_PHASE_BIT:
        raise DecodeError("malformed", f"type {version_and_type & 0x0F}, flags {flags:#x}")
    if packet_type is not PacketType.DATA and (packet_number or flags):
        raise DecodeError("malformed", f"packet number {packet_number}, flags {flags:#x} in a {packet_type.name}")
    return Header(packet_type, destination, packet_number, flags)
