"""What a node must remember across restarts, as rows of plain data by section and key.

    origins     by author: the sequence numbers that were seen, so that no replay is new
    known       by node: where it was met
    anchors     the peers to come back to first
    evidence    by node: what this node has seen of it, and whether it is banned
    statements  by id: what others say, signed
    proofs      by digest: two messages that one author signed with one number
    life        "epoch": of this life; "is_final": whether nothing happened after these rows were told; "since": from
                which wall millisecond on it wanted messages, as an earlier life that was killed may have had older ones

Sections and keys that are not known are left alone: a later version may have written them. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

from node.errors import DecodeError
from node.gossip.gossip import Gossip
from node.messages.packing import Value, pack
from node.peers.peers import Peers
from node.trust.trust import Trust
from node.types import Duration, Instant

__all__ = ["Rememberers", "Rows", "epoch_after", "export_evidence", "export_rows", "export_watermarks", "import_rows"]

Rows: TypeAlias = dict[str, dict[bytes, Value]]

_LIFE, _EPOCH, _IS_FINAL, _SINCE = "life", b"epoch", b"is_final", b"since"
_EPOCH_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Rememberers:
    """The services that remember something. wall_offset: wall clock minus that of `now`."""

    peers: Peers
    gossip: Gossip
    trust: Trust
    wall_offset: Duration


def export_rows(services: Rememberers, *, epoch: int, is_final: bool) -> Rows:
    """Everything to be remembered now."""
    peers, gossip, trust = services.peers, services.gossip, services.trust
    known = peers.book.snapshot(services.wall_offset)
    told = trust.snapshot()
    return {
        **export_watermarks(gossip),
        **export_evidence(trust),
        "known": {_record_key(row): row for row in known["known"]},
        "anchors": {b"": known["anchors"]},
        "statements": _by_digest(told["statements"]),
        "proofs": _by_digest(told["proofs"]),
        _LIFE: {_EPOCH: epoch, _IS_FINAL: is_final, _SINCE: gossip.since()},
    }


def export_watermarks(gossip: Gossip) -> Rows:
    """The part that changes with every message."""
    watermarks = gossip.snapshot()
    return {"origins": _by_first(watermarks if isinstance(watermarks, list) else [])}


def export_evidence(trust: Trust) -> Rows:
    """What this node has seen of others, with the bans."""
    return {"evidence": _by_first(trust.evidence_rows())}


def import_rows(services: Rememberers, rows: Rows, now: Instant) -> int:
    """Takes up what an earlier life told; the number of rows that were of no use. Never raises for any rows.

    No section at all is no earlier life. One that left nothing is told as an empty `life`.
    """
    if not rows:
        return 0
    peers, gossip, trust = services.peers, services.gossip, services.trust
    useless = 0
    try:
        gossip.restore([*rows.get("origins", {}).values()], since=_wanted_since(rows.get(_LIFE, {})))
    except DecodeError:
        useless += len(rows["origins"])
    known, anchors = [*rows.get("known", {}).values()], rows.get("anchors", {}).get(b"", [])
    useless += peers.book.restore(known, anchors, now, services.wall_offset)
    told = {name: [*rows.get(name, {}).values()] for name in ("evidence", "statements", "proofs")}
    useless += trust.restore(told, now)
    return useless


def _wanted_since(life: dict[bytes, Value]) -> int | None:
    """From when on the next life wants messages; None for its own beginning. 0 where the last one did not tell."""
    if life.get(_IS_FINAL) is not True:
        return None
    since = life.get(_SINCE)
    return since if isinstance(since, int) and since >= 0 else 0


def epoch_after(rows: Rows, wall_milliseconds: int) -> int:
    """The epoch of the next life: the wall clock, or more than the last one where the clock went back."""
    last = rows.get(_LIFE, {}).get(_EPOCH)
    if isinstance(last, int) and not isinstance(last, bool) and 0 <= last < _EPOCH_MAX:
        return max(wall_milliseconds, last + 1)
    return wall_milliseconds


def _by_first(rows: list[Value]) -> dict[bytes, Value]:
    return {row[0]: row for row in rows if isinstance(row, list) and row and isinstance(row[0], bytes)}


def _record_key(row: Value) -> bytes:
    assert isinstance(row, list)
    assert isinstance(row[0], list)
    assert isinstance(row[0][0], bytes)
    return row[0][0]


def _by_digest(rows: list[Value]) -> dict[bytes, Value]:
    return {blake2b(pack(row), digest_size=16).digest(): row for row in rows}
