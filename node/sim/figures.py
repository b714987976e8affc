"""What a run measured: how long messages took, how many copies they cost, how soon a crash was known.

Listens to the history and, at the end, reads the counters of the nodes. Durations in seconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from node.sim.history import Record
from node.sim.network import Network
from node.types import Duration, to_seconds

__all__ = ["Figures", "Propagation", "percentile"]


@dataclass(frozen=True, slots=True)
class Figures:
    """published, delivered: messages, deliveries. p50, p99: of all deliveries. full: until the last node, p50 of it.

    full_max: the slowest message at its last node. duplicates: copies received per delivery.
    duplicates_large: copies of bodies over SMALL_BODY_BYTES per such body; notices about members are small bodies.
    """

    published: int
    delivered: int
    p50: float
    p99: float
    full: float
    full_max: float
    duplicates: float
    duplicates_large: float


class Propagation:
    """Latencies of every delivery of one network, from now on."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._latencies = array("q")
        self._last: dict[str, Duration] = {}
        self._copies_before = _copies(network)
        network.history.listen(self._observe)

    def figures(self) -> Figures:
        """What was measured so far; zeros where nothing was."""
        last = sorted(self._last.values())
        every = sorted(self._latencies)
        pairs = zip(_copies(self._network), self._copies_before, strict=True)
        duplicates, delivered, duplicates_large, accepted_large = (after - before for after, before in pairs)
        return Figures(
            published=len(last),
            delivered=len(every),
            p50=to_seconds(percentile(every, 0.5)),
            p99=to_seconds(percentile(every, 0.99)),
            full=to_seconds(percentile(last, 0.5)),
            full_max=to_seconds(last[-1]) if last else 0.0,
            duplicates=duplicates / max(1, delivered),
            duplicates_large=duplicates_large / max(1, accepted_large),
        )

    def _observe(self, record: Record) -> None:
        if record.kind != "delivered":
            return
        latency = record.facts["latency"]
        if isinstance(latency, int):
            self._latencies.append(latency)
            message = str(record.facts["message"])
            self._last[message] = max(latency, self._last.get(message, 0))


def percentile(ordered: Sequence[int], share: float) -> int:
    """The value that this share of the ordered values does not exceed; 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def _copies(network: Network) -> tuple[int, int, int, int]:
    """Copies that came again and deliveries; the same of large bodies, where what was accepted counts."""
    stats = [node.machine.gossip.stats for node in network.alive()]
    return (
        sum(one.duplicates for one in stats),
        sum(one.delivered for one in stats),
        sum(one.duplicates_large for one in stats),
        sum(one.accepted_large for one in stats),
    )
