"""Settings of trust, already validated by whoever makes them."""

from __future__ import annotations

from dataclasses import dataclass

from node.types import Duration

__all__ = ["TrustSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """network_id: part of what is signed. epoch: start of this process in wall milliseconds.

    wall_offset: wall clock minus monotonic clock, in nanoseconds.
    """

    network_id: str
    epoch: int
    wall_offset: Duration
