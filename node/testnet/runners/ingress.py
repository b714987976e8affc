"""What the backend `nft` tells the kernel of a receiver: which shares of which senders' packets to drop, and how long.

Pure. A drop at ingress is silent: the sender learns nothing. Everything but independent losses stays with the nodes
(`for_node`). Drops add up as independent losses do, so each order is a drop of its own, and the kernel itself lets it
end: an entry of a set has a time limit there, which outlives whoever has asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from node.impairment.link import LinkSettings
from node.impairment.plain import from_plain
from node.testnet.runners.kernel import reduced

__all__ = ["SHARE_MIN", "Drop", "drops", "for_node", "line"]

SHARE_MIN = 1e-6
"""Kernels draw one of a million numbers: a smaller share of losses is none."""

SECONDS_MIN = 0.001
CLEAN = LinkSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Losses of what one sender sends. sender: its name. share: SHARE_MIN to 1. seconds: None for no limit.

    order: what asks for it, so that the same one is known again with less time left.
    """

    sender: str
    host: str
    share: float
    order: str = ""
    seconds: float | None = None


def drops(
    orders: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]], hosts: Mapping[str, str], to: str
) -> list[Drop]:
    """What a receiver is to drop. orders: of all senders, by name. hosts: of all nodes. to: the receiver's name."""
    found, here = [], hosts[to]
    for sender, told in orders.items():
        for command, body in told:
            settings: Mapping[str, Any] = {}
            if command == "links":
                settings = body["hosts"].get(here, {})
            elif command == "faults" and here in body["hosts"]:
                settings = body["settings"]
            share = from_plain(settings).loss
            if share >= SHARE_MIN:
                seconds = max(SECONDS_MIN, float(body["seconds"])) if command == "faults" else None
                order = str(body.get("step", ""))
                found.append(Drop(sender=sender, host=hosts[sender], share=share, order=order, seconds=seconds))
    return found


def line(drop: Drop) -> str:
    """The drop as a line for `impair drops`."""
    limit = "-" if drop.seconds is None else f"{drop.seconds * 1000:.0f}"
    return f"{drop.host} {drop.sender} {drop.share * 1e6:.0f} {limit}"


def for_node(command: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The same command for the sender, without what its receivers' kernels do: it still knows which faults run."""
    return reduced(command, body, _left_to_node)


def _left_to_node(settings: LinkSettings) -> LinkSettings:
    return replace(settings, loss=0.0, loss_at=CLEAN.loss_at)
