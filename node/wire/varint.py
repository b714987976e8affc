"""Variable-length integers of RFC 9000 §16: two bits of length, then 6, 14, 30 or 62 bits of value, big endian."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from node.errors import DecodeError

__all__ = ["VARINT_MAX", "append_varint", "append_varints", "read_varint", "read_varints", "varint_size"]

VARINT_MAX = (1 << 62) - 1
_FOUR_BYTES = struct.Struct(">I").unpack_from


def varint_size(value: int) -> int:
    """Bytes that `append_varint` uses for the value: 1, 2, 4 or 8."""
    if value < 0x40:
        return 1
    if value < 0x4000:
        return 2
    return 4 if value < 0x4000_0000 else 8


def append_varint(buffer: bytearray, value: int) -> None:
    """Appends the shortest encoding of 0 ≤ value ≤ 2^62 - 1."""
    if value < 0x40:
        buffer.append(value)
    elif value < 0x4000:
        buffer += (value | 0x4000).to_bytes(2, "big")
    elif value < 0x4000_0000:
        buffer += (value | 0x8000_0000).to_bytes(4, "big")
    else:
        buffer += (value | 0xC000_0000_0000_0000).to_bytes(8, "big")


def append_varints(buffer: bytearray, values: Iterable[int]) -> None:
    """`append_varint` of each of them."""
    for value in values:
        if value < 0x40:
            buffer.append(value)
        elif value < 0x4000:
            buffer += (value | 0x4000).to_bytes(2, "big")
        elif value < 0x4000_0000:
            buffer += (value | 0x8000_0000).to_bytes(4, "big")
        else:
            append_varint(buffer, value)


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """The value at that offset and the offset behind it; DecodeError where the bytes end too early."""
    try:
        first = data[offset]
    except IndexError:
        raise DecodeError("malformed", "varint missing") from None
    if first < 0x40:
        return first, offset + 1
    if first < 0x80:
        try:
            return (first & 0x3F) << 8 | data[offset + 1], offset + 2
        except IndexError:
            raise DecodeError("malformed", "varint cut short") from None
    end = offset + (4 if first < 0xC0 else 8)
    if end > len(data):
        raise DecodeError("malformed", "varint cut short")
    value = int.from_bytes(data[offset:end], "big")
    return value & ((1 << (8 * (end - offset) - 2)) - 1), end


def read_varints(data: bytes, offset: int, count: int) -> tuple[list[int], int]:
    """So many values from that offset on and the offset behind them; DecodeError where the bytes end too early."""
    values: list[int] = []
    try:
        for _ in range(count):
            value = data[offset]
            if value < 0x40:
                offset += 1
            elif value < 0x80:
                value = (value & 0x3F) << 8 | data[offset + 1]
                offset += 2
            elif value < 0xC0:
                value = _FOUR_BYTES(data, offset)[0] & 0x3FFF_FFFF
                offset += 4
            else:
                value, offset = read_varint(data, offset)
            values.append(value)
    except (IndexError, struct.error):
        raise DecodeError("malformed", "varint cut short") from None
    return values, offset
