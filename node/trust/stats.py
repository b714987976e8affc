"""Counters of trust: plain integers in slots, bumped in place and read at scrape time."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.messages.types import zero_rejections
from node.trust.evidence import PENALTIES

__all__ = ["BANDS", "TrustStats"]

BANDS = ("banned", "doubtful", "neutral", "known", "trusted")
"""Scores in words, from worst to best; the limits between them are in `node.trust.trust`."""


def _zero_penalties() -> dict[str, int]:
    return dict.fromkeys(PENALTIES, 0)


@dataclass(slots=True)
class TrustStats:
    """What trust has counted since the node began.

    penalties: evidence against nodes, by kind. credits: first deliveries that counted. bans: begun.
    statements_sent, statements_accepted: signed statements about others. statements_repeated: known or older ones.
    statements_limited: ignored, since the issuer or the peer that brought them says too much. rejected: refused, by
    reason. lists_served: pages of trusted peers sent on request. statements, records, bans_active: what tables hold.
    """

    penalties: dict[str, int] = field(default_factory=_zero_penalties)
    credits: int = 0
    bans: int = 0
    statements_sent: int = 0
    statements_accepted: int = 0
    statements_repeated: int = 0
    statements_limited: int = 0
    lists_served: int = 0
    rejected: dict[str, int] = field(default_factory=zero_rejections)
    statements: int = 0
    records: int = 0
    bans_active: int = 0
