"""Messages travel through the mesh: what only a comparison of digests brings is the exception.

Judged in networks that nothing disturbs but losses: no start, end, pause or cut after the first message, no hostile
node. Digests then hide a mesh that does not work, since they bring every message all the same, seconds later.
"""

from __future__ import annotations

from node.sim.checks.base import Check, Report, Situation
from node.sim.history import NETWORK, Record
from node.sim.network import Network
from node.types import Instant

__all__ = ["SpreadByMesh"]

SYNC_SHARE_MAX = 0.02
"""Share of first copies that only a sync brought, and how many of them say nothing."""
SYNCED_FEW = 3

_DISTURBING = ("started", "stopped", "crashed", "paused", "turned", "cut", "links", "clock")


class SpreadByMesh(Check):
    """Where nothing but loss disturbs a network, syncs bring next to nothing."""

    name = "spread-by-mesh"

    def __init__(self, situation: Situation, report: Report, network: Network) -> None:
        super().__init__(situation, report)
        self._network = network
        self._before: dict[int, tuple[int, int]] | None = None
        self._is_disturbed = False

    def observe(self, record: Record) -> None:
        if record.kind == "published" and self._before is None:
            self._before = self._counted()
        elif record.kind in _DISTURBING and (self._before is not None or record.facts.get("is_honest") is False):
            self._is_disturbed = True

    def finish(self, now: Instant) -> None:
        if self._before is None or self._is_disturbed:
            return
        after = self._counted()
        accepted, synced = (sum(after[node][i] - self._before.get(node, (0, 0))[i] for node in after) for i in (0, 1))
        if synced > SYNCED_FEW + SYNC_SHARE_MAX * accepted:
            self.fail(NETWORK, "mesh", f"{synced} of {accepted} messages were brought by syncs alone")

    def _counted(self) -> dict[int, tuple[int, int]]:
        """Messages accepted, and those of them that syncs brought, by node."""
        return {
            node.number: (node.machine.gossip.stats.accepted, node.machine.gossip.stats.repaired["sync"])
            for node in self._network.alive()
        }
