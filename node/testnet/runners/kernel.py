"""What the backend `netem` tells a kernel: settings of links as lines for `impair table`, and what the kernel answers.

Pure. What tc-netem does not have stays with the node (`left_to_node`). Correlation of losses is never offered: it drops
a hundredth of what it says. What was asked is compared with what the kernel shows, since a qdisc that was accepted need
not be the one that is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from node.impairment.combination import combined
from node.impairment.link import GilbertElliott, LinkSettings, LossAt, Order
from node.impairment.plain import from_plain, to_plain
from node.testnet.errors import NotApplied
from node.types import MICROSECOND, to_seconds

__all__ = ["compare", "for_node", "left_to_node", "queue_limit", "reduced", "table", "words"]

CLEAN = LinkSettings()
HANDLE = "504e:"
"""Of the tree of classes, as in `docker/impair`."""

LINE_RATE = 125_000_000_000
"""Bytes per second (1 Tbit/s): a rate that nothing reaches keeps the order of packets, and delays none."""

RATE_WITHOUT = 125_000_000
"""Bytes per second that a link without a rate is taken to carry when its queue is sized."""

PACKET_BYTES = 1400
LIMIT_MIN, LIMIT_MAX = 1000, 1_000_000
NEAR = 1e-3
"""Share by which what the kernel shows may be off: it counts in steps of its own."""


def queue_limit(settings: LinkSettings) -> int:
    """Packets that netem has to hold: twice those under way. With fewer it drops without a word."""
    if settings.limit != CLEAN.limit:
        return settings.limit
    longest = to_seconds(settings.delay + 3 * settings.jitter)
    return min(LIMIT_MAX, max(LIMIT_MIN, int(2 * (settings.rate or RATE_WITHOUT) * longest / PACKET_BYTES) + 1))


def words(settings: LinkSettings) -> list[str]:
    """The settings in netem's words; every one each time, because a change in place keeps what it is not told."""
    rate = settings.rate or (LINE_RATE if settings.jitter and settings.order is Order.KEEP else 0)
    found = ["limit", str(queue_limit(settings))]
    found += ["delay", f"{settings.delay // MICROSECOND}us", f"{settings.jitter // MICROSECOND}us"]
    if settings.bursts is not None:
        found += ["loss", "gemodel", *(_percent(share) for share in _chain(settings))]
    else:
        found += ["loss", "random", _percent(settings.loss)]
    found += ["corrupt", _percent(settings.corrupt)]
    if settings.reorder and settings.delay:
        found += ["reorder", _percent(settings.reorder)]
    return [*found, "rate", f"{rate * 8}bit"]


def left_to_node(settings: LinkSettings) -> LinkSettings:
    """What netem does not have: copies (refused beside other netems), a smaller MTU, marks, losses at the far end."""
    left = replace(CLEAN, duplicate=settings.duplicate, mtu=settings.mtu, ce_threshold=settings.ce_threshold)
    if settings.loss_at is LossAt.EXIT:
        left = replace(left, loss=settings.loss, loss_at=LossAt.EXIT)
    return left


def table(links: Mapping[str, Any], faults: list[Mapping[str, Any]]) -> dict[str, LinkSettings]:
    """The settings of the ways to all peers, by host. links, faults: bodies of the commands for a node."""
    found = {}
    for host in links["names"]:
        settings = from_plain(links["hosts"].get(host, {}))
        for fault in faults:
            if host in fault["hosts"]:
                settings = combined(settings, from_plain(fault["settings"]))
        found[host] = replace(settings, loss=0.0) if settings.loss_at is LossAt.EXIT else settings
    return found


def for_node(command: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The same command for the node, where the kernel does the rest: it still knows which faults run."""
    return reduced(command, body, left_to_node)


def reduced(command: str, body: Mapping[str, Any], left: Callable[[LinkSettings], LinkSettings]) -> dict[str, Any]:
    """A command with what is left of all its settings."""
    changed = dict(body)
    if command == "links":
        kept = {host: to_plain(left(from_plain(one))) for host, one in body["hosts"].items()}
        changed["hosts"] = {host: one for host, one in kept.items() if one}
    elif command == "faults":
        changed["settings"] = to_plain(left(from_plain(body["settings"])))
    return changed


def compare(asked: Mapping[str, LinkSettings], shown: str) -> None:
    """Raises NotApplied if the kernel has something else. shown: `tc -j qdisc show`."""
    try:
        qdiscs = {str(one.get("parent")): one for one in json.loads(shown) if one["kind"] == "netem"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotApplied(f"the kernel's answer cannot be read: {shown[:200]!r}") from error
    for host, settings in asked.items():
        found = qdiscs.get(f"{HANDLE}{_minor(host):x}")
        if found is None:
            raise NotApplied(f"{host}: no netem is there")
        wrong = _differences(settings, found.get("options", {}))
        if wrong:
            raise NotApplied(f"{host}: the kernel has another {', '.join(wrong)} than was asked: {found['options']}")


def _differences(settings: LinkSettings, options: Mapping[str, Any]) -> list[str]:
    delay = options.get("delay") or {}
    loss = options.get("loss-random") or {}
    wanted = {
        "delay": (to_seconds(settings.delay), _number(delay, "delay")),
        "jitter": (to_seconds(settings.jitter), _number(delay, "jitter")),
        "loss": (0.0 if settings.bursts else settings.loss, _number(loss, "loss")),
        "correlation of losses": (0.0, _number(loss, "correlation")),
        "limit": (queue_limit(settings), _number(options, "limit")),
    }
    if settings.rate:
        wanted["rate"] = (settings.rate, _number(options.get("rate") or {}, "rate"))
    if settings.bursts is not None:
        model = options.get("loss-gemodel") or {}
        for name, share in zip(("p", "r", "1-h", "1-k"), _chain(settings), strict=True):
            wanted[f"gemodel {name}"] = (share, _number(model, name))
    return [name for name, (asked, has) in wanted.items() if abs(asked - has) > NEAR * abs(asked) + 2e-6]


def _chain(settings: LinkSettings) -> tuple[float, float, float, float]:
    """Netem has one kind of loss at a time: independent losses become part of both states."""
    bursts = settings.bursts or GilbertElliott(p=0.0, r=1.0)
    bad = 1 - (1 - settings.loss) * (1 - bursts.loss_bad)
    good = 1 - (1 - settings.loss) * (1 - bursts.loss_good)
    return bursts.p, bursts.r, bad, good


def _minor(host: str) -> int:
    """Number of a host's class, as in `docker/impair`: the lower half of its address."""
    third, fourth = host.split(".")[2:]
    return (int(third) << 8) + int(fourth)


def _percent(share: float) -> str:
    return f"{share * 100:.6f}%"


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0
