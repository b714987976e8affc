"""What impairment is configured on this node's network, read from the file that the container's entry point writes.

Knows nothing of how an impairment is made. The file is JSON: `{"backend": "netem", "loss_ratio": 0.1,
"delay_seconds": 0.02, "jitter_seconds": 0, "rate_bytes_per_second": 0}`, optionally with `target`, `dir` and what was
asked for, `asked_loss_ratio` and `asked_delay_seconds`; or a list of such objects, one for each link.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from node.metrics.names import BACKENDS
from node.types import is_name

__all__ = ["ChaosReading", "Impairment", "asked_loss", "read_impairments"]

_FILE_BYTES_MAX = 65536
_LINKS_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """One configured impairment; zeros and backend `none` when there is none.

    loss_ratio: 0 to 1. delay_seconds, jitter_seconds: one way. rate_bytes_per_second: 0 for no limit.
    target: interface, network or node concerned. dir: `egress` or `ingress`. asked_loss_ratio, asked_delay_seconds:
    what was asked for; None where that is not known.
    """

    backend: str = "none"
    target: str = "all"
    dir: str = "egress"
    loss_ratio: float = 0.0
    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    rate_bytes_per_second: float = 0.0
    asked_loss_ratio: float | None = None
    asked_delay_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosReading:
    """What a controller has this node do to its own network, and what runs.

    backend: what impairs. active: step and kind of each fault. links: what each link is asked to do, by the node at
    its other end. offered, dropped: packets that met it since the node began.
    """

    backend: str = "wire"
    active: tuple[tuple[str, str], ...] = ()
    links: tuple[Impairment, ...] = ()
    offered: int = 0
    dropped: int = 0


def read_impairments(path: str) -> tuple[Impairment, ...] | None:
    """The impairments in the file at `path`; the empty one if `path` is empty or no file is there.

    None where the file is there and does not say it: an unknown impairment must not be shown as none.
    """
    if not path:
        return (Impairment(),)
    try:
        with open(path, "rb") as file:
            content = file.read(_FILE_BYTES_MAX)
    except FileNotFoundError:
        return (Impairment(),)
    except OSError:
        return None
    try:
        found = json.loads(content)
        return tuple(map(_parse, found[:_LINKS_MAX] if isinstance(found, list) and found else [found]))
    except (ValueError, RecursionError):  # not JSON, not UTF-8, nested too deeply, or a value out of range
        return None


def asked_loss(impairments: Iterable[Impairment], *names: str) -> float | None:
    """Share of what this node sends to whoever has one of those names that its network is asked to lose.

    None where nothing is known of what is done to what it sends, as where the kernels of its receivers drop.
    """
    impairments = list(impairments)
    if any(one.backend == "nft" and one.dir == "ingress" for one in impairments):
        return None
    kept = [
        1 - (one.loss_ratio if one.asked_loss_ratio is None else one.asked_loss_ratio)
        for one in impairments
        if one.dir == "egress" and one.target in ("all", *names)
    ]
    return round(1 - math.prod(kept), 9) if kept else None


def _parse(value: object) -> Impairment:
    if not isinstance(value, dict):
        raise ValueError("the impairment is no JSON object")
    backend = value.get("backend")
    direction = value.get("dir", "egress")
    target = value.get("target", "all")
    if not isinstance(backend, str) or direction not in ("egress", "ingress"):
        raise ValueError("backend or dir is missing or wrong")
    if not isinstance(target, str) or not is_name(target):
        raise ValueError("target is wrong")
    return Impairment(
        backend=backend if backend in BACKENDS else "other",
        target=target,
        dir=direction,
        loss_ratio=_number(value, "loss_ratio", 1.0),
        delay_seconds=_number(value, "delay_seconds"),
        jitter_seconds=_number(value, "jitter_seconds"),
        rate_bytes_per_second=_number(value, "rate_bytes_per_second"),
        asked_loss_ratio=_number(value, "asked_loss_ratio", 1.0) if "asked_loss_ratio" in value else None,
        asked_delay_seconds=_number(value, "asked_delay_seconds") if "asked_delay_seconds" in value else None,
    )


def _number(table: dict[str, object], key: str, most: float = 1e15) -> float:
    number = table.get(key, 0.0)
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise ValueError(f"{key} is no number")
    if not math.isfinite(number) or not 0 <= number <= most:
        raise ValueError(f"{key} is out of range")
    return float(number)
