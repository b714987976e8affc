"""Groups of addresses that one party easily has many of: /16 of IPv4, /32 of IPv6 (after Heilman et al., "Eclipse
Attacks on Bitcoin's Peer-to-Peer Network", USENIX Security 2015).

Whatever is bounded per group is bounded for an attacker with few groups, however many keys and addresses it has there.
Works on IP literals; knows nothing of tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import TypeVar

__all__ = ["group_of", "in_turns", "keyed"]

T = TypeVar("T")


@lru_cache(maxsize=8192)
def group_of(host: str) -> bytes:
    """The group of an IP literal; the text itself for anything else."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.encode()
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return address.packed[:4] if mapped is None else mapped.packed[:2]
    return address.packed[:2]


def keyed(secret: bytes, *parts: bytes) -> int:
    """A number that nobody without the secret can foretell; parts are kept apart by their lengths."""
    digest = blake2b(key=secret, digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(2, "big") + part)
    return int.from_bytes(digest.digest(), "big")


def in_turns(entries: Iterable[tuple[bytes, T]]) -> list[T]:
    """The first of every group, then the second of every group and so on: a large group does not go before others."""
    turns: dict[bytes, int] = {}
    ordered: list[tuple[int, T]] = []
    for group, entry in entries:
        turns[group] = turns.get(group, 0) + 1
        ordered.append((turns[group], entry))
    ordered.sort(key=lambda item: item[0])
    return [entry for _, entry in ordered]
