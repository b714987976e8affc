r"""The bytes of the state file: a header, and records of which each proves that it is whole.

    header = "positron state v1\n" | node id (32) | CRC-32 of both (4)
    record = length of the entry (4) | CRC-32 of length and entry (4) | entry
    entry  = packed [0, section, key, row]   the row is now this
             packed [1, section, key]        there is no such row any more
             packed [2, count]               the records since the last one of this kind, so many, belong together

A file ends anywhere when the power does: what counts is everything up to the last record of kind 2 that is whole. So a
reader finds the rows of one save or of the one before, and never of half of one. Knows nothing of what rows mean and
where the bytes are.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.packing import Value, pack, unpack_list
from node.types import NodeId
from node.wire.limits import PACKED_BYTES_MAX

__all__ = ["HEADER_BYTES", "Rows", "Scan", "header", "pack_commit", "pack_delete", "pack_put", "scan", "writer_of"]

Rows: TypeAlias = dict[str, dict[bytes, Value]]
"""Rows by section and key."""

_MAGIC = b"positron state v1\n"
_ANY_VERSION = re.compile(rb"positron state v[0-9]{1,9}\n")
HEADER_BYTES = len(_MAGIC) + NODE_ID_BYTES + 4
_PREFIX = struct.Struct(">II")
_PUT, _DELETE, _COMMIT = 0, 1, 2


def header(node_id: NodeId) -> bytes:
    """The first bytes of that node's file."""
    start = _MAGIC + node_id
    return start + crc32(start).to_bytes(4, "big")


def writer_of(data: bytes) -> NodeId:
    """Whose file this is. DecodeError: `unknown_kind` for one of a later version, `malformed` for anything else."""
    if _ANY_VERSION.match(data) and not data.startswith(_MAGIC):
        raise DecodeError("unknown_kind", "written by another version")
    node_id = NodeId(data[len(_MAGIC) : len(_MAGIC) + NODE_ID_BYTES])
    if data[:HEADER_BYTES] != header(node_id):
        raise DecodeError("malformed", "not a state file, or a damaged one")
    return node_id


def pack_put(section: str, key: bytes, row: Value) -> bytes:
    """The record that a row is now this."""
    return _record(pack([_PUT, section, key, row]))


def pack_delete(section: str, key: bytes) -> bytes:
    """The record that there is no such row any more."""
    return _record(pack([_DELETE, section, key]))


def pack_commit(count: int) -> bytes:
    """The record that makes the `count` records before it count."""
    return _record(pack([_COMMIT, count]))


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file tells. good_bytes: where the last whole save ends."""

    rows: Rows
    good_bytes: int


def scan(data: bytes) -> Scan:
    """The rows in a file whose header is good; never raises for any bytes."""
    rows: Rows = {}
    good_bytes = HEADER_BYTES
    waiting: list[list[Value]] = []
    for entry, end in _entries(data):
        if entry[0] != _COMMIT:
            waiting.append(entry)
            continue
        if entry[1] != len(waiting):
            break
        for change in waiting:
            _apply(change, rows)
        waiting, good_bytes = [], end
    return Scan(rows, good_bytes)


def _entries(data: bytes) -> Iterator[tuple[list[Value], int]]:
    """Every entry up to the first that is not whole, with the place where it ends."""
    at = HEADER_BYTES
    while at + _PREFIX.size <= len(data):
        length, checksum = _PREFIX.unpack_from(data, at)
        end = at + _PREFIX.size + length
        if length > PACKED_BYTES_MAX or end > len(data):
            return
        packed = data[at + _PREFIX.size : end]
        if crc32(packed, crc32(data[at : at + 4])) != checksum:
            return
        try:
            entry = unpack_list(packed, 2)
        except DecodeError:
            return
        yield entry, end
        at = end


def _apply(change: list[Value], rows: Rows) -> None:
    match change:
        case [kind, str(section), bytes(key), row] if kind == _PUT:
            rows.setdefault(section, {})[key] = row
        case [kind, str(section), bytes(key)] if kind == _DELETE:
            rows.get(section, {}).pop(key, None)
        case _:
            pass  # of a later version, which only adds


def _record(packed: bytes) -> bytes:
    length = len(packed).to_bytes(4, "big")
    return length + crc32(packed, crc32(length)).to_bytes(4, "big") + packed
