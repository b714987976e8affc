"""Cuts a fuzzer's input into pieces, and applies pieces as edits to bytes that were good."""

from __future__ import annotations

__all__ = ["edited", "pieces"]

_EDIT_BYTES = 3


def pieces(data: bytes, count_max: int) -> list[tuple[int, bytes]]:
    """Pieces of kind (1) | length (2) | content; the last may be short."""
    found: list[tuple[int, bytes]] = []
    offset = 0
    while offset + 3 <= len(data) and len(found) < count_max:
        end = offset + 3 + int.from_bytes(data[offset + 1 : offset + 3], "big")
        found.append((data[offset], data[offset + 3 : end]))
        offset = end
    return found


def edited(original: bytes, edits: bytes) -> bytes:
    """The original with edits of position (2) | value to exclusive-or (1); a rest of one byte cuts that many off."""
    changed = bytearray(original)
    for start in range(0, len(edits) - _EDIT_BYTES + 1, _EDIT_BYTES):
        position = int.from_bytes(edits[start : start + 2], "big") % len(original)
        changed[position] ^= edits[start + 2]
    if len(edits) % _EDIT_BYTES == 1:
        del changed[max(0, len(changed) - edits[-1]) :]
    return bytes(changed)
