"""The signed envelope, decoded as docs/GOSSIP.md, section 1, describes it, with msgpack written down from its own
specification: byte by byte, no library, and no code shared with the node.
"""

from __future__ import annotations

import math
import struct
from typing import Any

__all__ = ["Refused", "envelope_of"]

DEPTH_MAX, ITEMS_MAX, KEYS_MAX, KEY_BYTES_MAX, CONTAINERS_MAX = 16, 1024, 256, 256, 4096
PAYLOAD_BYTES_MAX, PACKED_BYTES_MAX, TOPIC_BYTES_MAX = 256 << 10, (256 << 10) + 4096, 32
NUMBER_MAX = (1 << 63) - 1

UNPRINTABLE = (
    (0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F), (0x2028, 0x202F),
    (0x205F, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFF), (0xE0000, 0x10FFFF),
)  # fmt: skip

FIXED = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i",
    0xD3: ">q",
}  # fmt: skip
LENGTHS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
COUNTS = {0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}


class Refused(Exception):
    """These bytes are not what the document describes."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.containers = 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise Refused("cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def value(self, depth: int) -> Any:
        first = self.take(1)[0]
        if first <= 0x7F:
            return first
        if first >= 0xE0:
            return first - 256
        if first <= 0x9F or first in COUNTS:
            return self.container(first, depth)
        if first <= 0xBF or first in LENGTHS:
            return self.string(first)
        if first in FIXED:
            number = self.number(FIXED[first])
            if isinstance(number, float) and not math.isfinite(number):
                raise Refused("not finite")
            return number
        if first in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[first]
        raise Refused("an extension, or no type at all")

    def string(self, first: int) -> str | bytes:
        length = first & 0x1F if first <= 0xBF else self.number(LENGTHS[first])
        taken = self.take(length)
        if first in (0xC4, 0xC5, 0xC6):
            return taken
        try:
            return taken.decode()
        except UnicodeDecodeError as error:
            raise Refused("text that is not UTF-8") from error

    def container(self, first: int, depth: int) -> list[Any] | dict[str, Any]:
        count = first & 0x0F if first <= 0x9F else self.number(COUNTS[first])
        is_map = first <= 0x8F or first in (0xDE, 0xDF)
        self.containers += 1
        if depth == DEPTH_MAX or self.containers > CONTAINERS_MAX or count > (KEYS_MAX if is_map else ITEMS_MAX):
            raise Refused("too deep, or too many")
        if not is_map:
            return [self.value(depth + 1) for _ in range(count)]
        found: dict[str, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, str) or len(key.encode()) > KEY_BYTES_MAX or key in found:
                raise Refused("a key that is no text, too long, or there twice")
            found[key] = self.value(depth + 1)
        return found


def envelope_of(body: bytes, signature: bytes) -> list[Any]:
    """kind, origin, epoch, sequence, timestamp, topic, payload and network tag; Refused for anything else."""
    reader = _Reader(body)
    if len(body) > PACKED_BYTES_MAX or len(signature) != 64:
        raise Refused("too large, or no signature")
    fields = reader.value(0)
    if reader.at != len(body):
        raise Refused("trailing bytes")
    if not isinstance(fields, list) or len(fields) < 9 or type(fields[0]) is not int or fields[0] != 1:
        raise Refused("no envelope of version 1")
    _, kind, origin, epoch, sequence, timestamp, topic, payload, network = fields[:9]
    for number, least in ((kind, 1), (epoch, 0), (sequence, 1), (timestamp, 0)):
        if type(number) is not int or not least <= number <= NUMBER_MAX:
            raise Refused("a number out of range")
    for part, sizes in ((origin, (32,)), (network, (8,)), (payload, range(PAYLOAD_BYTES_MAX + 1))):
        if not isinstance(part, bytes) or len(part) not in sizes:
            raise Refused("bytes of another length")
    if not isinstance(topic, str) or len(topic.encode()) > TOPIC_BYTES_MAX:
        raise Refused("no topic")
    if any(first <= ord(letter) <= last for letter in topic for first, last in UNPRINTABLE):
        raise Refused("no topic")
    return [kind, origin, epoch, sequence, timestamp, topic, payload, network]
