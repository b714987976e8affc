"""Finds the peer that a person means: by node id, its first digits, its name, or an address.

Knows a snapshot of the node, and changes nothing.
"""

from __future__ import annotations

import re

from node.config import format_address, parse_address
from node.config.kinds import Unacceptable
from node.core.snapshot import NodeSnapshot, PeerSnapshot
from node.errors import AmbiguousPeer, UnknownPeer
from node.identity.keys import parse_node_id
from node.types import Address, NodeId, short_id

__all__ = ["find_peer", "find_target"]

_ID = re.compile(r"[0-9A-Fa-f]{64}")
_PREFIX = re.compile(r"[0-9A-Fa-f]{4,63}")


def find_target(text: str, snapshot: NodeSnapshot) -> NodeId | Address:
    """Where to send: a known peer, any complete node id, or any HOST:PORT. UnknownPeer, AmbiguousPeer."""
    if _ID.fullmatch(text):
        return parse_node_id(text)
    if ":" in text:
        return _address(text)
    return find_peer(text, snapshot).node_id


def find_peer(text: str, snapshot: NodeSnapshot) -> PeerSnapshot:
    """The known peer that is called so; an active one before others of that name. UnknownPeer, AmbiguousPeer."""
    if ":" in text:
        address = _address(text)
        found = [peer for peer in snapshot.peers if address == peer.address or address in peer.aliases]
    else:
        found = [peer for peer in snapshot.peers if peer.name == text]
        if not found and (_ID.fullmatch(text) or _PREFIX.fullmatch(text)):
            found = [peer for peer in snapshot.peers if peer.node_id.hex().startswith(text.lower())]
    if len(found) > 1:
        found = [peer for peer in found if peer.state in ("up", "slow")] or found
    if not found:
        raise UnknownPeer(
            f"no peer is called {text[:80]!r}; allowed is a node id, its first 4 digits or more, a name, or HOST:PORT"
        )
    if len(found) > 1:
        names = ", ".join(f"{short_id(peer.node_id)} at {format_address(peer.address)}" for peer in found[:4])
        raise AmbiguousPeer(f"{len(found)} peers are called {text[:80]!r}: {names}")
    return found[0]


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except Unacceptable as error:
        raise UnknownPeer(f"{text[:80]!r} is no address; allowed is HOST:PORT or [IPV6]:PORT") from error
