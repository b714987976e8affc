"""What happened in a network, in order, as plain data: whatever judges a run reads this and not the nodes.

A record names its instant, its node by number and its kind, with facts that JSON can hold. Listeners see each record
as it happens, so that a run of a million deliveries can be judged without being kept.

| kind | facts |
|---|---|
| `started` | epoch, life, role, skew |
| `stopped`, `crashed`, `paused`, `resumed` | life; `seconds` of a pause; `is_silent`, `keeps_state` of a crash |
| `rebound`, `turned` | life; the new port; the hostile role that it plays from now on |
| `published` | message |
| `delivered` | message, origin, hops; latency since it was published and age by its own date, in nanoseconds |
| `received` | message, origin: sent to this node alone |
| `sent` | token, error |
| `peer_up`, `peer_down` | peer; reason |
| `member_changed` | peer, state, incarnation |
| `retransmitted` | packets: since the last such record of this node |
| `problem`, `dial_failed` | what the node said |
| `cut`, `healed`, `links`, `clock` | what was done to the network |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from node.types import Instant, to_seconds

__all__ = ["NETWORK", "Fact", "History", "Record", "node_name"]

Fact: TypeAlias = str | int | float | bool | list[int] | list[list[int]] | None

NETWORK = -1
"""The number of no node: what was done to the network as a whole."""


@dataclass(frozen=True, slots=True)
class Record:
    """One happening. at: nanoseconds of the world's time. node: its number, or NETWORK."""

    at: Instant
    node: int
    kind: str
    facts: dict[str, Fact]

    def as_json(self) -> dict[str, Fact]:
        """The record as one JSON object: seconds, and nodes by name."""
        return {"at": to_seconds(self.at), "node": node_name(self.node), "event": self.kind, **self.facts}


class History:
    """Every record of one run, oldest first; none of them is kept without `is_kept`."""

    def __init__(self, *, is_kept: bool = True) -> None:
        self.is_kept = is_kept
        self.count = 0
        self._records: list[Record] = []
        self._listeners: list[Callable[[Record], None]] = []

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def listen(self, listener: Callable[[Record], None]) -> None:
        """Calls it with every record from now on."""
        self._listeners.append(listener)

    def add(self, at: Instant, node: int, kind: str, facts: dict[str, Fact]) -> None:
        """Takes one happening in."""
        record = Record(at, node, kind, facts)
        self.count += 1
        if self.is_kept:
            self._records.append(record)
        for listener in self._listeners:
            listener(record)

    def of(self, kind: str, node: int | None = None) -> list[Record]:
        """The kept records of one kind, of one node or of all."""
        return [record for record in self._records if record.kind == kind and node in (None, record.node)]


def node_name(number: int) -> str:
    """What people call that node."""
    return "network" if number == NETWORK else f"node-{number}"
