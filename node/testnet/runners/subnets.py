"""Finds networks for containers that nobody uses: neither the engine nor this machine's routes."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path

from node.testnet.errors import TestnetFailed

__all__ = ["free_subnets", "routed"]

POOL = ipaddress.ip_network("10.64.0.0/10")
"""Private addresses, away from what engines take for themselves."""

PREFIX = 22
"""A thousand nodes: as many as a bridge has ports."""

Subnet = ipaddress.IPv4Network


def free_subnets(name: str, taken: Iterable[Subnet]) -> tuple[Subnet, Subnet]:
    """Two networks for a testnet of that name; TestnetFailed if everything is taken."""
    assert isinstance(POOL, ipaddress.IPv4Network)
    blocks = list(POOL.subnets(new_prefix=PREFIX))
    first = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) % len(blocks)
    known = list(taken)
    free = [one for one in blocks[first:] + blocks[:first] if not any(one.overlaps(other) for other in known)]
    if len(free) < 2:
        raise TestnetFailed(f"no two networks of {POOL} are free")
    return free[0], free[1]


def routed(table: Path = Path("/proc/net/route")) -> Iterator[Subnet]:
    """The networks that this machine has a route to, the default route excepted; nothing where that cannot be read."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        number, mask = (int.from_bytes(bytes.fromhex(words[index]), "little") for index in (1, 7))
        if mask:
            yield ipaddress.IPv4Network((number, bin(mask).count("1")), strict=False)
