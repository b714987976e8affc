"""When a testnet is whole: every node counts every other as a member, and is linked as one of its size should be.

Knows the fields of `get_stats()`. Up to LINKS_ALL_MAX others that is a link with each, beyond it a few links suffice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from node.wire.limits import LINKS_ALL_MAX

__all__ = ["LINKS_FEW", "is_linked", "living_members"]

LINKS_FEW = 8
"""Links of a node of a large network at least: its neighbours."""


def living_members(answer: Mapping[str, Any]) -> int | None:
    """Nodes that one counts as alive beside itself, by its statistics; None if they do not say."""
    members = answer.get("members")
    alive = members.get("alive") if isinstance(members, Mapping) else None
    return alive if isinstance(alive, int) and not isinstance(alive, bool) else None


def is_linked(members: int | None, links: int | None, nodes: int) -> bool:
    """Whether a node of a testnet of so many sees all others, and has the links that it should have."""
    others = nodes - 1
    return members == others and links is not None and links >= (others if others <= LINKS_ALL_MAX else LINKS_FEW)
